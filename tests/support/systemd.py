"""systemd's side of a service, played by hand: sockets, credentials and notifications as units say.

What the units in contrib/systemd name (sockets, their order and modes, credentials) is read from
them, so that a daemon that starts here starts under them.
"""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.daemon import ROOT, RunningDaemon

UNITS = ROOT / "contrib" / "systemd"


def directives(unit: str) -> dict[str, list[str]]:
    """Directive to its values in a unit file."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / unit).read_text(encoding="utf-8").splitlines():
        name, is_directive, value = line.partition("=")
        if is_directive and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def credentials() -> list[str]:
    """What `LoadCredential=` names."""
    return [value.partition(":")[0] for value in directives("wicketd.service")["LoadCredential"]]


@dataclass
class Manager:
    """A service manager with one service; `heard`: its notifications in order."""

    daemon: RunningDaemon
    inbox: socket.socket
    sockets: dict[str, Path] = field(default_factory=dict)
    heard: list[dict[str, str]] = field(default_factory=list)

    def start(self, watchdog_s: float = 30) -> None:
        """Forks the daemon with the unit's sockets from descriptor 3 on."""
        with ExitStack() as stack:
            given = [stack.enter_context(self._listen(unit)) for unit in _socket_units()]
            moves = [f"{3 + at}<&{sock.fileno()}" for at, sock in enumerate(given)]
            closes = [f"{sock.fileno()}<&-" for sock in given]
            script = f"exec {' '.join(moves + closes)}; LISTEN_PID=$$ exec " + '"$@"'
            log = stack.enter_context((self.daemon.directory / "wicketd.log").open("ab"))
            self.daemon.process = subprocess.Popen(
                ["bash", "-c", script, "bash", sys.executable, "-m", "wicketd", "serve",
                 "--config", str(self.daemon.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[sock.fileno() for sock in given],
                env=self._environment(watchdog_s), cwd="/",
            )  # fmt: skip

    def _listen(self, unit: str) -> socket.socket:
        told = directives(unit)
        path = self.daemon.directory / Path(told["ListenStream"][0]).name
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        while listener.fileno() < 10:  # clear of the descriptors that the daemon gets
            listener = listener.dup()
        listener.bind(str(path))
        path.chmod(int(told["SocketMode"][0], 8))
        listener.listen()
        self.sockets[told["FileDescriptorName"][0]] = path
        return listener

    def _environment(self, watchdog_s: float) -> dict[str, str]:
        names = [directives(unit)["FileDescriptorName"][0] for unit in _socket_units()]
        return {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "NOTIFY_SOCKET": str(self.daemon.directory / "notify"),
            "WATCHDOG_USEC": str(int(watchdog_s * 1_000_000)),
            "LISTEN_FDS": str(len(names)),
            "LISTEN_FDNAMES": ":".join(names),
            "CREDENTIALS_DIRECTORY": str(self.daemon.directory / "credentials"),
        }

    async def hear(self) -> dict[str, str]:
        """The next notification; fails when the daemon is gone or silent for 30 s."""
        receive = asyncio.get_running_loop().sock_recv
        try:
            text = await asyncio.wait_for(receive(self.inbox, 4096), 30)
        except TimeoutError:
            raise AssertionError(self.daemon.tail()) from None
        self.heard.append(dict(line.split("=", 1) for line in text.decode().splitlines()))
        return self.heard[-1]

    def signal_stop(self) -> None:
        """What `systemctl stop` sends."""
        assert self.daemon.process is not None
        self.daemon.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """The exit code."""
        assert self.daemon.process is not None
        return await asyncio.to_thread(self.daemon.process.wait, 40)


def _socket_units() -> list[str]:
    return directives("wicketd.service")["Sockets"][0].split()


@asynccontextmanager
async def managed(directory: Path, port: int) -> AsyncIterator[Manager]:
    """An installation as docs/systemd.md makes it, with an empty state directory; not started."""
    founded = directory / "founded"
    daemon = RunningDaemon(directory, port)
    daemon.run("wicketd", "init", "--dir", str(founded))
    (directory / "credentials").mkdir(mode=0o700)
    (directory / "state").mkdir(mode=0o700)
    for name in credentials():
        (founded / name).rename(directory / "credentials" / name).chmod(0o400)
    daemon.config.write_text(f'state_dir = "{directory / "state"}"\n[server]\nport = {port}\n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(str(directory / "notify"))
        inbox.setblocking(False)
        try:
            yield Manager(daemon, inbox)
        finally:
            daemon.kill()
