"""The fail-closed rules of security specification 11, each with the real component broken.

One daemon, one upstream that counts; rules about the start run `wicketd` until it exits.
"""

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.support.daemon import ROOT, RunningDaemon, free_port
from tests.support.entering import ANN, BROWSER, IP, PRELOGIN, house_of, token_of
from tests.support.gate import AGENT, TOKEN, Gate, open_gate
from tests.support.mcp_client import exchange, request
from tests.support.state import ADMIN, open_state
from wicketd.api import endpoints
from wicketd.api.client import Refused
from wicketd.api.types.accounts import AccountRef
from wicketd.api.types.agents import AgentCreate, AgentStatusSet
from wicketd.api.types.audit import AuditList
from wicketd.api.types.invites import InviteCreate, InviteResend
from wicketd.api.types.services import ServicePut
from wicketd.domain.calls import Era
from wicketd.domain.errors import ClockBackwards

pytestmark = pytest.mark.asyncio(loop_scope="module")
OVERFLOWS: Final = (
    'forbid (principal, action == DeskMCP::Action::"counts", resource)'
    " when { context.session.calls * 9223372036854775807 + 9223372036854775807 < 0 };"
)
EVERYTHING: Final = "permit (principal, action, resource);"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("f")) as gate:
        yield gate


@contextmanager
def nothing_forwarded(gate: Gate) -> Iterator[None]:
    """The upstream sees no request meanwhile."""
    before = gate.forwarded
    yield
    assert gate.forwarded == before


async def denied(gate: Gate, key: str, tool: str = "desk__echo") -> str:
    """Calls a tool in both eras; gives the audit's reason, which must be one and a denial's."""
    reasons = set()
    with nothing_forwarded(gate):
        for era in Era:
            answer = await (await gate.client(key, era)).call(tool)
            assert answer.error["code"] == -32600
            entry = (await gate.why(answer.ref))["entry"]
            assert (entry["kind"], entry["decision"]) == ("call.denied", "DENY")
            reasons.add(str(entry["reasonCode"]))
    (reason,) = reasons
    return reason


@pytest.mark.requirement("FC1")
async def test_fc01_without_a_durable_intent_nothing_goes_up(gate: Gate) -> None:
    client = await gate.client(await gate.member())
    await client.call("desk__echo")
    with nothing_forwarded(gate), gate.unwritable():
        answer = await client.call("desk__echo")
    assert answer.error["data"]["wicket"]["reason"] == "audit_not_writable"
    await gate.healthy()


@pytest.mark.requirement("FC2")
async def test_fc02_a_forbid_that_errs_denies_although_a_permit_matches(gate: Gate) -> None:
    key = await gate.member()
    client = await gate.client(key)
    assert (await client.call("desk__counts")).result
    assert (await client.call("desk__counts")).result
    await gate.policy("Overflows", OVERFLOWS)
    with nothing_forwarded(gate):
        answer = await client.call("desk__counts")
    entry = (await gate.why(answer.ref))["entry"]
    assert entry["decision"] == "DENY"
    assert "overflow" in str(entry["fields"]["evaluationErrors"])


@pytest.mark.requirement("FC3")
async def test_fc03_an_edited_set_is_not_put_in_force(gate: Gate) -> None:
    await gate.admin.call(endpoints.AGENT_CREATE, AgentCreate(key="edited", name="Edited"))
    await gate.admin.call(endpoints.SERVICE_PUT, ServicePut(agent="edited", service="desk"))
    await gate.policy("Nobody", "forbid (principal, action, resource);", agent="edited")
    key = await gate.member("eve", agent="edited")
    assert await denied(gate, key) == "forbidden"

    def edit() -> None:
        gate.edit("DROP TRIGGER tr_policy_versions_update")
        gate.edit(
            "UPDATE policy_versions SET text = 'permit (principal, action, resource);'"
            " WHERE text LIKE 'forbid (principal, action, resource);%'"
        )

    await gate.restart(edit)
    assert await denied(gate, key) == "snapshot_missing"


