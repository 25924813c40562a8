"""P4: no token, code, second-factor secret, session or member key is readable anywhere.

A member walks the portal of a running daemon, connects, makes a key and calls a tool; an
administrator reads everything there is. Every secret that came up on the way is then looked for,
in each spelling, in every file of the state directory (database, write-ahead log, free pages), in
the log, the process table, every answer of the admin API and its exports, and every page.

Removals tried by hand, each turned a test here red: the masking of recorded arguments, a token
written to the log, `_never_dump` in `daemon.run`.
"""

import asyncio
import base64
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from tests.support.admin import get, raw
from tests.support.browser import Browser
from tests.support.canaries import Canaries, files
from tests.support.daemon import RunningDaemon, running_daemon
from tests.support.mcp_client import McpClient
from tests.support.portal import MAIL, Person, Portal
from tests.support.upstreams import Seen, serve
from wicketd.api.endpoints import ENDPOINTS
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOKEN: Final = "static-c4n4ry-9f8e7d6c5b4a"
ARGUMENT: Final = "argument-c4n4ry-112233445566"
RESULT: Final = "result-c4n4ry-aabbccddeeff"
DISCOVERY: Final = "discovery-c4n4ry-665544332211"
PAGES: Final = (
    "/agents", "{agent}", "{agent}/key", "{agent}/activity", "{agent}/sessions", "/account",
    "{agent}/services/notes/token", "{agent}/key/revoke", "{agent}/leave", "/account/mfa/codes",
    "/sign-out", "/signin", "/no-such-page",
)  # fmt: skip


@dataclass
class Walked:
    """What is left after the walk."""

    daemon: RunningDaemon
    canaries: Canaries
    person: Person
    agent: str
    pages: dict[str, bytes] = field(default_factory=dict)


async def _notes(seen: Seen, _: web.Request) -> web.StreamResponse:
    if seen.headers.get("Authorization") not in {f"Bearer {TOKEN}", f"Bearer {DISCOVERY}"}:
        return web.Response(status=401)
    if seen.method != "POST" or "id" not in seen.body:
        return web.Response(status=405 if seen.method != "POST" else 202)
    tool = {
        "name": "search_notes",
        "inputSchema": {"type": "object", "properties": {"q": {"type": "string"}}},
    }
    result: dict[str, Any] = {"tools": [tool]}
    if seen.rpc == "initialize":
        result = {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "notes", "version": "1"},
        }
    elif seen.rpc == "tools/call":
        result = {"content": [{"type": "text", "text": RESULT}]}
    body = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def walked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Walked]:
    directory = tmp_path_factory.mktemp("p")
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serve(_notes))
        connector = (
            'key = "notes"\nname = "Notes"\n'
            'credential = { kind = "static", header = "Authorization", '
            'format = "Bearer {token}" }\n'
            f'[transport]\nkind = "streamable-http"\nurl = "{upstream.url}"\n'
            'insecure_http = true\nallow_networks = ["127.0.0.0/8"]\n'
        )
        daemon = await stack.enter_async_context(
            running_daemon(directory, settings=MAIL, connectors={"notes": connector})
        )
        canaries = Canaries()
        walked = await asyncio.to_thread(_walk, daemon, canaries)
        key = canaries.secrets["member key"].decode()
        for era in (Era.LEGACY, Era.MODERN):
            client = await McpClient(daemon.port, key, era).open()
            answer = await client.call("notes__search_notes", {"q": ARGUMENT, "password": ARGUMENT})
            assert RESULT in str(answer.json), answer.json
            bad = McpClient(daemon.port, key[:-1] + ("a" if key[-1] != "a" else "b"), Era.MODERN)
            assert (await bad.call("notes__search_notes", {})).status == 401
        yield walked


def _walk(daemon: RunningDaemon, canaries: Canaries) -> Walked:
    """From the invitation to the key, by the member; the administrator's part by commands."""
    daemon.wicket("agent", "create", "demo", "--name", "Demo agent")
    daemon.wicket("service", "enable", "demo", "notes", "--allow", "all")
    daemon.wicket("service", "discover", "demo", "notes", "--token-stdin", stdin=DISCOVERY + "\n")
    daemon.wicket("service", "tier", "demo", "notes", "search_notes", "read")
    portal = Portal(daemon)
    person = Person(daemon, "ann@example.org", Browser(daemon.port))
    invitation = portal.invite()
    canaries.plant("invitation", invitation.rpartition("/")[2][-40:])
    agent = person.join(invitation)
    canaries.plant("pre-login or session cookie", next(iter(person.browser.cookies.values())))
    canaries.plant("sign-in code", person.mailed_code(len(person.mails()) - 1).replace("-", ""))
    daemon.wicket("member", "approve", "demo", person.address)
    person.browser.follow(f"{agent}/services/notes/token")
    assert person.browser.submit(f"{agent}/services/notes/token", token=TOKEN).status == 303
    canaries.plant("static token", TOKEN)
    canaries.plant("token of a discovery", DISCOVERY)
    key = person.make_key(agent)
    canaries.plant("member key", key)
    canaries.plant("secret of the member key", key.split("_")[1])
    canaries.plant("secret of the second factor", person.secret)
    canaries.plant("secret of the second factor, decoded", base64.b32decode(person.secret))
    for number, code in enumerate(person.backup_codes):
        canaries.plant(f"backup code {number}", code)
    for name, value in person.browser.cookies.items():
        canaries.plant(f"cookie {name}", value)
        canaries.plant(f"cookie {name}, decoded", base64.urlsafe_b64decode(value + "="))
    for name in ("server.keyring", "audit.key"):
        held = msgspec.json.decode((daemon.directory / name).read_bytes())
        for entry in held["keys"]:
            canaries.plant(f"{name} {entry['kid']}", entry["key"])
            root = base64.urlsafe_b64decode(entry["key"] + "=")
            canaries.plant(f"{name} {entry['kid']}, decoded", root)
    canaries.plant("argument", ARGUMENT)
    canaries.plant("result", RESULT)
    walked = Walked(daemon, canaries, person, agent)
    for page in PAGES:
        path = page.format(agent=agent)
        walked.pages[path] = person.browser.get(path).body
    return walked


