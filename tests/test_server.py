"""`server`: sockets, deadlines, systemd and signals, over real sockets."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path, PosixPath
from typing import Any

import pytest
import uvloop
from typing_extensions import override

from tests.support.fronts import (
    Http,
    always_good,
    connected,
    eventually,
    legacy_session,
    modern,
    modern_headers,
    running_front,
    serving,
    until_connectable,
)
from wicketd.domain.errors import AuditNotDurable, ConfigInvalid, SecondInstance
from wicketd.proxy.door import Deadlines, Door
from wicketd.server import Listener, Notifier, activated, bind_tcp, bind_unix, serve

Scope = dict[str, Any]
Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]


class Echo:
    """An ASGI app that answers with the body it read, and keeps the scopes it saw."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        body, is_more = b"", True
        while is_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            is_more = message["more_body"]
        length = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": body})


QUICK = Deadlines(header_s=0.2, body_s=0.2, keep_alive_s=1, write_s=0.3)


@asynccontextmanager
async def echoing(door: Door | None = None) -> AsyncIterator[tuple[int, Echo]]:
    """An echo app on a free port."""
    app = Echo()
    listening = bind_tcp("127.0.0.1", 0)
    port = listening.getsockname()[1]
    async with serving([Listener(app, [listening], door or Door(deadlines=QUICK))]):
        await until_connectable(port)
        yield port, app


@pytest.mark.requirement("C1")
@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
)
async def test_malformed_bytes_get_a_bare_status_and_the_end(raw: bytes, status: int) -> None:
    async with echoing() as (port, app), connected(port) as http:
        http.writer.write(raw)
        got = await http.closed()
        assert got.startswith(b"HTTP/1.1 %d " % status)
        assert got.endswith(b"content-length: 0\r\nconnection: close\r\n\r\n")
        assert app.scopes == []