@pytest.mark.requirement("FC4")
async def test_fc04_what_is_empty_permits_nobody(gate: Gate) -> None:
    await gate.admin.call(endpoints.AGENT_CREATE, AgentCreate(key="empty", name="Empty"))
    put = ServicePut(agent="empty", service="desk", allow="read")
    assert (await gate.admin.call(endpoints.SERVICE_PUT, put)).applied
    key = await gate.member("emi", agent="empty")
    assert await denied(gate, key) == "no_permit"  # no tool is of the read tier
    await gate.policy(
        "For a group", 'permit (principal in Wicket::Group::"nobody", action, resource);',
        agent="empty",
    )  # fmt: skip
    assert await denied(gate, key) == "no_permit"
    listed = await (await gate.client(key)).ask("tools/list")
    assert [tool["name"] for tool in listed.result["tools"]] == ["wicket__status"]


@pytest.mark.requirement("FC5")
async def test_fc05_what_is_no_single_known_message_is_4xx(gate: Gate) -> None:
    key = await gate.member()
    legacy, modern = await gate.client(key), await gate.client(key, Era.MODERN)
    call = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"desk__echo"}}'
    twice = call.replace(b'"id":1', b'"id":1,"id":2')
    with nothing_forwarded(gate):
        for body in (b"[" + call + b"]", b'"x"', twice):
            answer = await legacy.post(body, "tools/call")
            assert 400 <= answer.status < 500
        assert (await modern.ask("tools/sing")).status == 404
        wrong = await modern.call("desk__echo", headers={"MCP-Protocol-Version": "1999-01-01"})
        assert wrong.status == 400


@pytest.mark.requirement("FC6")
async def test_fc06_a_header_that_contradicts_the_body_is_refused(gate: Gate) -> None:
    client = await gate.client(await gate.member(), Era.MODERN)
    with nothing_forwarded(gate):
        for headers in (
            {"Mcp-Method": "ping"},
            {"Mcp-Name": "modern__other"},
            {"Mcp-Param-Region": "eu"},
            {"MCP-Protocol-Version": "2025-11-25"},
        ):
            answer = await client.call("modern__mirrored", {"region": "us"}, headers=headers)
            assert (answer.status, answer.error["code"]) == (400, -32020)


@pytest.mark.requirement("FC7")
async def test_fc07_a_fault_while_authenticating_is_never_an_identity(gate: Gate) -> None:
    key = await gate.member()
    client = await gate.client(key)
    other = await gate.member()
    gate.edit("ALTER TABLE member_keys RENAME TO broken")
    try:
        with nothing_forwarded(gate):
            for one in (key, other):
                client.key = one
                await asyncio.sleep(1.1)  # what the daemon remembers of a key ends after a second
                answer = await client.call("desk__echo")
                assert answer.status in (401, 500)
                assert "result" not in answer.json
    finally:
        gate.edit("ALTER TABLE broken RENAME TO member_keys")


@pytest.mark.requirement("FC8")
async def test_fc08_a_credential_that_does_not_open_asks_to_reconnect(gate: Gate) -> None:
    client = await gate.client(await gate.connected("cat"))
    gate.edit(
        "UPDATE connections SET sealed_ct = zeroblob(length(sealed_ct)) WHERE member_id ="
        " (SELECT id FROM members WHERE local_name = 'cat')"
    )
    with nothing_forwarded(gate):
        answer = await client.call("vault__echo")
    assert answer.error["data"]["wicket"]["reason"] == "needs_reconnect"
    (shown,) = [one for one in gate.daemon.wicket("connection", "list", AGENT)
                if one["member"] == "cat"]  # fmt: skip
    assert shown["state"] == "needs_reconnect"


@pytest.mark.requirement("FC11")
async def test_fc11_a_denied_address_gets_no_credential(gate: Gate) -> None:
    client = await gate.client(await gate.connected("bar", TOKEN, "barred"))
    with nothing_forwarded(gate):
        answer = await client.call("barred__echo")
    assert answer.error["data"]["wicket"]["reason"] == "unreachable"


