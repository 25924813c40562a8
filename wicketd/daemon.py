"""Runs the daemon: keys, sockets, composition, serving, stopping.

Counterparts: `app.py` composes, `server.py` serves. Invariant: no socket is opened before keyring,
audit key and database have been found good (security spec, sections 1 and 11).
"""

import asyncio
import ctypes
import gc
import grp
import ipaddress
import logging
import os
import resource
import signal
import socket
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

import uvloop

from wicketd import server
from wicketd.app import Daemon, compose
from wicketd.audit import public_keys
from wicketd.config import Config, variable
from wicketd.domain.errors import ConfigInvalid, WicketError
from wicketd.domain.health import Setting, Settings
from wicketd.foundation import System
from wicketd.net.addresses import is_loopback_host
from wicketd.net.hosts import Hosts
from wicketd.oauth.refresh import Reached
from wicketd.proxy.door import Door
from wicketd.proxy.transport import Rules
from wicketd.services.installation import Keys
from wicketd.services.refreshing import nowhere
from wicketd.system import SystemClock, SystemIds, SystemRandom
from wicketd.vault import keyring
from wicketd.vault.keyring import AuditKey, KeyringFile

_LOG: Final = logging.getLogger(__name__)
STACK_BYTES: Final = 8 * 1024 * 1024
ADMIN_CONNECTIONS: Final = 32
ADMIN_BODY: Final = 2 * 1024 * 1024
"""Above the API's own cap, so that its answer has the contract's shape."""
_PR_SET_DUMPABLE: Final = 4
_GC_THRESHOLDS: Final = (10_000, 20, 20)
"""A call leaves hundreds of objects and no cycles: with the interpreter's (700, 10, 10) looking for
some cost a tenth of it (measured)."""


class Tasks:
    """Background tasks: kept, named, cancelled with the daemon; a failure is logged."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __call__(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Runs `work` until it ends or the daemon does."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    async def cancel(self) -> None:
        """Stops what still runs and waits for it."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("%s failed", task.get_name(), exc_info=task.exception())


def run(
    config: Config, file: Path | None, environ: dict[str, str], reached: Reached = nowhere
) -> None:
    """Serves until SIGTERM. `reached`: told the steps of refreshes; tests end the process there.

    Raises:
        Fatal: keyring, storage or a second instance refuse the start.
        ConfigInvalid: an address, group or connector file is refused.
    """
    _deep_stack()
    _never_dump()
    keys = read_keys(config, environ)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, file, keys, environ, reached))


def read_keys(config: Config, environ: Mapping[str, str]) -> Keys:
    """The keyring and the audit key, by the sources of security spec 1.

    Raises:
        KeyringInvalid: one of them is missing or refused.
    """
    audit = Path(config.keyring.audit_key or config.state / "audit.key")
    return Keys(_read_ring(config, environ), keyring.load_audit_key(audit, environ))


def _read_ring(config: Config, environ: Mapping[str, str]) -> KeyringFile:
    path = Path(config.keyring.path or config.state / "server.keyring")
    return keyring.load(path, environ)


async def _serve(
    config: Config, file: Path | None, keys: Keys, environ: dict[str, str], reached: Reached
) -> None:
    tasks = Tasks()
    system = System(
        clock=SystemClock(),
        ids=SystemIds(),
        random=SystemRandom(),
        spawn=tasks,
        daemon_uid=os.geteuid(),
        reached=reached,
        may_spawn=may_spawn(config, keys.ring.source),
    )
    given = server.activated(environ, os.getpid())
    daemon = await compose(config, _settings(config, file, environ), _rules(config), keys, system)
    _publish(config.state / "audit.pub", keys.audit)
    try:
        await daemon.start()
        _settle_heap()
        listeners = _listeners(config, daemon, given)
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGHUP, lambda: tasks(_reload(config, environ, daemon), name="reload")
        )
        _LOG.info("MCP clients connect to %s/mcp", config.url)
        await server.serve(
            listeners,
            probe=daemon.db.is_writable,
            drain=daemon.mcp.drain,
            notifier=server.Notifier(environ),
            stop=asyncio.Event(),
        )
    finally:
        await daemon.settle()
        await tasks.cancel()
        await daemon.stop()


async def _reload(config: Config, environ: Mapping[str, str], daemon: Daemon) -> None:
    """SIGHUP: the keyring file as it is now. One that is refused leaves the old one in force."""
    try:
        active = await daemon.reload(_read_ring(config, environ))
    except WicketError as error:
        _LOG.error("The keyring was not reloaded: %s %s", error.message, error.hint or "")
    else:
        _LOG.info("The keyring was reloaded; %s is its active key.", active)


