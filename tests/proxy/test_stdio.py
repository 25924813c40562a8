"""Servers over pipes: started for whom, with what, and how each misbehaviour ends."""

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typing_extensions import override

from tests.support import piped_server
from tests.support.fronts import eventually
from tests.support.upstreams import (
    NOTHING,
    MemoryVerdicts,
    RecordingFront,
    SystemClock,
    Tasks,
    agent,
    call,
)
from wicketd.connectors.catalogue import destination
from wicketd.connectors.connector_file import parse_connector
from wicketd.domain.calls import Answer, Failure, OutcomeStatus, RefusalKind
from wicketd.domain.catalogue import Connector, StdioTransport, UpstreamEra
from wicketd.domain.connections import Credential, Destination
from wicketd.domain.errors import Unreachable
from wicketd.net.client import GuardedClient
from wicketd.proxy import stdio, stdio_process
from wicketd.proxy.client import UpstreamClient
from wicketd.proxy.stdio import Supervisor
from wicketd.vault.secret import Secret

ALICE = "018f0000-0000-7000-8000-0000000000a1"
BOB = "018f0000-0000-7000-8000-0000000000b0"
SCRIPT = str(Path(piped_server.__file__))


class SkippingClock(SystemClock):
    """Stands still but for what tests put it forward."""

    def __init__(self) -> None:
        self.began_s = super().monotonic_s()
        self.skipped_s = 0.0

    @override
    def monotonic_s(self) -> float:
        return self.began_s + self.skipped_s


class Pipes:
    """A client whose services run over pipes."""

    def __init__(self, directory: Path, *, may_spawn: bool = True) -> None:
        self.directory = directory
        self.clock = SkippingClock()
        self.tasks = Tasks()
        self.verdicts = MemoryVerdicts()
        self.front = RecordingFront()
        homes = directory / "stdio"
        self.supervisor = Supervisor(self.clock, self.tasks, homes, may_spawn=may_spawn)
        self.client = UpstreamClient(
            GuardedClient(), self.verdicts, self.clock, self.tasks, pipes=self.supervisor
        )

    async def send(
        self, to: Connector, name: str = "echo", member: str = BOB, **asked: Any
    ) -> Answer | Failure:
        credential = asked.pop("credential", NOTHING)
        decided = call(name, asked, member=member, service=to.key)
        return await self.client.send(decided, credential, self.front, to, None)

    async def text(self, to: Connector, name: str = "echo", **asked: Any) -> str:
        return text_of(await self.send(to, name, **asked))

    async def facts(self, to: Connector, **asked: Any) -> Any:
        return json.loads(await self.text(to, "facts", **asked))


def text_of(answer: Answer | Failure) -> str:
    assert isinstance(answer, Answer), answer
    assert answer.result is not None, answer
    content: Any = answer.result["content"]
    return str(content[0]["text"])


def failure(outcome: Answer | Failure) -> Failure:
    assert isinstance(outcome, Failure), outcome
    return outcome


def piped(
    era: str = "legacy",
    fault: str = "",
    transport: str = "",
    credential: str = '{ kind = "none" }',
    **extra: str,
) -> Connector:
    """A connector whose command is the server of `tests.support.piped_server`."""
    command = json.dumps([sys.executable, "-I", "-S", SCRIPT, era, *([fault] if fault else [])])
    text = f"""
key = "{extra.pop("key", "demo")}"
name = "Demo"
credential = {credential}
{extra.pop("limits", "")}
[transport]
kind = "stdio"
command = {command}
{transport}
"""
    return parse_connector(text.encode(), "test")


def over(to: Connector, *command: str, socket: str | None = None) -> Connector:
    return replace(to, transport=StdioTransport(command, socket))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextlib.asynccontextmanager
async def pipes_in(directory: Path, *, may_spawn: bool = True) -> AsyncIterator[Pipes]:
    made = Pipes(directory, may_spawn=may_spawn)
    try:
        yield made
    finally:
        await made.client.close()
        await made.tasks.settle()


@pytest.fixture
async def pipes(tmp_path: Path) -> AsyncIterator[Pipes]:
    async with pipes_in(tmp_path) as made:
        yield made


# What is started, and for whom


@pytest.mark.parametrize(
    ("era", "verdict"),
    [("modern", UpstreamEra.MODERN), ("legacy", UpstreamEra.LEGACY)],
)
async def test_a_server_of_either_era_lists_and_answers(
    pipes: Pipes, era: str, verdict: UpstreamEra
) -> None:
    tools = await pipes.client.list_tools(piped(era), agent().id, NOTHING)
    assert [tool["name"] for tool in tools] == ["echo", "facts", "wait", "die", "complain"]
    assert await pipes.text(piped(era), text="hello") == "hello"
    assert [row.era for row in pipes.verdicts.rows.values()] == [verdict]