async def test_a_refusal_waits_for_the_answers_before_it() -> None:
    good = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"
    async with echoing() as (port, _), connected(port) as http:
        http.writer.write(good + good + b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        got = await http.closed()
        assert got.count(b"200 OK") == 2
        assert b"HTTP/1.1 400 " in got.split(b"ok")[-1]


async def test_a_pipelined_request_with_a_bad_body_never_starts() -> None:
    good = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"
    bad = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    async with echoing() as (port, app), connected(port) as http:
        http.writer.write(good + bad)
        got = await http.closed()
        assert got.count(b"HTTP/1.1 ") == 2
        assert b"HTTP/1.1 400 " in got
        assert len(app.scopes) == 1


async def test_a_body_that_turns_bad_is_refused_and_the_app_hears_of_a_disconnect() -> None:
    async with echoing() as (port, app), connected(port) as http:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        http.writer.write(head + b"2\r\nok\r\n")
        await eventually(lambda: len(app.scopes) == 1)
        http.writer.write(b"zz\r\n")
        assert (await http.closed()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.requirement("C1")
@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n"])
async def test_a_slow_header_is_ended(sent: bytes) -> None:
    async with echoing() as (port, _), connected(port) as http:
        http.writer.write(sent)
        got = await http.closed(3)
        assert got == b"" if not sent else got.startswith(b"HTTP/1.1 408 ")


async def test_a_slow_second_header_is_ended_too() -> None:
    async with echoing() as (port, _), connected(port) as http:
        await http.ask("GET", "/")
        http.writer.write(b"GET")
        assert (await http.closed(3)).startswith(b"HTTP/1.1 408 ")


async def test_a_slow_body_is_ended() -> None:
    async with echoing() as (port, _), connected(port) as http:
        await http.send(path="/", body=b"x", headers={"Content-Length": "5"})
        assert (await http.closed(3)).startswith(b"HTTP/1.1 408 ")


async def test_an_idle_connection_is_closed() -> None:
    async with echoing() as (port, _), connected(port) as http:
        await http.ask("GET", "/")
        assert await http.closed(3) == b""


async def test_a_client_that_does_not_read_is_dropped() -> None:
    ended = asyncio.Event()

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        chunk = {"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True}
        for _ in range(100):
            await send(chunk)
        ended.set()

    listening = bind_tcp("127.0.0.1", 0)
    port = listening.getsockname()[1]
    async with serving([Listener(flood, [listening], Door(deadlines=QUICK))]):
        await until_connectable(port)
        with socket.create_connection(("127.0.0.1", port)) as lazy:
            lazy.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            async with asyncio.timeout(5):
                await ended.wait()


async def test_the_oldest_stranger_makes_room_for_a_new_connection() -> None:
    async with (
        echoing(Door(max_connections=2)) as (port, _),
        connected(port) as first,
        connected(port) as second,
        connected(port) as third,
    ):
        await third.ask("GET", "/")
        assert await first.closed() == b""
        assert (await second.ask("GET", "/")).status == 200


async def test_a_client_with_a_valid_key_keeps_its_place() -> None:
    async with running_front() as front:
        door = Door(max_connections=2)
        listening = bind_tcp("127.0.0.1", 0)
        port = listening.getsockname()[1]
        async with serving([Listener(front.app, [listening], door)]):
            await until_connectable(port)
            async with connected(port) as known:
                headers = await legacy_session(known)
                strangers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
                got = await known.ask("DELETE", headers=headers)
                assert got.status == 200
                for _, writer in strangers:
                    writer.close()


async def test_http_1_0_is_answered_and_closed() -> None:
    async with echoing() as (port, _), connected(port) as http:
        http.writer.write(b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
        got = await http.closed()
        assert got.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close" in got
        assert got.endswith(b"ok")


async def test_an_upgrade_is_not_followed() -> None:
    async with echoing() as (port, _), connected(port) as http:
        upgrade = {"Connection": "upgrade", "Upgrade": "websocket"}
        got = await http.ask("GET", "/", headers=upgrade)
        assert got.status == 200


def test_a_taken_port_is_a_sentence() -> None:
    with bind_tcp("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(SecondInstance, match="Cannot listen on"):
            bind_tcp("127.0.0.1", taken.getsockname()[1])


def test_a_unix_socket_has_its_mode_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    before = os.umask(0)
    try:
        with bind_unix(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with bind_unix(tmp_path / "ro.sock", mode=0o660, group=os.getegid()):
            assert stat.S_IMODE((tmp_path / "ro.sock").stat().st_mode) == 0o660
        assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_nobody_can_connect_before_the_mode_is_set(tmp_path: Path) -> None:
    modes: list[int] = []

    class Watched(PosixPath):
        @override
        def chmod(self, mode: int, **_: bool) -> None:
            modes.append(stat.S_IMODE(self.stat().st_mode))
            super().chmod(mode)

    bind_unix(Watched(tmp_path / "admin.sock"), mode=0o660).close()
    assert modes == [0o600]


def test_a_dead_socket_of_ours_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    bind_unix(path).close()
    with bind_unix(path) as listening:
        listening.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_living_socket_means_a_second_instance(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with bind_unix(path) as listening:
        listening.listen()
        with pytest.raises(SecondInstance, match="Another wicketd answers"):
            bind_unix(path)
        assert path.is_socket()


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    path.write_text("precious")
    with pytest.raises(ConfigInvalid, match="in the way"):
        bind_unix(path)
    assert path.read_text() == "precious"


def test_a_missing_directory_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="Cannot listen on"):
        bind_unix(tmp_path / "missing" / "admin.sock")


async def test_the_admin_app_sees_its_peer_and_an_http_app_none(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    app = Echo()
    listening, port_socket = bind_unix(path), bind_tcp("127.0.0.1", 0)
    port = port_socket.getsockname()[1]
    listeners = [
        Listener(app, [listening], Door(), is_admin=True),
        Listener(app, [port_socket], Door()),
    ]
    async with serving(listeners):
        await until_connectable(port)
        reader, writer = await asyncio.open_unix_connection(path)
        got = await Http(reader, writer).ask("GET", "/v1/status")
        writer.close()
        assert got.status == 200
        async with connected(port) as http:
            await http.ask("GET", "/")
    pid, uid, gid, groups = app.scopes[0]["state"]["wicket.peer"]
    assert (pid, uid, gid) == (os.getpid(), os.geteuid(), os.getegid())
    assert set(groups) == set(os.getgroups())
    assert app.scopes[1]["state"]["wicket.peer"] is None


def test_the_listener_serves_tcp_and_unix_under_uvloop(tmp_path: Path) -> None:
    async def ask() -> list[int]:
        path = tmp_path / "admin.sock"
        app = Echo()
        port_socket = bind_tcp("127.0.0.1", 0)
        port = port_socket.getsockname()[1]
        listeners = [
            Listener(app, [bind_unix(path)], Door(), is_admin=True),
            Listener(app, [port_socket], Door()),
        ]
        async with serving(listeners):
            await until_connectable(port)
            reader, writer = await asyncio.open_unix_connection(str(path))
            unix = await Http(reader, writer).ask(path="/", body=b"x")
            writer.close()
            async with connected(port) as http:
                tcp = await http.ask(path="/", body=b"x")
        assert app.scopes[0]["state"]["wicket.peer"][0] == os.getpid()
        return [unix.status, tcp.status]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(ask()) == [200, 200]


ACTIVATED = """
import os, sys
from wicketd.server import activated
os.environ["LISTEN_PID"] = str(os.getpid())
got = activated(os.environ, os.getpid())
print({name: [s.get_inheritable() for s in sockets] for name, sockets in got.items()})
print([name for name in os.environ if name.startswith("LISTEN_")])
"""


def test_sockets_of_systemd_come_by_name_and_are_not_inherited(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        for number, sock in enumerate((one, two)):
            sock.bind(str(tmp_path / f"{number}.sock"))
            sock.listen()
        keep = (one.fileno(), two.fileno())
        command = f"exec {sys.executable} -c '{ACTIVATED}' 3<&{keep[0]} 4<&{keep[1]}"
        environ = {**os.environ, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "admin:admin-ro"}
        done = subprocess.run(
            ["bash", "-c", command],
            pass_fds=keep,
            env=environ,
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.splitlines() == ["{'admin': [False], 'admin-ro': [False]}", "[]"]


@pytest.mark.parametrize(
    "environ",
    [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": "7", "LISTEN_FDS": "x"}],
)
def test_sockets_meant_for_another_process_are_not_taken(environ: dict[str, str]) -> None:
    assert activated(environ, 7) == {}
    assert environ == {}


class Manager:
    """The side of systemd: what was notified, in order."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.got: list[dict[str, str]] = []

    def poll(self) -> list[dict[str, str]]:
        """Everything so far."""
        try:
            while True:
                lines = self.socket.recv(4096).decode().splitlines()
                self.got.append(dict(line.split("=", 1) for line in lines))
        except BlockingIOError:
            return self.got


@asynccontextmanager
async def notified(
    tmp_path: Path, probe: Callable[[], Awaitable[bool]]
) -> AsyncIterator[tuple[Manager, asyncio.Event]]:
    """A served app under a manager with a watchdog of 0.1 s."""
    manager = Manager(tmp_path / "notify.sock")
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify.sock"), "WATCHDOG_USEC": "100000"}
    stop = asyncio.Event()

    async def drain() -> None:
        """Nothing runs."""

    listener = Listener(Echo(), [bind_tcp("127.0.0.1", 0)], Door())
    running = asyncio.get_running_loop().create_task(
        serve([listener], probe=probe, drain=drain, notifier=Notifier(environ), stop=stop)
    )
    try:
        yield manager, stop
    finally:
        stop.set()
        await running
        manager.socket.close()


async def test_systemd_hears_ready_once_then_the_watchdog_then_stopping(tmp_path: Path) -> None:
    async with notified(tmp_path, always_good) as (manager, stop):
        await eventually(lambda: len(manager.poll()) >= 3)
        first, *others = manager.got
        assert first == {"READY": "1", "WATCHDOG": "1", "STATUS": "Serving."}
        assert others[0] == {"WATCHDOG": "1", "STATUS": "Serving."}
        stop.set()
        await eventually(lambda: manager.poll()[-1].get("STOPPING") == "1")


async def test_ready_is_said_only_once_every_socket_takes_connections() -> None:
    stop = asyncio.Event()
    ports = [bind_tcp("127.0.0.1", 0) for _ in range(4)]

    async def connecting() -> bool:
        async with connected(ports[-1].getsockname()[1]) as http:
            http.writer.write(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            assert (await http.closed()).startswith(b"HTTP/1.1 200")
        stop.set()
        return True

    async def drain() -> None:
        """Nothing runs."""

    await serve(
        [Listener(Echo(), ports, Door())],
        probe=connecting, drain=drain, notifier=Notifier({}), stop=stop,
    )  # fmt: skip


async def test_a_degraded_database_still_feeds_the_watchdog(tmp_path: Path) -> None:
    async def failing() -> bool:
        raise AuditNotDurable("The disk is full.")

    async with notified(tmp_path, failing) as (manager, _):
        await eventually(lambda: len(manager.poll()) >= 2)
        assert manager.got[1]["STATUS"].startswith("Degraded")
        assert manager.got[1]["WATCHDOG"] == "1"


async def test_a_hanging_database_starves_the_watchdog(tmp_path: Path) -> None:
    answers = [True]

    async def hanging() -> bool:
        if answers:
            return answers.pop()
        await asyncio.Event().wait()
        return True

    async with notified(tmp_path, hanging) as (manager, _):
        await eventually(lambda: not answers and len(manager.poll()) == 1)
        await asyncio.sleep(0.2)
        assert len(manager.poll()) == 1


async def test_sigterm_stops_the_daemon_and_running_requests_end_first() -> None:
    release, entered = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        entered.set()
        await release.wait()
        await Echo()(scope, receive, send)

    async def drain() -> None:
        release.set()

    listening = bind_tcp("127.0.0.1", 0)
    port = listening.getsockname()[1]
    running = asyncio.get_running_loop().create_task(
        serve(
            [Listener(slow, [listening], Door())],
            probe=always_good,
            drain=drain,
            notifier=Notifier({}),
            stop=asyncio.Event(),
        )
    )
    await until_connectable(port)
    async with connected(port) as http:
        await http.send(path="/", body=b"x")
        await entered.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        assert (await http.answer()).body == b"x"
        async with asyncio.timeout(5):
            await running
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_no_header_tells_what_serves() -> None:
    async with running_front() as front, connected(front.port) as http:
        headers = modern_headers("server/discover")
        got = await http.ask(body=modern("server/discover"), headers=headers)
        assert set(got.headers) == {"content-type", "content-length"}