@pytest.mark.requirement("FC12")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can connect as somebody else")
async def test_fc12_a_peer_that_is_nobody_is_closed() -> None:
    with tempfile.TemporaryDirectory() as place:
        daemon = RunningDaemon(Path(place), free_port())
        daemon.prepare()
        await daemon.start()
        try:
            for path in (Path(place), daemon.socket.parent, daemon.socket):
                path.chmod(0o777)
            knock = (
                "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534);"
                "s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1]);"
                r"s.sendall(b'GET /v1/whoami HTTP/1.1\r\nHost: wicket-admin\r\n\r\n');"
                "print(s.recv(100))"
            )
            run = [sys.executable, "-c", knock, str(daemon.socket)]
            done = await asyncio.to_thread(
                subprocess.run, run, capture_output=True, text=True, check=False, timeout=20
            )
        finally:
            daemon.kill()
    assert done.stdout.strip() == "b''" or "Reset" in done.stderr or "BrokenPipe" in done.stderr


@pytest.mark.requirement("FC16")
async def test_fc16_what_ended_holds_for_the_next_request(gate: Gate) -> None:
    key = await gate.member("sam")
    client = await gate.client(key)
    assert (await client.call("desk__echo")).result
    await gate.admin.call(endpoints.SERVICE_PUT, put_desk(enabled=False))
    with nothing_forwarded(gate):
        reason = (await client.call("desk__echo")).error["data"]["wicket"]["reason"]
    assert reason == "service_not_enabled"
    await gate.admin.call(endpoints.SERVICE_PUT, put_desk(enabled=True))
    assert (await client.call("desk__echo")).result
    off = AgentStatusSet(agent=AGENT, status="disabled")
    await gate.admin.call(endpoints.AGENT_STATUS, off)
    with nothing_forwarded(gate):
        assert (await client.call("desk__echo")).status == 403
    on = AgentStatusSet(agent=AGENT, status="active")
    await gate.admin.call(endpoints.AGENT_STATUS, on)
    again = await gate.client(key)
    assert (await again.call("desk__echo")).result
    gate.daemon.wicket("key", "revoke", AGENT, "sam", "--reason", "test", "--yes")
    with nothing_forwarded(gate):
        assert (await again.call("desk__echo")).status == 401


def put_desk(*, enabled: bool) -> ServicePut:
    return ServicePut(agent=AGENT, service="desk", enabled=enabled)


@pytest.mark.requirement("FC17")
async def test_fc17_a_call_keeps_the_snapshot_it_was_decided_on(gate: Gate) -> None:
    client = await gate.client(await gate.member(), Era.MODERN)
    await client.call("desk__echo")
    before = (await gate.audit(kind="call.intent"))[0].fields["policyRevision"]
    gate.desk.arrived.clear()
    call = asyncio.get_running_loop().create_task(client.call("desk__hang"))
    await gate.desk.arrived.wait()
    forbid = 'forbid (principal, action == DeskMCP::Action::"hang", resource);'
    await gate.policy("No hanging", forbid)
    gate.desk.released.set()
    assert (await call).result
    gate.desk.released.clear()
    (row,) = await gate.audit(kind="call.intent", tool="hang")
    assert row.fields["policyRevision"] == before
    with nothing_forwarded(gate):
        assert (await client.call("desk__hang")).error["code"] == -32600


@pytest.mark.requirement("FC18")
async def test_fc18_a_list_shows_what_may_be_called_and_nothing_else(gate: Gate) -> None:
    for era in Era:
        client = await gate.client(await gate.member(), era)
        tools = (await client.ask("tools/list")).result["tools"]
        shown = {tool["name"] for tool in tools if tool["name"].startswith("desk__")}
        assert shown
        hidden = {f"desk__{name}" for name in gate.desk.tools} - shown
        assert {"desk__secret", "desk__erase"} <= hidden
        with nothing_forwarded(gate):
            for name in hidden:
                assert (await client.call(name)).error["code"] == -32600


@pytest.mark.requirement("FC19")
async def test_fc19_an_unknown_tool_answers_like_any_denial(gate: Gate) -> None:
    client = await gate.client(await gate.member())
    texts = set()
    with nothing_forwarded(gate):
        for tool in ("secret", "nothing"):
            answer = await client.call(f"desk__{tool}")
            text = answer.error["message"].replace(tool, "x").replace(answer.ref, "")
            texts.add((answer.status, answer.error["code"], text))
    assert len(texts) == 1


@pytest.mark.requirement("FC21")
async def test_fc21_a_text_past_the_guard_never_reaches_the_engine(gate: Gate) -> None:
    for text in ("(" * 700, EVERYTHING + " " * 65_536):
        with pytest.raises(Refused, match="error"):
            await gate.policy("Crash", text)
    assert await gate.status() == 200