async def test_a_server_that_does_not_answer_the_probe_is_a_legacy_one(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also its revision, 2024-11-05, is taken over pipes and nowhere else (protocol spec, 4.2)."""
    monkeypatch.setattr("wicketd.proxy.handshake.PROBE_S", 0.2)
    assert await pipes.text(piped("old"), text="hello") == "hello"
    assert [row.era for row in pipes.verdicts.rows.values()] == [UpstreamEra.LEGACY]


async def test_a_modern_server_that_starts_slowly_is_no_legacy_one_for_long(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its late answer to the probe overturns the verdict; the call goes out on the same pipe."""
    monkeypatch.setattr("wicketd.proxy.handshake.PROBE_S", 0.2)
    log = pipes.directory / "heard"
    to = piped("modern", "slow", transport=f'env = {{ HEARD = "{log}" }}')
    assert await pipes.text(to, text="hello") == "hello"
    assert await pipes.text(to, text="again") == "again"
    await eventually(
        lambda: [row.era for row in pipes.verdicts.rows.values()] == [UpstreamEra.MODERN]
    )
    heard = [json.loads(line)["method"] for line in log.read_text().splitlines()]
    assert heard == ["server/discover", "initialize", "tools/call", "tools/call"]


async def test_a_legacy_server_is_initialized_once_and_probed_before(pipes: Pipes) -> None:
    log = pipes.directory / "heard"
    to = piped(transport=f'env = {{ HEARD = "{log}" }}')
    for number in range(3):
        await pipes.text(to, text=str(number))
    heard = [json.loads(line)["method"] for line in log.read_text().splitlines()]
    opening = ["server/discover", "initialize", "notifications/initialized"]
    assert heard == [*opening, *["tools/call"] * 3]


async def test_the_environment_is_built_and_not_inherited(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_DAEMON", "canary")
    seen = await pipes.facts(piped(transport='env = { MODE = "read" }'))
    assert seen["names"] == ["HOME", "LANG", "MODE", "PATH", "TMPDIR"]
    assert seen["env"]["MODE"] == "read"
    assert seen["fds"] == 3
    assert seen["group"] == seen["pid"]
    home = Path(seen["env"]["HOME"])
    assert home.parent == pipes.directory / "stdio"
    assert seen["cwd"] == str(home)
    assert home.stat().st_mode & 0o777 == 0o700
    await pipes.client.close()
    assert not home.exists()


async def test_the_working_directory_is_the_connectors(pipes: Pipes) -> None:
    seen = await pipes.facts(piped(transport=f'cwd = "{pipes.directory}"'))
    assert seen["cwd"] == str(pipes.directory)


async def test_each_member_has_a_process_of_its_own(pipes: Pipes) -> None:
    alices, bobs, again = [
        (await pipes.facts(piped(), member=member))["pid"] for member in (ALICE, BOB, ALICE)
    ]
    assert alices == again
    assert alices != bobs


async def test_a_shared_server_is_one_process_for_all(pipes: Pipes) -> None:
    to = piped(transport='scope = "shared"')
    answers = [
        pipes.facts(to, member=member, text=str(number))
        for number, member in enumerate([ALICE, BOB] * 10)
    ]
    assert len({seen["pid"] for seen in await asyncio.gather(*answers)}) == 1


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_answers_on_a_shared_server_reach_who_asked(pipes: Pipes, era: str) -> None:
    to = piped(era, transport='scope = "shared"')
    asked = [pipes.text(to, text=f"{n}", member=(ALICE, BOB)[n % 2]) for n in range(200)]
    assert await asyncio.gather(*asked) == [f"{n}" for n in range(200)]


async def test_a_shared_server_reaches_no_member_with_what_names_nobody(pipes: Pipes) -> None:
    """A log message on a shared pipe could be about another member's call."""
    to = piped(transport='scope = "shared"')
    await pipes.text(to, "progress")
    assert pipes.front.progressed == [{"progress": 1, "total": 2}]
    assert pipes.front.logged == []
    assert json.loads(await pipes.text(to, "ask", method="roots/list"))["error"]["code"] == -32601


async def test_progress_and_logs_reach_the_running_call(pipes: Pipes) -> None:
    await pipes.text(piped(), "progress")
    assert pipes.front.progressed == [{"progress": 1, "total": 2}]
    assert pipes.front.logged == [{"level": "info", "data": "hi", "logger": "demo"}]


async def test_a_ping_of_the_server_is_answered(pipes: Pipes) -> None:
    reply = json.loads(await pipes.text(piped(), "ask", method="ping"))
    assert reply == {"jsonrpc": "2.0", "id": "q1", "result": {}}


# Credentials

STATIC = '{ kind = "static", env = "TOKEN" }'


def token(to: Connector, value: bytes = b"canary-token") -> Credential:
    return Credential(destination(to), None, Secret(value))


async def test_the_token_stands_in_its_variable_and_not_in_the_arguments(pipes: Pipes) -> None:
    to = piped(credential=STATIC)
    seen = await pipes.facts(to, credential=token(to))
    assert seen["env"]["TOKEN"] == "canary-token"
    assert b"canary" not in Path(f"/proc/{seen['pid']}/cmdline").read_bytes()


async def test_a_changed_token_ends_the_process_that_has_the_old_one(pipes: Pipes) -> None:
    to = piped(credential=STATIC)
    old = await pipes.facts(to, credential=token(to))
    new = await pipes.facts(to, credential=token(to, b"another"))
    assert new["env"]["TOKEN"] == "another"
    assert not is_alive(old["pid"])


async def test_a_token_bound_to_another_command_starts_nothing(pipes: Pipes) -> None:
    to = piped(credential=STATIC)
    elsewhere = Credential(Destination("stdio:00", "env:TOKEN"), None, Secret(b"t"))
    outcome = failure(await pipes.send(to, credential=elsewhere))
    assert outcome.refusal.kind is RefusalKind.RECONNECT
    assert pipes.supervisor.alive == 0


async def test_the_log_has_what_the_server_says_without_the_token(
    pipes: Pipes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wicketd.stdio")
    to = piped(credential=STATIC)
    said = "the token is canary-token \x1b[31m\n"
    await pipes.text(to, "complain", credential=token(to), text=said)
    await eventually(lambda: "the token is" in caplog.text)
    assert "demo: the token is <secret> \\x1b[31m" in caplog.text


@pytest.mark.parametrize("before", ["x" * 4090, "x" * 65_530, "canary-token " * 5041 + "xxx"])
async def test_a_token_that_is_cut_with_its_line_is_not_logged_in_part(
    pipes: Pipes, caplog: pytest.LogCaptureFixture, before: str
) -> None:
    caplog.set_level(logging.INFO, "wicketd.stdio")
    to = piped(credential=STATIC)
    said = before + "canary-token\n" + "the end\n"
    await pipes.text(to, "complain", credential=token(to), text=said)
    await eventually(lambda: "the end" in caplog.text)
    assert "xxx" in caplog.text or "<secret>" in caplog.text
    assert "cana" not in caplog.text
    assert "token" not in caplog.text


async def test_a_chatty_server_fills_no_log(pipes: Pipes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wicketd.stdio")
    await pipes.text(piped(), "complain", text="x\n", times=20_000)
    await pipes.text(piped(), text="still there")
    assert caplog.text.count("demo: x") <= 2 * stdio_process.LOG_LINES_PER_S


async def test_commands_are_refused_where_the_keyring_is_a_credential(tmp_path: Path) -> None:
    async with pipes_in(tmp_path, may_spawn=False) as pipes:
        outcome = failure(await pipes.send(piped()))
        assert outcome.refusal.kind is RefusalKind.UNREACHABLE
        assert pipes.supervisor.alive == 0
        with pytest.raises(Unreachable, match="own rights"):
            await pipes.client.list_tools(piped(), agent().id, NOTHING)


# A unit behind a socket


async def test_a_unit_behind_a_socket_gets_its_environment_first(pipes: Pipes) -> None:
    seen: list[bytes] = []
    ended = asyncio.Event()

    async def unit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readline())
        environment = json.loads(seen[0])["env"]
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", SCRIPT, "legacy", env=environment,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None

        async def back() -> None:
            while data := await child.stdout.read(65536):  # type: ignore[union-attr]  # checked above
                writer.write(data)

        copying = asyncio.create_task(back())
        while data := await reader.read(65536):
            child.stdin.write(data)
        child.stdin.close()
        await child.wait()
        await copying
        writer.close()
        ended.set()

    path = pipes.directory / "unit.sock"
    async with await asyncio.start_unix_server(unit, path):
        to = piped(credential=STATIC)
        to = over(to, socket=str(path))
        facts = await pipes.facts(to, credential=token(to))
        assert facts["env"]["TOKEN"] == "canary-token"
        assert msgspec.json.decode(seen[0]) == {"env": {"TOKEN": "canary-token"}}
        await pipes.client.close()
        await asyncio.wait_for(ended.wait(), 5)


async def test_a_socket_that_nobody_serves_is_unreachable(pipes: Pipes) -> None:
    to = piped()
    to = over(to, socket="/nonexistent/s")
    assert failure(await pipes.send(to)).refusal.kind is RefusalKind.UNREACHABLE


# Faults


async def test_a_command_that_is_not_there_is_unreachable(pipes: Pipes) -> None:
    to = piped()
    to = over(to, "/nonexistent/server")
    assert failure(await pipes.send(to)).status is None
    assert failure(await pipes.send(to)).refusal.kind is RefusalKind.UNREACHABLE


async def test_a_server_that_dies_in_a_call_fails_it_once_and_is_started_again(
    pipes: Pipes,
) -> None:
    """A call in flight may have run: it is never sent again (N8)."""
    log = pipes.directory / "heard"
    to = piped(transport=f'env = {{ HEARD = "{log}" }}')
    first = await pipes.facts(to)
    outcome = failure(await pipes.send(to, "die"))
    assert outcome.outcome is OutcomeStatus.UNREACHABLE
    second = await pipes.facts(to)
    assert second["pid"] != first["pid"]
    heard = [json.loads(line) for line in log.read_text().splitlines()]
    called = [one["params"]["name"] for one in heard if one["method"] == "tools/call"]
    assert called == ["facts", "die", "facts"]


async def test_a_server_that_dies_at_once_is_started_ever_more_rarely(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wicketd.proxy.stdio.PATIENCE_S", 0)
    to = piped(fault="dies")
    started_at_s: list[int] = []
    for second in range(80):
        before = pipes.supervisor.started
        assert isinstance(await pipes.send(to), Failure)
        if pipes.supervisor.started > before:
            started_at_s.append(second)
        pipes.clock.skipped_s += 1.0
    gaps = [later - sooner for sooner, later in pairwise(started_at_s)]
    assert gaps[:5] == [1, 2, 4, 8, 60]


async def test_a_server_that_never_answers_initialize_is_ended(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wicketd.proxy.handshake.START_S", 5.3)
    outcome = failure(await pipes.send(piped(fault="mute")))
    assert outcome.outcome is OutcomeStatus.TIMEOUT
    await eventually(lambda: pipes.supervisor.alive == 0)


async def test_a_banner_is_skipped_and_endless_garbage_ends_the_server(pipes: Pipes) -> None:
    assert await pipes.text(piped(fault="banner"), text="hello") == "hello"
    assert await pipes.text(piped(), "garbage", lines=100) == "after it"
    assert isinstance(await pipes.send(piped(), "garbage", lines=101), Failure)
    assert await pipes.text(piped(), text="anew") == "anew"


async def test_a_line_beyond_the_cap_ends_the_server_and_names_the_cap(pipes: Pipes) -> None:
    outcome = failure(await pipes.send(piped(), "huge", mib=100))
    assert outcome.cap == "max_result_bytes"
    assert outcome.refusal.kind is RefusalKind.INVALID_ANSWER
    assert await pipes.text(piped(), text="anew") == "anew"


async def test_an_answer_of_too_many_values_ends_the_server_and_names_the_cap(
    pipes: Pipes,
) -> None:
    outcome = failure(await pipes.send(piped(), "rich", values=250_001))
    assert outcome.cap == "values"
    assert outcome.refusal.kind is RefusalKind.INVALID_ANSWER
    assert await pipes.text(piped(), text="anew") == "anew"


async def test_a_server_that_is_shared_may_ask_nobody(pipes: Pipes) -> None:
    log = pipes.directory / "heard"
    scope = f'scope = "shared"\nenv = {{ HEARD = "{log}" }}'
    to = piped("modern", transport=scope, limits='relay = ["roots"]')
    able = call("echo", {"text": "x"}, service=to.key, capabilities={"roots": {}})
    assert text_of(await pipes.client.send(able, NOTHING, pipes.front, to, None)) == "x"
    sent = json.loads(log.read_text().splitlines()[-1])["params"]["_meta"]
    assert sent["io.modelcontextprotocol/clientCapabilities"] == {}


async def test_an_answer_at_the_cap_passes_and_one_beyond_fails(pipes: Pipes) -> None:
    to = piped(limits="[limits]\nmax_result_bytes = 4096")
    assert len(await pipes.text(to, "large", bytes=3000)) == 3000
    assert failure(await pipes.send(to, "large", bytes=5000)).cap == "max_result_bytes"


async def test_a_server_that_does_not_read_is_ended(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wicketd.proxy.stdio_process.STEP_S", 0.2)
    log = pipes.directory / "heard"
    to = piped(transport=f'env = {{ HEARD = "{log}" }}')
    await pipes.text(to, text="hello")
    deaf = asyncio.create_task(pipes.send(to, "deaf"))
    await eventually(lambda: '"deaf"' in log.read_text())
    outcome = failure(await pipes.send(to, text="x" * 900_000))
    assert outcome.refusal.kind is RefusalKind.UNREACHABLE
    assert isinstance(await deaf, Failure)
    await eventually(lambda: pipes.supervisor.alive == 0)


async def test_a_server_that_ignores_sigterm_is_killed(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wicketd.proxy.stdio_process.STEP_S", 0.2)
    pid = (await pipes.facts(piped(fault="stubborn")))["pid"]
    await pipes.client.close()
    assert not is_alive(pid)


async def test_a_grandchild_ends_with_its_server(pipes: Pipes) -> None:
    pid = int(await pipes.text(piped(), "fork"))
    assert is_alive(pid)
    assert isinstance(await pipes.send(piped(), "die"), Failure)
    await eventually(lambda: not is_alive(pid))


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_cancelled_call_is_cancelled_at_the_server(pipes: Pipes, era: str) -> None:
    log = pipes.directory / "heard"
    to = piped(era, transport=f'env = {{ HEARD = "{log}" }}')
    await pipes.text(to, text="hello")
    waiting = asyncio.create_task(pipes.send(to, "wait"))
    await eventually(lambda: '"wait"' in log.read_text())
    waiting.cancel()
    await eventually(lambda: "notifications/cancelled" in log.read_text())
    asked, cancelled = [json.loads(line) for line in log.read_text().splitlines()][-2:]
    assert cancelled["params"]["requestId"] == asked["id"]
    assert await pipes.text(to, text="goes on") == "goes on"


# How many, how long


async def test_an_idle_server_is_ended_after_ten_minutes(pipes: Pipes) -> None:
    pid = (await pipes.facts(piped()))["pid"]
    pipes.clock.skipped_s = 599
    pipes.supervisor.sweep()
    assert is_alive(pid)
    pipes.clock.skipped_s = 601
    pipes.supervisor.sweep()
    await eventually(lambda: not is_alive(pid))
    assert await pipes.text(piped(), text="anew") == "anew"


async def test_a_removed_member_loses_its_server_at_once(pipes: Pipes) -> None:
    alices = (await pipes.facts(piped(), member=ALICE))["pid"]
    bobs = (await pipes.facts(piped(), member=BOB))["pid"]
    bob = call(member=BOB).caller.member.id
    pipes.client.forget(agent().id, bob)
    await eventually(lambda: not is_alive(bobs))
    assert is_alive(alices)


async def test_a_hundred_are_served_by_at_most_thirty_two_at_once(
    pipes: Pipes, request: pytest.FixtureRequest
) -> None:
    """And at most 16 of one service; whoever is idle for longest makes room."""
    count = 100 if request.config.getoption("--faults-full") else 40
    most, most_of_one = 0, 0
    seen: set[int] = set()

    async def one(number: int) -> None:
        nonlocal most, most_of_one
        member = f"018f0000-0000-7000-8000-{number:012x}"
        to = piped("modern", key=f"demo-{max(0, number % 5 - 2)}")  # three of five are of one
        seen.add((await pipes.facts(to, member=member))["pid"])
        most = max(most, pipes.supervisor.alive)
        most_of_one = max(most_of_one, pipes.supervisor.alive_of(agent().id, "demo-0"))

    await asyncio.gather(*(one(number) for number in range(count)))
    assert len(seen) == count
    assert most <= 32
    assert most_of_one <= 16
    await pipes.client.close()
    assert [pid for pid in seen if is_alive(pid)] == []
    assert list((pipes.directory / "stdio").iterdir()) == []


async def test_what_a_killed_daemon_left_is_cleared_at_start(tmp_path: Path) -> None:
    left = tmp_path / "stdio" / "stdio-1" / "tmp"
    left.mkdir(parents=True)
    async with pipes_in(tmp_path):
        assert not left.exists()


def test_the_limits_are_those_of_the_specification() -> None:
    assert (stdio.SERVERS_MAX, stdio.PER_SERVICE_MAX, stdio.IDLE_S) == (32, 16, 600)
