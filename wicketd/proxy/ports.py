"""The call path's ports bound to the use cases and the upstream client; `app.py` makes one.

Counterpart of `proxy.calls`, which knows only `domain.ports.CallPorts`. Holds no rule of its own:
a call of the built-in service is answered here, every other one by the upstream.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from wicketd.domain.calls import (
    Answer,
    Call,
    Caller,
    Era,
    Failure,
    FrontRequest,
    Outcome,
    OutcomeStatus,
    Refusal,
    RefusalKind,
    Subject,
)
from wicketd.domain.connections import Credential
from wicketd.domain.json import JsonObject
from wicketd.domain.policies import Decision
from wicketd.domain.ports import Clock, Front, Ids
from wicketd.proxy import failures
from wicketd.proxy.client import UpstreamClient
from wicketd.proxy.gate import Gate
from wicketd.proxy.held import HeldCalls
from wicketd.proxy.member_lists import MemberLists
from wicketd.services.builtin import BUILT_IN_KEY
from wicketd.services.callers import Callers
from wicketd.services.connections import Connections
from wicketd.services.snapshots import Snapshots
from wicketd.services.unlocking import NOTHING
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.sealing import Sealer

_LOG = logging.getLogger(__name__)

Send: TypeAlias = Callable[[Credential], Awaitable[Answer | Failure]]
"""Sends one decided call under a credential."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Implements `domain.ports.CallPorts`. `portal`: where a caller connects a service."""

    callers: Callers
    gate: Gate
    snapshots: Snapshots
    connections: Connections
    upstreams: UpstreamClient
    lists: MemberLists
    clock: Clock
    ids: Ids
    portal: Callable[[Caller, str], str | None]
    sealer: Sealer
    held: HeldCalls

    async def identify(self, request: FrontRequest) -> Caller | Refusal:
        """See `services.callers`."""
        return await self.callers.identify(request)

    def standing(self, caller: Caller) -> Refusal | None:
        """See `services.callers`."""
        return self.callers.standing(caller)

    def leave(self, caller: Caller) -> None:
        """See `services.callers`."""
        self.callers.leave(caller)

    async def take_token(self, caller: Caller) -> Refusal | None:
        """See `services.callers`."""
        return await self.callers.take_token(caller)

    def new_call_id(self) -> str:
        """A UUIDv7."""
        return self.ids.uuid7()

    def now_ms(self) -> int:
        """The one clock reading of the call."""
        return self.clock.now_ms()

    def mirrored_schema(self, call: Call) -> JsonObject | None:
        """The inputSchema of a shown tool that mirrors arguments in headers; else nothing."""
        snapshot = self.snapshots.of(call.caller.agent.id)
        is_tool = snapshot is not None and call.subject is Subject.TOOL
        tool = snapshot.tools.get((call.service, call.name)) if is_tool and snapshot else None
        if tool is None or tool.definition is None or not self.upstreams.declared(tool):
            return None
        schema = tool.definition.get("inputSchema")
        if not isinstance(schema, dict):
            return None
        return schema if self.lists.is_shown(call.caller, call.service, call.name) else None

    def open_state(self, caller: Caller, sealed: bytes) -> bytes | None:
        """See `vault.sealing`; whatever is wrong with it makes it worthless."""
        try:
            return self.sealer.open_state(caller.agent.id, caller.member.id, sealed)
        except DecryptFailed:
            return None

    def seal_state(self, caller: Caller, content: bytes) -> bytes:
        """See `vault.sealing`."""
        return self.sealer.seal_state(caller.agent.id, caller.member.id, content)

    def decide(self, call: Call) -> Decision | Refusal:
        """See `proxy.gate`."""
        return self.gate.decide(call)

    async def refuse(
        self, caller: Caller, refusal: Refusal, call: Call | None, tool: str | None
    ) -> Refusal:
        """See `proxy.gate`."""
        return await self.gate.refuse(caller, refusal, call, tool)

    async def store_intent(self, call: Call, decision: Decision) -> Call | Refusal:
        """See `proxy.gate`."""
        return await self.gate.store_intent(call, decision)

    async def credentials(self, call: Call) -> Credential | Failure:
        """The member's credential, bound to its destination; none for the built-in service."""
        if call.service == BUILT_IN_KEY:
            return NOTHING
        opened = await self.connections.unlock(call.caller, call.service)
        return self._with_portal(call.caller, opened) if isinstance(opened, Failure) else opened

    async def send(self, call: Call, credential: Credential, front: Front) -> Answer | Failure:
        """Forwards the decided value; a bug in here is logged where its call is known."""
        try:
            return await self._send(call, credential, front)
        except Exception:
            _LOG.exception("sending call %s failed", call.id)
            raise

    async def pause(self, seconds: float) -> None:
        """On the loop's clock."""
        await asyncio.sleep(seconds)

    async def store_outcome(self, call: Call, outcome: Outcome) -> Refusal | None:
        """See `proxy.gate`."""
        return await self.gate.store_outcome(call, outcome)

    async def _send(self, call: Call, credential: Credential, front: Front) -> Answer | Failure:
        snapshot = self.snapshots.of(call.caller.agent.id)
        if call.service == BUILT_IN_KEY:
            return await self.lists.status(call.caller)
        connector = snapshot.connectors.get(call.service) if snapshot is not None else None
        if snapshot is None or connector is None:
            gone = Refusal(RefusalKind.UNREACHABLE, {"service": call.service})
            return Failure(OutcomeStatus.UNREACHABLE, gone)
        is_tool = call.subject is Subject.TOOL
        tool = snapshot.tools.get((call.service, call.name)) if is_tool else None

        async def send(opened: Credential) -> Answer | Failure:
            async def to(waits: Front) -> Answer | Failure:
                return await self.upstreams.send(call, opened, waits, connector, tool)

            if call.held is not None:
                return await self.held.resume(call, call.held, front)
            may_be_held = call.era is Era.MODERN and call.capabilities
            return await (self.held.run(call, front, to) if may_be_held else to(front))

        answer = await self._with_credential(call, credential, send)
        return self._with_portal(call.caller, answer) if isinstance(answer, Failure) else answer

    async def _with_credential(
        self, call: Call, credential: Credential, send: Send
    ) -> Answer | Failure:
        """After a 401 the upstream is asked once more, with a renewed credential (protocol 4.4)."""
        answer = await send(credential)
        if _is_refused(answer):
            renewed = await self.connections.unlocker.renew(call.caller, call.service, credential)
            if isinstance(renewed, Failure):
                return replace(renewed, status=401)
            answer = replace(await send(renewed), generation=renewed.generation)
            if _is_refused(answer):
                await self.connections.unlocker.rejected(call.caller, call.service, renewed)
        elif credential.is_doubted and isinstance(answer, Answer):
            await self.connections.unlocker.accepted(call.caller, call.service)
        if isinstance(answer, Failure) and answer.refusal.kind is RefusalKind.SCOPES:
            return await self._stepping_up(call, answer)
        return answer

    async def _stepping_up(self, call: Call, failure: Failure) -> Failure:
        """Keeps what was lacking for the next sign-in; where none would help, it is a plain 403."""
        scopes = failure.refusal.values.get("scopes", "").split(", ")
        lacking = [scope for scope in scopes if scope]
        if lacking and await self.connections.unlocker.lacks(
            call.caller, call.service, call.name, lacking
        ):
            return failure
        plain = failures.unreachable(call.service, status=403)
        return replace(plain, upstream_ms=failure.upstream_ms, generation=failure.generation)

    def _with_portal(self, caller: Caller, failure: Failure) -> Failure:
        url = self.portal(caller, failure.refusal.values.get("service", ""))
        if url is None or "portal" in failure.refusal.values:
            return failure
        values = {**failure.refusal.values, "portal": url}
        refusal = Refusal(failure.refusal.kind, values, retry_after_s=failure.refusal.retry_after_s)
        return replace(failure, refusal=refusal)


def _is_refused(answer: Answer | Failure) -> bool:
    """Whether the upstream did not take the credential, and so did nothing."""
    if not isinstance(answer, Failure) or answer.status != 401:
        return False
    return answer.refusal.kind is RefusalKind.RECONNECT
