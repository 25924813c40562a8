"""Sockets, HTTP connections, signals and systemd: everything between the kernel and the ASGI apps.

Counterpart of `proxy.wire`, whose verdicts it carries out, and of `app.py`, whose apps it serves.
Invariants: we bind every socket ourselves, so its mode is right before anybody can connect; no byte
reaches the HTTP parser unchecked; no wait is without a deadline (security spec, sections 8, 9 and
12).
"""

import asyncio
import errno
import functools
import os
import signal
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wicketd.domain.errors import ConfigInvalid, SecondInstance, WicketError
from wicketd.proxy.door import Door, Peer, read_peer
from wicketd.proxy.wire import Phase, Refuse, Wire, bare_response

BACKLOG: Final = 512
DRAIN_S: Final = 20.0
LINGER_S: Final = 1.0
"""How long a refused client may still send, so that no TCP reset overtakes its answer."""
WATCH_S: Final = 15.0
_FIRST_FD: Final = 3


class WireProtocol(HttpToolsProtocol):
    """uvicorn's protocol behind the byte gate and our deadlines."""

    def __init__(self, *, door: Door, is_peer_read: bool = False, **uvicorn_args: Any) -> None:
        super().__init__(**uvicorn_args)
        self._door = door
        self._wire = Wire(door.max_body)
        self._is_peer_read = is_peer_read
        self._peer: Peer | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._phase: tuple[Phase, int] | None = None
        self._late_refusal: Refuse | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        ip = self.client[0] if self.client else ""
        if self._is_peer_read:
            self._peer = read_peer(transport.get_extra_info("socket"))
        if not self._door.enter(self, ip) or (self._is_peer_read and self._peer is None):
            transport.abort()
            return
        self.timeout_keep_alive = int(
            self._door.deadlines.proxy_keep_alive_s
            if self._door.is_trusted(ip)
            else self._door.deadlines.keep_alive_s
        )
        self._arm(self._door.deadlines.header_s)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._door.leave(self)
        self._disarm()
        self._unset_stall()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        for action in self._wire.feed(data):
            if isinstance(action, Refuse):
                self._refuse(action)
                return
            if not self.transport.is_closing():
                super().data_received(action)
        self._watch_phase()

    def _watch_phase(self) -> None:
        phase = (self._wire.phase, self._wire.heads)
        if phase == self._phase:
            return
        self._phase = phase
        self._disarm()
        if phase[0] is Phase.HEAD:
            self._arm(self._door.deadlines.header_s)
        elif phase[0] is Phase.BODY:
            self._arm(self._door.deadlines.body_s)

    def _arm(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._expired)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expired(self) -> None:
        self._deadline = None
        if self._wire.phase in (Phase.HEAD, Phase.BODY):
            self._refuse(Refuse(408))
        else:
            self.abort()

    def _refuse(self, refusal: Refuse) -> None:
        self._disarm()
        cycle: Any = self.cycle  # None before the first request, whatever uvicorn's annotation says
        is_running = cycle is not None and not cycle.response_complete
        if self.pipeline or (is_running and not cycle.more_body):
            self._late_refusal = refusal  # earlier requests of the connection are answered first
            return
        if is_running:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.abort()
                return
        self._end_with(bare_response(refusal.status))

    def _end_with(self, response: bytes) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(response)
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self._unset_keepalive_if_required()
        self._deadline = self.loop.call_later(LINGER_S, self.transport.close)

    @override
    def on_response_complete(self) -> None:
        if self._late_refusal is not None and self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()  # the refused request itself, whose body will never be whole
        is_last = not self.pipeline
        super().on_response_complete()
        if self._late_refusal is not None and is_last:
            self._end_with(bare_response(self._late_refusal.status))

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        state = self.scope["state"]
        state["wicket.peer"] = self._peer
        state["wicket.vouch"] = self.vouch

    def vouch(self) -> None:
        """The app saw a valid key."""
        self._door.vouch(self)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(self._door.deadlines.write_s, self.abort)

    @override
    def resume_writing(self) -> None:
        self._unset_stall()
        super().resume_writing()

    def _unset_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def abort(self) -> None:
        """Ends the connection now; what is not written is lost."""
        self.transport.abort()


