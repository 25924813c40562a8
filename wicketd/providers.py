"""Composes what speaks with other servers: sign-ins, refreshes, the MCP servers of services.

A part of the composition root, like `entrance` and `reception`. It decides nothing.
"""

from collections.abc import Callable

from wicketd.config import Config
from wicketd.connectors.catalogue import Catalogue
from wicketd.domain.ports import Clock, Spawn
from wicketd.net.client import GuardedClient
from wicketd.oauth.client import OAuthHttp
from wicketd.oauth.refresh import Reached
from wicketd.proxy.client import UpstreamClient
from wicketd.proxy.stdio import Supervisor
from wicketd.proxy.verdicts import StoredVerdicts
from wicketd.services.desk import Desk
from wicketd.services.issuers import Issuers
from wicketd.services.refresh_tools import RefreshTools
from wicketd.services.refreshing import Refreshing
from wicketd.services.sign_ins import SignInEnds, SignIns, SignInSettings
from wicketd.services.tokens import TokenBox
from wicketd.storage.db import SqliteDatabase
from wicketd.vault.sealing import Sealer


def sign_ins_of(
    config: Config,
    sealer: Sealer,
    box: TokenBox,
    clock: Clock,
    catalogue: Callable[[], Catalogue],
    spawn: Spawn,
) -> SignIns:
    """The parts below the desk, which carries their revoker."""
    settings = SignInSettings(
        config.url, cimd=config.oauth.cimd, loopback=config.oauth.loopback_http
    )
    http = OAuthHttp(GuardedClient(), loopback_http=settings.loopback)
    return SignIns(SignInEnds(http, box, sealer, clock, catalogue, spawn, settings))


def refreshing(
    desk: Desk, db: SqliteDatabase, parts: SignIns, spawn: Spawn, reached: Reached
) -> Refreshing:
    """Refreshes inside keyed calls, over the same client."""
    ends = parts.ends
    issuers = Issuers(ends.http, db, ends.sealer, loopback=ends.settings.loopback)
    tools = RefreshTools(desk, ends.box, ends.sealer, ends.http, issuers, db.is_writable)
    return Refreshing(tools, spawn, reached)


def upstreams_of(
    config: Config, db: SqliteDatabase, clock: Clock, spawn: Spawn, *, may_spawn: bool
) -> UpstreamClient:
    """The client of MCP servers, over HTTP and over pipes.

    `may_spawn`: commands of connector files may run with the daemon's rights.
    """
    pipes = Supervisor(clock, spawn, config.state / "stdio", may_spawn=may_spawn)
    return UpstreamClient(GuardedClient(), StoredVerdicts(db), clock, spawn, pipes=pipes)
