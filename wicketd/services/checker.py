"""What use cases ask of the policy child. Counterpart: `policy.child`, which answers."""

from collections.abc import Sequence
from typing import Protocol

from wicketd.domain.policies import Problem
from wicketd.policy.checks import Scope
from wicketd.policy.entities import ActionAt
from wicketd.policy.touches import Touch


class Checker(Protocol):
    """The policy child: the only process that reads text nobody has read before."""

    async def check(self, schema_text: str, text: str, scope: Scope) -> list[Problem]:
        """Problems of a text under a schema; no error among them: it may be saved."""

    async def touches(
        self, schema_text: str, text: str, at: Sequence[ActionAt]
    ) -> list[Touch] | None:
        """What the statements of a guarded text touch; None: there was no time to find out."""

    async def format(self, text: str) -> str:
        """The text in the one layout."""
