"""A real `wicketd serve` in a directory of its own, driven by its own command lines.

Everything is a process and a socket, as users have it; nothing of the daemon is imported here.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parent.parent.parent


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class RunningDaemon:
    """A daemon process. `settings`: TOML behind the defaults of the fixture."""

    directory: Path
    port: int
    settings: str = ""
    process: subprocess.Popen[bytes] | None = None
    connectors: dict[str, str] = field(default_factory=dict)
    public_url: str = ""
    """What clients elsewhere would type."""
    module: str = ""
    """Another program in place of `wicketd serve`; it gets the configuration file."""

    @property
    def url(self) -> str:
        """Where MCP clients connect."""
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def socket(self) -> Path:
        """The admin socket."""
        return self.directory / "run" / "admin.sock"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.directory / "wicketd.toml"

    @property
    def log(self) -> str:
        """What the daemon wrote to stderr."""
        return (self.directory / "wicketd.log").read_text(errors="replace")

    def environment(self) -> dict[str, str]:
        """No setting of the caller's leaks in."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("WICKET_")}
        return kept | {"PYTHONPATH": str(ROOT), "WICKET_SOCKET": str(self.socket)}

    def prepare(self) -> None:
        """Makes keys, connectors and configuration; connector files as given."""
        self.run("wicketd", "init", "--dir", str(self.directory))
        for key, text in self.connectors.items():
            (self.directory / "connectors.d" / f"{key}.toml").write_text(text)
        public = f'public_url = "{self.public_url}"\n' if self.public_url else ""
        self.config.write_text(
            f'state_dir = "{self.directory}"\n[server]\nport = {self.port}\n{public}'
            f'[services]\nconnectors_dir = "{self.directory / "connectors.d"}"\n' + self.settings
        )

    def run(self, module: str, *arguments: str, stdin: str | None = None, code: int = 0) -> str:
        """Runs one of our commands to its end; any other exit code is a failure."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
            cwd=self.directory,
            timeout=60,
        )
        assert done.returncode == code, (module, arguments, done.stdout, done.stderr, self.tail())
        return done.stdout

    def wicket(self, *arguments: str, stdin: str | None = None) -> Any:
        """The result of `wicket … --json`."""
        return msgspec.json.decode(self.run("wicket_tui", *arguments, "--json", stdin=stdin))[
            "result"
        ]

    async def start(self) -> None:
        """Starts the process and waits until it listens, for clients and administrators."""
        with (self.directory / "wicketd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self._serving()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                cwd=self.directory,
            )
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError):
                    _, clients = await asyncio.open_connection("127.0.0.1", self.port)
                    clients.close()
                    _, admins = await asyncio.open_unix_connection(str(self.socket))
                    admins.close()
                    return
                assert self.process.poll() is None, self.tail()
                await asyncio.sleep(0.02)

    def _serving(self) -> tuple[str, ...]:
        if self.module:
            return self.module, str(self.config)
        return "wicketd", "serve", "--config", str(self.config)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def stop(self) -> int:
        """SIGTERM, as systemd does; gives the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(40)
        self.process = None
        return code

    def tail(self) -> str:
        """The end of the log, for failures."""
        with contextlib.suppress(FileNotFoundError):
            return self.log[-3000:]
        return ""


@asynccontextmanager
async def running_daemon(
    directory: Path,
    *,
    settings: str = "",
    connectors: dict[str, str] | None = None,
    public_url: str = "",
    module: str = "",
) -> AsyncIterator[RunningDaemon]:
    """A daemon that serves until the block ends. `module`: as of `RunningDaemon`."""
    daemon = RunningDaemon(
        directory,
        free_port(),
        settings,
        connectors=connectors or {},
        public_url=public_url,
        module=module,
    )
    daemon.prepare()
    try:
        await daemon.start()
        yield daemon
    finally:
        daemon.kill()