def may_spawn(config: Config, keyring_source: str) -> bool:
    """Whether commands of connector files may run with our rights.

    Not where the keyring is a credential of the unit, unless an administrator says so: a command
    could read what systemd hands to us alone (protocol spec, 4.6).
    """
    return config.stdio.inline or not keyring_source.startswith("credential ")


def _publish(path: Path, key: AuditKey) -> None:
    """Leaves the public audit keys for whoever verifies; nobody reads the file here."""
    try:
        path.write_text(public_keys.render(key.publics, key.sign_with), encoding="utf-8")
    except OSError as error:
        _LOG.warning("Cannot write %s: %s.", path, error.strerror)


def _settle_heap() -> None:
    """What start-up made stays for good: later collections need not look at it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _deep_stack() -> None:
    """The Cedar engine parses and evaluates recursively (policy spec, 3.5)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    if soft != resource.RLIM_INFINITY and soft < STACK_BYTES:
        message = f"The stack limit is {soft // 1024} KiB; policies need 8 MiB."
        raise ConfigInvalid(message, hint='Start with "ulimit -s 8192", or LimitSTACK=16M.')


def _never_dump() -> None:
    """Keeps keys and tokens out of core files and away from debuggers of the same user.

    The unit's LimitCORE=0 is not enough: a piped core pattern ignores it, `ptrace` too.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        message = f"The process cannot be made undumpable: {os.strerror(ctypes.get_errno())}."
        raise ConfigInvalid(message, hint="Allow the prctl system call to the daemon.")


def _settings(config: Config, file: Path | None, environ: Mapping[str, str]) -> Settings:
    is_named = "WICKET_STATE_DIR" in environ
    items = [Setting("state_dir", config.state_dir, "environment" if is_named else "file")]
    for table in (name for name in config.__struct_fields__ if name != "state_dir"):
        held = getattr(config, table)
        for key in held.__struct_fields__:
            is_default = getattr(type(held)(), key) == getattr(held, key)
            source = "default" if is_default else "file"
            if variable(table, key) in environ:
                source = "environment"
            items.append(Setting(f"{table}.{key}", _plain(getattr(held, key)), source))
    return Settings(str(file) if file else None, f"{config.url}/mcp", tuple(items))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _networks(config: Config) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text) for text in config.http.trusted_proxies)
    except ValueError as error:
        message = f"http.trusted_proxies: {error}."
        raise ConfigInvalid(message, hint="Give addresses or networks.") from error


def _rules(config: Config) -> Rules:
    hosts = Hosts(config.url, config.http.hosts, is_loopback=is_loopback_host(config.server.host))
    return Rules(hosts, _networks(config), config.mcp.max_body)


def _listeners(
    config: Config, daemon: Daemon, given: Mapping[str, list[socket.socket]]
) -> list[server.Listener]:
    table = config.server
    tls = (Path(table.tls_cert), Path(table.tls_key)) if table.tls_cert and table.tls_key else None
    public = server.Listener(
        daemon.mcp,
        given.get("http") or [server.bind_tcp(table.host, table.port)],
        Door(
            max_connections=config.http.max_connections,
            per_ip=config.http.max_per_ip,
            trusted=_networks(config),
            max_body=config.mcp.max_body,
        ),
        tls=tls,
    )
    admin = _admin(config, "admin", config.admin.write_group, given)
    reading = _admin(config, "admin-ro", config.admin.read_group, given)
    return [
        public,
        server.Listener(daemon.admin, admin, _admin_door(), is_admin=True),
        server.Listener(daemon.admin_read_only, reading, _admin_door(), is_admin=True),
    ]


def _admin_door() -> Door:
    return Door(max_connections=ADMIN_CONNECTIONS, max_body=ADMIN_BODY)


def _admin(
    config: Config, name: str, group: str, given: Mapping[str, list[socket.socket]]
) -> list[socket.socket]:
    """Systemd's socket, or one of ours: group readable only where root may give it the group."""
    if name in given:
        return given[name]
    config.sockets.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    path = config.sockets / f"{name}.sock"
    if os.geteuid() != 0:
        return [server.bind_unix(path)]
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        return [server.bind_unix(path)]
    return [server.bind_unix(path, mode=0o660, group=gid)]