def bind_tcp(host: str, port: int) -> socket.socket:
    """A listening TCP socket. `port` 0: the kernel chooses.

    Raises:
        SecondInstance: somebody else listens there.
        ConfigInvalid: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        message = f"Cannot listen on {host}:{port}: {error.strerror}."
        if error.errno == errno.EADDRINUSE:
            raise SecondInstance(message, hint="Stop what listens there first.") from error
        raise ConfigInvalid(message, hint="Choose another host or port in [server].") from error
    listener.settimeout(0)
    return listener


def bind_unix(path: Path, *, mode: int = 0o600, group: int | None = None) -> socket.socket:
    """A listening Unix socket that nobody could connect to before it had its mode.

    Raises:
        SecondInstance: another daemon answers at `path`.
        ConfigInvalid: something that is not our dead socket is in the way, or the bind fails.
    """
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        if group is not None:
            os.chown(path, -1, group)
        path.chmod(mode)
    except OSError as error:
        listener.close()
        message = f"Cannot listen on {path}: {error.strerror or error}."
        raise ConfigInvalid(message, hint="Check its directory and [admin] socket_dir.") from error
    finally:
        os.umask(before)
    listener.settimeout(0)
    return listener


def _clear(path: Path) -> None:
    # connect first: a file test alone would unlink the socket of a daemon that runs
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            is_ours = stat.S_ISSOCK(found.st_mode) and found.st_uid == os.geteuid()
        except OSError:
            is_ours = False
        else:
            message = f"Another wicketd answers at {path}."
            raise SecondInstance(message, hint="Stop it first, or set another [admin] socket_dir.")
    if not is_ours:
        message = f"{path} is in the way: it is not a socket that this user left behind."
        raise ConfigInvalid(message, hint="Move it away, or set another [admin] socket_dir.")
    path.unlink()


def activated(environ: MutableMapping[str, str], pid: int) -> dict[str, list[socket.socket]]:
    """Sockets handed over by systemd, by FileDescriptorName; takes the variables out of `environ`.

    Source: sd_listen_fds(3).
    """
    owner = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if owner != str(pid) or not count.isdecimal():
        return {}
    sockets: dict[str, list[socket.socket]] = {}
    for index in range(int(count)):
        listener = socket.socket(fileno=_FIRST_FD + index)
        listener.set_inheritable(False)
        listener.settimeout(0)
        name = names[index] if index < len(names) else "unknown"
        sockets.setdefault(name, []).append(listener)
    return sockets


class Notifier:
    """Tells systemd how the daemon is (sd_notify(3)); outside of systemd it does nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        usec = environ.get("WATCHDOG_USEC", "")
        self.watch_s = int(usec) / 2_000_000 if usec.isdecimal() else WATCH_S
        """How often the watchdog wants to hear of us: half its limit."""

    def send(self, **fields: str) -> None:
        """Sends assignments such as READY="1"; a missing listener is not an error."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        text = "\n".join(f"{key}={value}" for key, value in fields.items())
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(0)
            out.sendto(text.encode(), address)


@dataclass(frozen=True, slots=True)
class Listener:
    """One app on its sockets.

    `is_admin`: Unix sockets whose peers are read; `tls`: certificate and key files.
    """

    app: Any
    sockets: Sequence[socket.socket]
    door: Door
    is_admin: bool = False
    tls: tuple[Path, Path] | None = None


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us and waits instead of ticking."""

    def __init__(self, listener: Listener) -> None:
        protocol = functools.partial(
            WireProtocol, door=listener.door, is_peer_read=listener.is_admin
        )
        certificate, key = listener.tls or (None, None)
        config = uvicorn.Config(
            listener.app,
            http=protocol,  # type: ignore[arg-type]  # a factory: uvicorn only calls it
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=2,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        super().__init__(config)
        self._sockets = list(listener.sockets)
        self.started_up = asyncio.Event()
        self.stopped = asyncio.Event()

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @override
    async def main_loop(self) -> None:
        self.started_up.set()
        await self.stopped.wait()

    async def run_on_sockets(self) -> None:
        """Serves until `stopped` is set."""
        await self.serve(sockets=self._sockets)


async def serve(
    listeners: Sequence[Listener],
    *,
    probe: Callable[[], Awaitable[bool]],
    drain: Callable[[], Awaitable[None]],
    notifier: Notifier,
    stop: asyncio.Event,
) -> None:
    """Serves until SIGTERM, SIGINT or `stop`; then running requests have 20 s to end.

    `probe` tells whether the daemon serves (True) or is degraded; systemd's watchdog is fed only
    when it has returned. `drain` refuses new requests, ends streams and returns when the last
    request is answered.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    servers = [_Server(listener) for listener in listeners]
    try:
        async with asyncio.TaskGroup() as group:
            for server in servers:
                group.create_task(server.run_on_sockets(), name="http server")
            watch = group.create_task(_watch(servers, probe, notifier), name="watchdog")
            await stop.wait()
            notifier.send(STOPPING="1", STATUS="Stopping.")
            watch.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await drain()
            for server in servers:
                server.stopped.set()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _watch(
    servers: Sequence[_Server], probe: Callable[[], Awaitable[bool]], notifier: Notifier
) -> None:
    for server in servers:
        await server.started_up.wait()
    state = {"READY": "1"}
    while True:
        try:
            is_serving = await probe()
        except WicketError:
            is_serving = False
        status = "Serving." if is_serving else "Degraded: see wicketd doctor."
        notifier.send(**state, WATCHDOG="1", STATUS=status)
        state = {}
        await asyncio.sleep(notifier.watch_s)
