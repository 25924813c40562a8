"""The rows of the admin API's table about calls decided in thought; `endpoints` holds the whole.

Source: product specification, section 9.
"""

from typing import Any, Final

from wicketd.api.endpoint import AGENT, Endpoint
from wicketd.api.types import replays, simulations
from wicketd.api.types.listing import Nothing, Page

# One row is a few lines here; formatted, each would fill a third of a screen.
# fmt: off

SIMULATE: Final = Endpoint(
    name="policy.simulate", method="POST", path=AGENT + "/simulate", request=simulations.Simulate,
    response=simulations.Simulated, command="policy simulate",
    summary="What a call would be answered, and why; nothing is counted or written.")
REPLAY_CREATE: Final = Endpoint(
    name="replay.create", method="POST", path=AGENT + "/replays", request=replays.ReplayCreate,
    response=replays.Replay, audit=("policy.replayed",), command="policy replay",
    summary="Decide a window of the audit once more; it runs in the background.")
REPLAY_SHOW: Final = Endpoint(
    name="replay.show", method="GET", path="/v1/replays/{replay}", request=replays.ReplayShow,
    response=replays.Replay, command="policy replay",
    summary="A replay's counts, at once or when it is over.")
REPLAY_ROWS: Final = Endpoint(
    name="replay.rows", method="GET", path="/v1/replays/{replay}/rows", request=replays.ReplayRows,
    response=Page[replays.ReplayRow], command="policy replay",
    summary="The rows of a replay that changed, differ today already or are unmatched.")
REPLAY_CANCEL: Final = Endpoint(
    name="replay.cancel", method="DELETE", path="/v1/replays/{replay}", request=replays.ReplayRef,
    response=Nothing, command="policy replay", summary="End and forget a replay.")

# fmt: on

ROWS: Final[tuple[Endpoint[Any, Any], ...]] = tuple(
    row for row in tuple(globals().values()) if isinstance(row, Endpoint)
)
"""Every row above, in the order of the file."""
