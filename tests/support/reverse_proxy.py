"""nginx and Caddy from Debian's packages, with the configuration that docs/reverse-proxy.md shows.

`tools/packages.sh proxies` installs them.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.support.daemon import free_port
from tests.support.packages import require

ROOT: Final = Path(__file__).resolve().parents[2]
GUIDE: Final = (ROOT / "docs" / "reverse-proxy.md").read_text(encoding="utf-8")
NAME: Final = "mcp.example.org"
BARE: Final = "server { location / { proxy_pass http://127.0.0.1:8650; } listen 443 ssl; }"
"""nginx as Debian ships it, with the one line that nobody can leave out."""


def shown(language: str) -> str:
    """The block of the guide in that language."""
    match = re.search(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


@asynccontextmanager
async def nginx(directory: Path, daemon_port: int, site: str = "") -> AsyncIterator[int]:
    """nginx in the foreground; gives its port. `site`: in place of the guide's."""
    port = free_port()
    text = (site or shown("nginx")).replace("8650", str(daemon_port))
    text = re.sub(r"\n *ssl_certificate.*", "", text).replace("443 ssl", f"127.0.0.1:{port}")
    config = directory / "nginx.conf"
    places = "".join(
        f"{kind}_temp_path {directory}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""  # the directory is private
    config.write_text(
        f"{user} pid {directory}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; gzip on; sendfile on; {places}\n{text} }}\n"
    )
    command = [
        require("nginx", "proxies"),
        "-c",
        str(config),
        "-p",
        str(directory),
        "-g",
        "daemon off;",
    ]
    async with _running(command, port, {}):
        yield port


@asynccontextmanager
async def caddy(directory: Path, daemon_port: int) -> AsyncIterator[int]:
    """Caddy with the guide's file, but for the certificate; gives its port."""
    port = free_port()
    text = shown("caddy").replace("8650", str(daemon_port))
    text = text.replace(NAME, f"http://{NAME}:{port}")
    config = directory / "Caddyfile"
    config.write_text("{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}\n" + text)
    home = {"HOME": str(directory), "XDG_DATA_HOME": str(directory)}
    command = [
        require("caddy", "proxies"),
        "run",
        "--config",
        str(config),
        "--adapter",
        "caddyfile",
    ]
    async with _running(command, port, home):
        yield port


@asynccontextmanager
async def _running(command: list[str], port: int, home: dict[str, str]) -> AsyncIterator[None]:
    child = await asyncio.create_subprocess_exec(
        *command, env={"PATH": os.environ["PATH"], **home},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                assert child.returncode is None, command
                await asyncio.sleep(0.02)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        await child.wait()
