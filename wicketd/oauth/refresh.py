"""One refresh of one connection, in the order R1 to R9; read from top to bottom.

Counterpart: `services.refreshing`, whose flights are the steps. The order is the argument: nothing
is sent before its intent is durable, a refresh token is sent once for each intent, and no new token
is used before it is. Whoever is killed in between leaves the old generation, the new one, or an
intent that tells of the doubt. Source: security spec, section 5.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol, TypeAlias, TypeVar

from wicketd.oauth.token import TokenAnswer, TokenError

G = TypeVar("G")
"""A grant: the connection's record, opened, with the generation of its row."""
S = TypeVar("S")
"""The record of the next generation, encrypted."""

Reached: TypeAlias = Callable[[str], None]
"""Told each step's name when the step is done; tests end the process there."""


class Fault(StrEnum):
    """Why there is no fresh token."""

    RECONNECT = "reconnect"
    """The tokens are worthless, or cannot be opened: the member signs in anew."""
    UNREACHABLE = "unreachable"
    """Refused, in doubt, or too early to try again: the tokens are kept."""
    UNSENT = "unsent"
    """Nothing was sent, so the old access token is as good as it was."""
    NOT_DURABLE = "not_durable"
    """The disk does not take what must stand on it first, or last."""


class Steps(Protocol[G, S]):
    """What the steps do, bound to one connection and to the key that opens it."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """R1: this connection's lock."""

    async def read(self) -> G | None:
        """R2: the row as it is now, opened; None: it cannot be used with this key."""

    def is_fresh(self, grant: G) -> bool:
        """R2: whether somebody renewed it meanwhile, or it needs no renewal."""

    async def preflight(self, grant: G) -> Fault | None:
        """R3: whether the refresh token may be sent now, and only to its own issuer."""

    async def is_in_doubt(self, grant: G) -> bool:
        """R3: whether this very token was sent before and no answer is known."""

    async def begin(self, grant: G) -> None:
        """R4: a durable intent, phase `started`."""

    async def sending(self, grant: G) -> None:
        """R5: the intent's phase `sent`, durable."""

    async def ask(self, grant: G) -> TokenAnswer | TokenError:
        """R5 and R6: one POST, and what its answer means."""

    async def failed(self, grant: G, error: TokenError, *, in_doubt: bool) -> Fault:
        """Keeps, marks or destroys by the answer; only `invalid_grant` destroys."""

    def seal(self, grant: G, answer: TokenAnswer) -> S:
        """R7: both layers, generation g+1."""

    async def commit(self, grant: G, sealed: S) -> G | Fault:
        """R8: one transaction; what it cannot write is kept and tried again."""


async def refresh(steps: Steps[G, S], reached: Reached) -> G | Fault:
    """A grant whose access token may be used, or why there is none. R9 is its return."""
    async with steps.turn():
        reached("R1")
        grant = await steps.read()
        reached("R2")
        if grant is None:
            return Fault.RECONNECT
        if steps.is_fresh(grant):
            return grant
        fault = await steps.preflight(grant)
        if fault is not None:
            return fault
        in_doubt = await steps.is_in_doubt(grant)
        reached("R3")
        if not in_doubt:
            await steps.begin(grant)
            reached("R4")
            await steps.sending(grant)
        reached("R5")
        answer = await steps.ask(grant)
        if isinstance(answer, TokenError):
            return await steps.failed(grant, answer, in_doubt=in_doubt)
        reached("R6")
        sealed = steps.seal(grant, answer)
        reached("R7")
        outcome = await steps.commit(grant, sealed)
        reached("R8")
    reached("R9")
    return outcome
