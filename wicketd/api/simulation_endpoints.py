"""The rows of the admin API's table about calls decided in thought; `endpoints` holds the whole.

Source: product specification, section 9.
"""

from typing import Any, Final

from wicketd.api.endpoint import AGENT, Endpoint
from wicketd.api.types import simulations

# One row is a few lines here; formatted, each would fill a third of a screen.
# fmt: off

SIMULATE: Final = Endpoint(
    name="policy.simulate", method="POST", path=AGENT + "/simulate", request=simulations.Simulate,
    response=simulations.Simulated, command="policy simulate",
    summary="What a call would be answered, and why; nothing is counted or written.")

# fmt: on

ROWS: Final[tuple[Endpoint[Any, Any], ...]] = tuple(
    row for row in tuple(globals().values()) if isinstance(row, Endpoint)
)
"""Every row above, in the order of the file."""
