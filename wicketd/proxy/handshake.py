"""First contact with an upstream: which era it speaks, and a legacy session. Counterpart of `eras`.

Source: protocol spec, 4.2 and 4.3.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from wicketd.domain.calls import Failure
from wicketd.domain.catalogue import UpstreamEra
from wicketd.domain.errors import Upstream
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Spawn
from wicketd.proxy import failures, outbound
from wicketd.proxy.answers import refusal_of
from wicketd.proxy.exchange import Exchanges, Listener
from wicketd.proxy.inbound import Heard, RpcError
from wicketd.proxy.lanes import Route
from wicketd.proxy.outbound import Outgoing, Wanted
from wicketd.proxy.routed import as_object
from wicketd.proxy.stdio import Pipe
from wicketd.proxy.upstream import LEGACY_VERSIONS, judge_discover
from wicketd.proxy.upstream_events import Session

PROBE_S: Final = 5
START_S: Final = 30
"""A process that has not opened a session by then is no server."""
_PIPED_VERSIONS: Final = (*LEGACY_VERSIONS, "2024-11-05")
_HANDSHAKE_BYTES_MAX: Final = 256 * 1024
_SESSION_ID: Final = re.compile(r"[!-~]{1,1024}")


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no session; `code` of the JSON-RPC error, if there was one."""

    failure: Failure
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Handshake:
    """One upstream and the header that opens it, for the time of the handshake."""

    exchanges: Exchanges
    route: Route
    header: Mapping[str, str]
    service: str
    listener: Listener
    capabilities: JsonObject
    """What is declared in the legacy era; in the modern one each request says it."""
    spawn: Spawn

    async def probe(
        self, request_id: int, late: Callable[[UpstreamEra], None]
    ) -> UpstreamEra | Failure:
        """Asks `server/discover` once. A Failure is no verdict.

        Over pipes silence is a legacy server's, or that of one that is still starting: an answer
        that comes afterwards goes to `late`.
        """
        wanted = Wanted(request_id, "server/discover", {})
        outgoing = outbound.request(wanted, None, self.header)
        if not self._is_piped:
            return self._judged(await self._ask(outgoing, PROBE_S))
        answered: asyncio.Future[UpstreamEra | Failure]
        answered = asyncio.get_running_loop().create_future()

        async def ask() -> None:
            found = self._judged(await self._ask(outgoing, START_S))
            if not answered.done():
                answered.set_result(found)
            elif isinstance(found, UpstreamEra):
                late(found)

        self.spawn(ask(), name="upstream-discover")
        try:
            async with asyncio.timeout(PROBE_S):
                return await answered
        except TimeoutError:
            return UpstreamEra.LEGACY

    @staticmethod
    def _judged(heard: Heard | Failure) -> UpstreamEra | Failure:
        if isinstance(heard, Failure):
            return heard
        if heard.answer is None:
            return judge_discover(None, None, None)
        error = heard.answer.error
        if isinstance(error, RpcError):
            return judge_discover(None, error.code, error.data)
        return judge_discover(heard.answer.result, None, None)

    async def open(self, request_id: int, timeout_s: int) -> Session | Refused:
        """Opens a legacy session: `initialize`, then `notifications/initialized`."""
        if self._is_piped:
            timeout_s = min(timeout_s, START_S - PROBE_S)
        opening = outbound.initialize(request_id, self.capabilities, self.header)
        heard = await self._ask(opening, timeout_s)
        if isinstance(heard, Failure):
            return Refused(heard)
        session = self._session(heard)
        if isinstance(session, Refused):
            return session
        ready = outbound.notification("notifications/initialized", {}, session, self.header)
        try:
            async with asyncio.timeout(timeout_s):
                await self.exchanges.tell(self.route.endpoint, ready)
        except TimeoutError:
            return Refused(failures.timed_out(self.service, timeout_s))
        except Upstream as error:
            return Refused(failures.of_error(self.service, error, timeout_s))
        return session

    @property
    def _is_piped(self) -> bool:
        return isinstance(self.route.endpoint, Pipe)

    async def _ask(self, outgoing: Outgoing, timeout_s: int) -> Heard | Failure:
        try:
            async with asyncio.timeout(timeout_s):
                heard = await self.exchanges.ask(
                    self.route.endpoint, outgoing, self.listener, _HANDSHAKE_BYTES_MAX
                )
        except TimeoutError:
            return failures.timed_out(self.service, timeout_s)
        except Upstream as error:
            return failures.of_error(self.service, error, timeout_s)
        refusal = refusal_of(heard, self.service)
        return heard if refusal is None else refusal

    def _session(self, heard: Heard) -> Session | Refused:
        invalid = failures.invalid(self.service, status=heard.status)
        if heard.answer is None:
            return Refused(invalid)
        if isinstance(heard.answer.error, RpcError):
            return Refused(invalid, heard.answer.error.code)
        result = heard.answer.result
        version = result.get("protocolVersion") if isinstance(result, dict) else msgspec.UNSET
        is_clean = heard.session_id is None or _SESSION_ID.fullmatch(heard.session_id)
        known = _PIPED_VERSIONS if self._is_piped else LEGACY_VERSIONS
        if not isinstance(version, str) or version not in known or not is_clean:
            return Refused(invalid)
        offered = as_object(as_object(result).get("capabilities"))
        resources = as_object(offered.get("resources"))
        return Session(
            heard.session_id, version, "logging" in offered, resources.get("subscribe") is True
        )
