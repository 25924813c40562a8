"""Callers with what follows a verified key, as the daemon composes them over a state."""

from tests.support.state import State
from wicketd.domain.calls import FrontRequest, Refusal
from wicketd.services.callers import Callers, Limits
from wicketd.services.verifier_moves import VerifierMoves


class Door:
    """Callers as the daemon composes them."""

    def __init__(self, state: State) -> None:
        self.forgotten: list[str] = []
        self.moves = VerifierMoves(
            state.db, state.keyring, state.sealer, state.desk.events, self._forget
        )
        self.callers = Callers(
            state.db, state.desk.journal, state.keyring, state.clock, Limits(), self.moves.used
        )

    def _forget(self, key_id: str) -> None:
        self.forgotten.append(key_id)
        self.callers.forget_key(key_id)

    async def knock(self, key: bytes) -> bool:
        """Whether a request with this key is let in."""
        header = b"Bearer " + key
        request = FrontRequest("POST", ((b"authorization", header),), b"", "127.0.0.1")
        found = await self.callers.identify(request)
        if isinstance(found, Refusal):
            return False
        self.callers.leave(found)
        return True
