"""The decision gate: the only caller of decide and of the audit for calls.

Counterpart of `proxy.calls`, which walks through these ports in order, and of `services.calls`,
which does the work. Invariant: an exception while deciding is a denial, an intent that is not
durable refuses, an outcome that is not durable withholds; every stored intent gets an outcome, even
when the client is gone (security spec, FC1, FC2 and FC23).
"""

import asyncio
import logging
from dataclasses import dataclass, replace

from wicketd.domain.calls import (
    Call,
    Caller,
    Outcome,
    OutcomeStatus,
    Refusal,
    RefusalKind,
)
from wicketd.domain.errors import Unhealthy
from wicketd.domain.ids import call_ref
from wicketd.domain.policies import Decision, Reason
from wicketd.policy.decisions import denial
from wicketd.services.calls import Calls

_LOG = logging.getLogger(__name__)


class Gate:
    """The ports `decide`, `refuse`, `store_intent` and `store_outcome`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def decide(self, call: Call) -> Decision | Refusal:
        """Decides in memory; whatever goes wrong in there is a denial."""
        try:
            return self._calls.decide(call)
        except Exception as error:  # noqa: BLE001  # the decision boundary: a bug of ours must not let a call pass
            _LOG.exception("deciding failed")
            return replace(denial(Reason.ENGINE_ERROR), errors=(type(error).__name__,))

    async def refuse(
        self, caller: Caller, refusal: Refusal, call: Call | None, tool: str | None
    ) -> Refusal:
        """Records a refusal that came before a decision and gives it its reference."""
        try:
            return await self._calls.refuse(caller, refusal, call, tool)
        except Unhealthy:
            if call is not None:
                _LOG.error("refused: the denial of call %s is not durable", _named(call))
            return _not_writable(RefusalKind.AUDIT_REFUSED, call)

    async def store_intent(self, call: Call, decision: Decision) -> Call | Refusal:
        """Makes the decision durable, shielded; only an allowed one gives the Call back.

        A client that leaves meanwhile does not stop it: an intent that is stored gets its outcome.
        """
        intent = _Intent()
        try:
            return await asyncio.shield(self._stored(call, decision, intent))
        except asyncio.CancelledError:
            intent.is_abandoned = True
            await self._close_abandoned(intent)
            raise

    async def store_outcome(self, call: Call, outcome: Outcome) -> Refusal | None:
        """Makes the outcome durable, shielded: a client that leaves does not stop it."""
        try:
            await asyncio.shield(self._calls.settle(call, outcome))
        except Unhealthy:
            _LOG.error("withheld: the outcome of call %s is not durable", _named(call))
            return _not_writable(RefusalKind.AUDIT_WITHHELD, call)
        return None

    async def _stored(self, call: Call, decision: Decision, intent: "_Intent") -> Call | Refusal:
        try:
            stored = await self._calls.record(call, decision)
        except Unhealthy:
            _LOG.error("refused: the intent of call %s is not durable", _named(call))
            return _not_writable(RefusalKind.AUDIT_REFUSED, call)
        if isinstance(stored, Call):
            intent.stored = stored
            await self._close_abandoned(intent)
        return stored

    async def _close_abandoned(self, intent: "_Intent") -> None:
        stored = intent.stored
        if stored is not None and intent.is_abandoned:
            outcome = Outcome(OutcomeStatus.CANCELLED, bytes_in=stored.bytes_in)
            await self.store_outcome(stored, outcome)


@dataclass(slots=True)
class _Intent:
    """An intent on its way to the disk; whoever sees both facts closes it."""

    stored: Call | None = None
    is_abandoned: bool = False


def _named(call: Call) -> str:
    """The call as the log names it: a refused one stands nowhere else."""
    return f"{call.id} [ref {call_ref(call.id)}]"


def _not_writable(kind: RefusalKind, call: Call | None) -> Refusal:
    return Refusal(kind, call_id=call.id if call is not None else None, retry_after_s=5)