@pytest.mark.requirement("FC22")
async def test_fc22_arguments_that_forge_or_do_not_fit_are_refused(gate: Gate) -> None:
    client = await gate.client(await gate.member())
    with nothing_forwarded(gate):
        for arguments in (
            b'{"__entity":{"type":"Wicket::Member","id":"root"}}',
            b'{"extra":{"__extn":{}}}',
            b'{"count":9223372036854775808}',
            b'{"amount":0.00001}',
        ):
            assert (await client.call("desk__pay", arguments)).error["code"] == -32602


@pytest.mark.requirement("FC23")
async def test_fc23_without_a_durable_outcome_the_result_is_withheld(gate: Gate) -> None:
    client = await gate.client(await gate.member())
    await client.call("desk__echo")
    with ExitStack() as locked:

        async def lock() -> None:
            locked.enter_context(gate.unwritable())

        gate.desk.during["unwritable"] = lock
        answer = await client.call("desk__unwritable", {"text": "c4n4ry"})
        del gate.desk.during["unwritable"]
        assert answer.error["data"]["wicket"]["reason"] == "result_withheld"
        assert b"c4n4ry" not in answer.body
        assert await gate.status() == 503
    await gate.healthy()


@pytest.mark.requirement("FC24", "CVE-2026-52870")
async def test_fc24_another_members_session_or_cursor_does_not_exist(gate: Gate) -> None:
    owner = await gate.client(await gate.member())
    thief = await gate.client(await gate.member())
    thief.session = owner.session
    with nothing_forwarded(gate):
        answer = await thief.call("desk__echo")
    assert (answer.status, answer.error["message"]) == (404, "Session not found")
    note = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    assert (await thief.post(note, "notifications/cancelled")).status == 404
    get = request(b"", thief.headers("", None, {"Last-Event-ID": "AAAAAAAA.1"}), method="GET")
    assert (await exchange(gate.port, get)).status == 404
    delete = request(b"", thief.headers(""), method="DELETE")
    assert (await exchange(gate.port, delete)).status == 404
    assert (await owner.call("desk__echo")).result


# rules about the start


@pytest.fixture
def stopped(tmp_path: Path) -> RunningDaemon:
    """A daemon that is set up and does not run."""
    daemon = RunningDaemon(tmp_path, free_port())
    daemon.prepare()
    return daemon


def exit_code(daemon: RunningDaemon, **environ: str) -> int:
    """How `wicketd serve` ends; nobody listened meanwhile."""
    command = [sys.executable, "-m", "wicketd", "serve", "--config", str(daemon.config)]
    environment = daemon.environment() | environ
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, check=False, timeout=30
    )
    assert not daemon.socket.exists()
    return done.returncode


