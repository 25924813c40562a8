"""P21: the admin surface exists only on the Unix socket, authorised by peer uid."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.gate import Gate, open_gate
from tests.support.mcp_client import exchange, request
from wicketd.api.endpoints import ENDPOINTS

pytestmark = pytest.mark.asyncio(loop_scope="module")
WHOAMI = "GET /v1/whoami HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("p"), policies={}) as gate:
        yield gate


@pytest.mark.requirement("P21")
async def test_no_admin_path_exists_on_the_http_port(gate: Gate) -> None:
    key = await gate.member()
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{", "").replace("}", "")
        for headers in ([], [("Authorization", f"Bearer {key}")]):
            ask = request(b"{}", headers, method=endpoint.method, path=path)
            answer = await exchange(gate.port, ask.replace(b"\r\n\r\n{}", b"\r\n\r\n"))
            assert answer.status == 404, endpoint.name
            assert b"Page not found" in answer.body  # the portal's own page, nothing of the API


@pytest.mark.requirement("P21")
@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("localhost", ""),
        ("evil.example", ""),
        ("wicket-admin.evil.example", ""),
        ("wicket-admin", "Origin: http://wicket-admin\r\n"),
        ("wicket-admin", "Referer: http://localhost/\r\n"),
        ("wicket-admin", "Sec-Fetch-Mode: cors\r\n"),
        ("wicket-admin", "X-Forwarded-For: 127.0.0.1\r\n"),
    ],
)
@pytest.mark.parametrize("read_only", [False, True])
async def test_what_only_a_browser_or_proxy_sends_is_refused(
    gate: Gate, host: str, more: str, read_only: bool
) -> None:
    ask = WHOAMI.format(host=host, more=more).encode()
    assert (await gate.ask_raw(ask, read_only=read_only)).status == 403
    good = WHOAMI.format(host="wicket-admin", more="").encode()
    assert (await gate.ask_raw(good, read_only=read_only)).json["uid"] == os.geteuid()


@pytest.mark.requirement("P21")
async def test_the_sockets_are_made_for_few(gate: Gate) -> None:
    for name in ("admin.sock", "admin-ro.sock"):
        path = gate.daemon.socket.with_name(name)
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    assert stat.S_IMODE(gate.daemon.directory.stat().st_mode) == 0o700


@pytest.mark.requirement("P21")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can connect as somebody else")
@pytest.mark.parametrize("uid", [65534, 54321])
async def test_an_outsider_is_refused_even_where_the_file_modes_would_let_it_in(
    gate: Gate, uid: int
) -> None:
    opened = [gate.daemon.socket, *gate.daemon.socket.parents][:-2]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in opened}
    try:
        for path in opened:
            path.chmod(modes[path] | 0o007)
        ask = WHOAMI.format(host="wicket-admin", more="")
        knock = (
            "import os, socket, sys; os.setgroups([]); os.setgid(int(sys.argv[2]));"
            " os.setuid(int(sys.argv[2])); s = socket.socket(socket.AF_UNIX); s.settimeout(5);"
            " s.connect(sys.argv[1]); s.sendall(sys.argv[3].encode()); print(s.recv(4096))"
        )
        run = [sys.executable, "-c", knock, str(gate.daemon.socket), str(uid), ask]
        done = await asyncio.to_thread(
            subprocess.run, run, capture_output=True, text=True, check=False, timeout=20
        )
    finally:
        for path in opened:
            path.chmod(modes[path])
    assert "200 OK" not in done.stdout
    assert done.stdout.strip() == "b''" or "403" in done.stdout or "Error" in done.stderr