@pytest.mark.requirement("P4")
@pytest.mark.parametrize("before", [b"", b"x", b"xy"])
async def test_the_search_finds_every_spelling_of_a_secret(before: bytes) -> None:
    secret = b"c4n4ry+/?secret\xff\xfe"
    planted = Canaries({"one": secret})
    spelt = {
        "raw": before + secret,
        "base64": base64.b64encode(before + secret + b"behind"),
        "base64url": base64.urlsafe_b64encode(before + secret),
        "hex": before + secret.hex().encode(),
        "url": quote(secret, safe="").encode(),
    }
    assert planted.hits(spelt) == [f"one in {name}" for name in spelt]
    assert not planted.hits({"other": b"c4n4ry+/?secreT" + secret[:-1]})


@pytest.mark.requirement("P4")
async def test_no_file_of_the_daemon_holds_a_secret(walked: Walked) -> None:
    """Database, write-ahead log, daemon's log; key files and the mailbox are meant to."""
    directory = walked.daemon.directory
    meant = [directory / name for name in ("server.keyring", "audit.key", "mail")]
    found = files(directory, meant)
    assert {"wicket.db", "wicket.db-wal", "wicketd.log"} <= found.keys()
    assert not walked.canaries.hits(found)


@pytest.mark.requirement("P4")
async def test_a_copy_of_the_database_holds_no_secret_either(
    walked: Walked, tmp_path: Path
) -> None:
    """A backup rewrites every page: what lay in free pages would come along or not at all."""
    copy = tmp_path / "copy.db"
    script = "import sqlite3, sys; a, b = map(sqlite3.connect, sys.argv[1:]); a.backup(b)"
    database = str(walked.daemon.directory / "wicket.db")
    await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script, database, str(copy)], check=True
    )
    assert not walked.canaries.hits({"copy": copy.read_bytes()})


@pytest.mark.requirement("P4")
async def test_no_answer_of_the_admin_interface_shows_a_secret(walked: Walked) -> None:
    wicket = walked.daemon.wicket
    member = (await asyncio.to_thread(wicket, "member", "list", "demo"))[0]
    known = {
        "agent": "demo",
        "member": member["id"],
        "service": "notes",
        "key": "notes",
        "account": walked.person.address,
        "policy": "baseline-notes",
        "version": "1",
        "revision": "1",
    }
    sinks: dict[str, bytes] = {}
    for row in ENDPOINTS:
        names = re.findall(r"\{(\w+)\}", row.path)
        if row.method == "GET" and row.form == "json" and all(name in known for name in names):
            path = row.path.format(**known)
            sinks[path] = (await raw(walked.daemon.socket, get(path))).body
    assert len(sinks) > 20
    for form in ("jsonl", "csv"):
        ran = await asyncio.to_thread(
            walked.daemon.run, "wicket_tui", "audit", "export", "--format", form
        )
        assert "connection.sealed" in ran
        sinks[f"export {form}"] = ran.encode()
    assert not walked.canaries.hits(sinks)


@pytest.mark.requirement("P4")
async def test_no_page_shows_a_secret_again(walked: Walked) -> None:
    assert b"Ann" in walked.pages["/account"] or b"ann@example.org" in walked.pages["/account"]
    assert not walked.canaries.hits(walked.pages)


@pytest.mark.requirement("P4")
async def test_the_process_table_shows_no_secret(walked: Walked) -> None:
    assert walked.daemon.process is not None
    place = Path(f"/proc/{walked.daemon.process.pid}")
    sinks = {name: (place / name).read_bytes() for name in ("cmdline", "environ", "comm")}
    assert not walked.canaries.hits(sinks)


@pytest.mark.requirement("P4")
async def test_a_crash_leaves_no_core_file(tmp_path: Path) -> None:
    """The same signal makes another process leave one, where the host writes core files at all."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        control = tmp_path / "control"
        control.mkdir()
        subprocess.run([sys.executable, "-c", "import os; os.abort()"], cwd=control, check=False)
        directory = tmp_path / "state"
        directory.mkdir()
        async with running_daemon(directory) as daemon:
            assert daemon.process is not None
            daemon.process.send_signal(signal.SIGABRT)
            assert await asyncio.to_thread(daemon.process.wait, 10) == -signal.SIGABRT
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    if not list(control.glob("core*")):
        print("not run: this host writes no core files into the working directory")
    assert not list(directory.glob("core*"))
    assert os.environ.get("WICKET_KEY") is None