@pytest.mark.requirement("FC9")
@pytest.mark.parametrize("name", ["server.keyring", "audit.key"])
async def test_fc09_a_missing_or_wrong_key_file_ends_the_start(
    stopped: RunningDaemon, name: str
) -> None:
    await stopped.start()
    stopped.stop()
    stopped.socket.unlink(missing_ok=True)
    file = stopped.directory / name
    good = file.read_bytes()
    file.unlink()
    assert exit_code(stopped) == 78
    file.write_bytes(good[: len(good) // 2])
    file.chmod(0o600)
    assert exit_code(stopped) == 78
    other = RunningDaemon(stopped.directory / "other", free_port())
    other.directory.mkdir()
    other.prepare()
    file.write_bytes((other.directory / name).read_bytes())
    assert exit_code(stopped) == 78


@pytest.mark.requirement("FC10")
async def test_fc10_a_newer_schema_or_a_corrupt_file_ends_the_start(
    stopped: RunningDaemon,
) -> None:
    await stopped.start()
    stopped.stop()
    stopped.socket.unlink(missing_ok=True)
    database = stopped.directory / "wicket.db"
    connection = sqlite3.connect(database, isolation_level=None)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version + 1}")
    assert exit_code(stopped) == 74
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    assert exit_code(stopped) == 74


@pytest.mark.requirement("FC13")
async def test_fc13_while_the_clock_is_behind_nothing_that_expires_is_accepted(
    gate: Gate, tmp_path: Path
) -> None:
    invite = InviteCreate(agent=AGENT, email="fc13@example.test")
    other = InviteCreate(agent=AGENT, email="fc13b@example.test")
    made = await gate.admin.call(endpoints.INVITE_CREATE, invite)
    again = InviteResend(agent=AGENT, invite=made.invite.id)

    def behind(by_ms: int) -> None:
        later = f"strftime('%s', 'now') * 1000 + {by_ms}"
        gate.edit(f"UPDATE meta SET value = {later} WHERE key = 'clock_high_water'")  # noqa: S608

    await gate.restart(lambda: behind(3_600_000))
    with pytest.raises(Refused, match="clock") as refused:
        await gate.admin.call(endpoints.INVITE_CREATE, other)
    assert refused.value.body.code == "degraded"
    with pytest.raises(Refused, match="clock"):
        await gate.admin.call(endpoints.INVITE_RESEND, again)
    with pytest.raises(Refused, match="clock"):
        await gate.admin.call(endpoints.ACCOUNT_LINK, AccountRef(account=invite.email))
    assert await set_back(gate) == 1
    await gate.restart(lambda: behind(30_000))
    assert (await gate.admin.call(endpoints.INVITE_CREATE, other)).invite.email == other.email
    async with open_state(tmp_path) as state:
        home, house = house_of(state, mail=False), house_of(state)
        ann = await home.enrolled_by_link()
        bare = await house.by_code()
        await house.enter.sign_in.request_code(ANN, PRELOGIN, IP)
        code, app_code = await house.mailed(), home.next_code(ann.secret)
        link = token_of((await home.enter.accounts.link(ADMIN, ANN))[1])
        state.clock.ms -= 61_000 + 30_000
        for accepted in (
            house.enter.sign_in.redeem_code(ANN, code, PRELOGIN, IP, BROWSER),
            home.enter.sign_in.redeem_link(link, IP, BROWSER),
            home.enter.sign_in.sign_in_with_totp(ANN, app_code, IP, BROWSER),
            house.enter.second_factor.check(bare.visitor, app_code, IP, BROWSER),
            house.enter.joining.show("A" * 64),
        ):
            with pytest.raises(ClockBackwards):
                await accepted
        assert (await state.kinds())[-1] == "clock.backwards"


async def set_back(gate: Gate) -> int:
    """How often the log says that the clock went back."""
    ask = AuditList(kind="clock.backwards")
    return len((await gate.admin.call(endpoints.AUDIT_LIST, ask)).items)


@pytest.mark.requirement("FC14")
async def test_fc14_a_second_daemon_ends_at_once(stopped: RunningDaemon) -> None:
    await stopped.start()
    try:
        second = RunningDaemon(stopped.directory, free_port())
        text = stopped.config.read_text().replace(f"port = {stopped.port}", f"port = {second.port}")
        other = stopped.directory / "second.toml"
        other.write_text(text)
        command = [sys.executable, "-m", "wicketd", "serve", "--config", str(other)]
        done = await asyncio.to_thread(
            subprocess.run, command, env=stopped.environment(), cwd=ROOT, capture_output=True,
            check=False, timeout=30,
        )  # fmt: skip
        assert done.returncode == 73
    finally:
        stopped.kill()


@pytest.mark.requirement("FC15")
async def test_fc15_a_setting_nobody_knows_or_a_secret_in_the_environment_ends_the_start(
    stopped: RunningDaemon,
) -> None:
    assert exit_code(stopped, WICKET_KEYRING="secret") == 78
    assert exit_code(stopped, WICKET_RATE_BURST="many") == 78
    stopped.config.write_text(stopped.config.read_text() + "\n[polcy]\nx = 1\n")
    assert exit_code(stopped) == 78


@pytest.mark.requirement("FC20")
async def test_fc20_a_log_that_cannot_be_verified_is_never_reported_as_whole(
    stopped: RunningDaemon,
) -> None:
    await stopped.start()
    stopped.stop()
    verify = ("wicketd", "audit", "verify", "--config", str(stopped.config))
    assert stopped.run(*verify, code=0)
    (stopped.directory / "audit.key").unlink()
    stopped.run(*verify, code=2)
    stopped.run(*verify, "--key", "nowhere.pub", code=2)
