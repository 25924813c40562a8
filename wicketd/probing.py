"""Asks a proposed connector's server what it offers, with the client that will call it later.

A part of the composition root, for `wicketd connector new` and `import`: no daemon, no database.
Invariant: a command runs only here after an administrator has agreed to it, in a directory of its
own, and has ended when this returns.
"""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from wicketd.connectors.forms import OauthForm
from wicketd.daemon import Tasks
from wicketd.domain.catalogue import Connector, HttpTransport
from wicketd.domain.errors import (
    Malformed,
    SignInRejected,
    TimedOut,
    Unreachable,
    Upstream,
    WicketError,
)
from wicketd.domain.ids import AgentId
from wicketd.domain.json import JsonObject
from wicketd.net.client import GuardedClient
from wicketd.oauth.client import OAuthHttp
from wicketd.oauth.provider import Providers
from wicketd.proxy.client import UpstreamClient
from wicketd.proxy.eras import ServicePlace, Verdict
from wicketd.proxy.stdio import Supervisor
from wicketd.services.enabling import NO_CREDENTIAL
from wicketd.services.tokens import one_off
from wicketd.system import SystemClock

DEADLINE_S: Final = 30.0
_NOBODY: Final = AgentId("probe")
_UNASKED: Final = "or write the file unasked with --no-probe"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Survey:
    """What a server said. `oauth`: it wants members to sign in, and has listed nothing yet."""

    tools: Sequence[JsonObject] = ()
    oauth: OauthForm | None = None


def survey(
    connector: Connector, token: str | None = None, *, deadline_s: float = DEADLINE_S
) -> Survey:
    """Lists the tools of a connector's server. `token`: used for this once.

    Raises:
        WicketError: it does not answer, or not as an MCP server; the hint says what to do.
    """
    return asyncio.run(_surveyed(connector, token, deadline_s))


class _Forgetful:
    """Eras are found anew: nothing of a probe is kept."""

    async def load(self, place: ServicePlace) -> Verdict | None:
        """Nothing is known of `place`."""

    async def store(self, place: ServicePlace, verdict: Verdict) -> None:
        """The verdict ends with the probe."""


async def _surveyed(connector: Connector, token: str | None, deadline_s: float) -> Survey:
    credential = NO_CREDENTIAL if token is None else one_off(connector, token)

    async def listed(client: UpstreamClient) -> Sequence[JsonObject]:
        return await client.list_tools(connector, _NOBODY, credential, deadline_s=deadline_s)

    try:
        return Survey(await _with_client(listed))
    except SignInRejected as error:
        if token is not None:
            raise WicketError(
                f"{connector.name} refuses this token.", hint="Make a new one, then try again."
            ) from error
        return Survey(oauth=await _sign_in(connector, error))
    except Upstream as error:
        raise _explained(connector, error, deadline_s) from error


async def _with_client(work: Callable[[UpstreamClient], Coroutine[Any, Any, T]]) -> T:
    tasks, clock = Tasks(), SystemClock()
    with tempfile.TemporaryDirectory(prefix="wicket-probe-") as directory:
        pipes = Supervisor(clock, tasks, Path(directory) / "stdio")
        client = UpstreamClient(GuardedClient(), _Forgetful(), clock, tasks, pipes=pipes)
        try:
            return await work(client)
        finally:
            await client.close()
            await tasks.cancel()


async def _sign_in(connector: Connector, refused: SignInRejected) -> OauthForm:
    """The provider that the server names to whoever comes without a token."""
    loopback = isinstance(connector.transport, HttpTransport) and connector.transport.insecure_http
    http = OAuthHttp(GuardedClient(), loopback_http=loopback)
    try:
        found = await Providers(http, SystemClock(), loopback=loopback).find(connector, None)
    except Upstream as error:
        raise WicketError(
            f"{connector.name} wants a credential and names no provider to sign in with.",
            hint="If it takes a token, name the header it stands in by --header Authorization.",
        ) from (error if isinstance(error, Unreachable) else refused)
    finally:
        await http.close()
    alone = found.server.registration_endpoint is not None or found.server.takes_documents
    # a file pins an issuer by https only; one on loopback is found anew at each sign-in
    issuer = found.server.issuer if found.server.issuer.startswith("https://") else None
    return OauthForm(issuer=issuer, registration="dcr" if alone else "pre")


def _explained(connector: Connector, error: Upstream, deadline_s: float) -> WicketError:
    over_http = isinstance(connector.transport, HttpTransport)
    match error:
        case TimedOut():
            said = f"{connector.name} has not answered within {deadline_s:g} s."
            hint = "Look whether it waits for something, such as a sign-in or a variable"
        case Malformed():
            said = f"{connector.name} does not answer as an MCP server."
            hint = "Look at the address" if over_http else "Run the command by hand"
        case _:
            said = error.message
            hint = (
                "Look at the address; a private network is named by --allow-network"
                if over_http
                else "Run the command by hand and look at what it prints"
            )
    return WicketError(f"{said} Nothing was written.", hint=f"{hint}, {_UNASKED}.")
