"""A server that does everything wrong, behind a running daemon that goes on with everything else.

All mischiefs are played at once, by clients of both eras against servers of both: each call gets
the error of the table and its outcome in the audit, and a good service answers meanwhile.
"""

import asyncio
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.support.chaos import Chaos, serve_chaos
from tests.support.daemon import ROOT, RunningDaemon
from tests.support.fronts import eventually
from tests.support.guarded import Housed, connector_file, housed
from tests.support.mcp_client import Answer
from tests.support.mischiefs import CAP_BYTES, MISCHIEFS
from wicketd.api import endpoints
from wicketd.api.types.listing import Empty
from wicketd.domain.calls import Era
from wicketd.net.client import BUFFERED_BYTES_MAX

pytestmark = pytest.mark.asyncio(loop_scope="module")
ERAS: Final = ("legacy", "modern")
SEATS: Final = 16
"""Of a member at a service; a mischief may keep one for a second."""
MEMBERS: Final = 6
ROUNDS: Final = 20
FRONTS: Final = tuple(Era)
SMALL: Final = f"limits = {{ max_result_bytes = {CAP_BYTES} }}\n"
HASTY: Final = "limits = { timeout_s = 1 }\n"


@dataclass(frozen=True, slots=True)
class Wild:
    """The running whole."""

    house: Housed
    chaos: Chaos


@asynccontextmanager
async def open_wild(directory: Path, seed: int, *, apart: bool = False) -> AsyncIterator[Wild]:
    """A daemon before a hostile server under several names, and a good one named `calm`.

    `apart`: the hostile one is a process of its own, and costs this one nothing.
    """
    hostile = serve_apart(seed) if apart else serve_chaos(seed)
    async with hostile as chaos, serve_chaos(seed) as calm:
        servers = {
            "small-legacy": connector_file("small-legacy", chaos.url("legacy"), SMALL),
            "small-modern": connector_file("small-modern", chaos.url("modern"), SMALL),
            "hasty-legacy": connector_file("hasty-legacy", chaos.url("legacy"), HASTY),
            "hasty-modern": connector_file("hasty-modern", chaos.url("modern"), HASTY),
            "usual-modern": connector_file("usual-modern", chaos.url("modern")),
            "future": connector_file("future", chaos.url("future")),
            "calm": connector_file("calm", calm.url("modern")),
        }
        async with housed(directory, servers, members=MEMBERS) as house:
            yield Wild(house, chaos)


@asynccontextmanager
async def serve_apart(seed: int) -> AsyncIterator[Chaos]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.chaos", str(seed)),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert child.stdout is not None
    try:
        yield Chaos(seed, int(await child.stdout.readline()))
    finally:
        child.kill()
        await child.wait()


@dataclass(frozen=True, slots=True)
class End:
    """How a call must end: its message behind the service, its outcome, the cap that it names."""

    said: str
    outcome: str
    cap: str | None = None


LATE: Final = End("did not answer within 1 s", "timeout")
GONE: Final = End("could not be reached", "unreachable")
BAD: Final = End("sent an invalid answer", "upstream_error")
LARGE: Final = replace(BAD, cap="max_result_bytes")
CONNECT: Final = "must be reconnected — ask an administrator to connect your account"
TABLE: Final = {
    "hangs_before_its_head": LATE,
    "hangs_after_its_head": LATE,
    "hangs_within_an_event": LATE,
    "drips": LATE,
    "comments_without_end": LATE,
    "logs_without_end": LATE,
    "reports_in_a_flood": LATE,
    "asks_without_end": LATE,
    "floods": replace(BAD, cap="exchange_bytes"),
    "resets_before_its_head": GONE,
    "resets_within_its_body": BAD,
    "truncates_its_body": BAD,
    "truncates_its_head": GONE,
    "ends_its_stream_early": BAD,
    "answers_401_within_a_stream": BAD,
    "answers_403_within_a_stream": BAD,
    "answers_another_id": BAD,
    "answers_another_id_on_a_stream": BAD,
    "answers_twice": BAD,
    "answers_without_id": BAD,
    "answers_in_an_array": BAD,
    "answers_in_bad_utf8": BAD,
    "answers_in_html": BAD,
    "zips_its_answer": BAD,
    "redirects": BAD,
    "sends_a_large_body": LARGE,
    "promises_ten_gigabytes": LARGE,
    "sends_a_body_without_end": LARGE,
    "sends_a_large_event": LARGE,
    "sends_a_large_head": replace(BAD, cap="header_bytes"),
    "sends_many_small_values": replace(BAD, cap="values"),
    "sends_many_small_lines": replace(BAD, cap="exchange_lines"),
    "nests_without_end": BAD,
}
RESUMED: Final = {
    "answers_401_within_a_stream": End(CONNECT, "no_credentials"),
    "answers_403_within_a_stream": replace(GONE, outcome="upstream_error"),
}
"""Only a legacy stream is asked to go on where it broke off."""

LARGE_ONES: Final = ("floods", "sends_many_small_values", "sends_many_small_lines")
"""Beyond caps that are worth reaching once in an era."""
OVERTAKEN: Final = ("resets_within_its_body",)
"""A reset may overtake what was sent before it."""


@dataclass(frozen=True, slots=True)
class Played:
    """The whole table, played at once."""

    wild: Wild
    answers: dict[tuple[str, str, Era], Answer]
    calm: list[Answer]
    """What the good service said meanwhile."""
    grown: int
    """By how many bytes the daemon's memory did."""


def cells(name: str) -> list[tuple[str, str, Era]]:
    """Servers and fronts that play a mischief; who waits for silence waits a second."""
    kind = "hasty" if TABLE[name] is LATE else "usual" if name in LARGE_ONES else "small"
    eras = ("modern",) if kind == "usual" else ERAS
    return list(product([name], [f"{kind}-{era}" for era in eras], FRONTS))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played() -> AsyncIterator[Played]:
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        async with open_wild(Path(place), seed()) as wild:
            before = resident(wild.house.daemon)
            answers, calm = await play(wild, list(MISCHIEFS))
            yield Played(wild, answers, calm, resident(wild.house.daemon) - before)


def seed() -> int:
    """Of the run; printed, so that a failure can be repeated."""
    chosen = int(os.environ.get("WICKET_SEED") or secrets.randbits(32))
    print(f"WICKET_SEED={chosen}")
    return chosen


async def play(
    wild: Wild, names: list[str]
) -> tuple[dict[tuple[str, str, Era], Answer], list[Answer]]:
    """Every call at once; the good service is asked until the last one has ended."""
    asked = [cell for name in names for cell in cells(name)]
    running = asyncio.gather(*(one(wild, number, cell) for number, cell in enumerate(asked)))
    calm: list[Answer] = []
    client = await wild.house.client(0, Era.MODERN)
    while not running.done():
        calm.append(await client.call("calm__echo", {"nonce": len(calm)}))
    return dict(zip(asked, await running, strict=True)), calm


async def one(wild: Wild, number: int, cell: tuple[str, str, Era]) -> Answer:
    name, server, era = cell
    return await (await wild.house.client(number, era)).call(f"{server}__{name}")


def resident(daemon: RunningDaemon) -> int:
    """The daemon's memory in bytes."""
    assert daemon.process is not None
    pages = Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def test_every_mischief_has_its_row() -> None:
    assert TABLE.keys() == MISCHIEFS.keys()


@pytest.mark.parametrize("name", MISCHIEFS)
async def test_a_call_ends_as_the_table_says_and_so_does_its_audit(
    played: Played, name: str
) -> None:
    for cell in cells(name):
        _, server, _ = cell
        end = RESUMED.get(name, TABLE[name]) if server == "small-legacy" else TABLE[name]
        answer = played.answers[cell]
        entry = await played.wild.house.entry(answer.ref)
        if entry.outcome == GONE.outcome and name in OVERTAKEN:
            end = GONE
        said = f"Service '{server}' {end.said} [ref {answer.ref}]"
        assert (answer.error["code"], answer.error["message"]) == (-32603, said), cell
        assert (entry.kind, entry.decision) == ("call.intent", "ALLOW")
        assert (entry.outcome, entry.fields.get("cap")) == (end.outcome, end.cap), cell


async def test_a_stream_that_broke_off_is_asked_to_go_on_once_for_each_call(
    played: Played,
) -> None:
    assert sorted(played.wild.chaos.resumes) == sorted([*RESUMED] * len(FRONTS))


async def test_a_good_service_answers_meanwhile(played: Played) -> None:
    said = [answer.result["content"][0]["text"] for answer in played.calm]
    assert said == [f'{{"nonce":{number}}}' for number in range(len(said))]


async def test_a_member_whose_calls_all_hang_at_one_server_is_served_by_another(
    played: Played,
) -> None:
    client, chaos = await played.wild.house.client(0, Era.MODERN), played.wild.chaos
    hang = "hangs_before_its_head"
    hanging = [asyncio.ensure_future(client.call(f"usual-modern__{hang}")) for _ in range(SEATS)]
    await eventually(lambda: chaos.playing[hang] == SEATS)
    assert (await client.call("calm__echo", {"nonce": 1})).result
    assert not any(call.done() for call in hanging)
    for call in hanging:
        call.cancel()
    await eventually(lambda: chaos.playing[hang] == 0)


async def test_memory_holds_nothing_of_what_was_sent(played: Played) -> None:
    assert played.grown < BUFFERED_BYTES_MAX


async def test_a_server_of_a_future_revision_is_named_to_everybody(
    played: Played,
) -> None:
    client = await played.wild.house.client(0, Era.MODERN)
    listed = (await client.ask("tools/list")).result
    assert listed["_meta"]["sh.wicket/unavailable"] == [
        {"service": "future", "reason": "incompatible"}
    ]
    status = await played.wild.house.admin.call(endpoints.STATUS, Empty())
    assert status.details["unavailable"] == {"home/future": "incompatible"}
    assert {tool["name"].partition("__")[0] for tool in listed["tools"]} == {
        *("small-legacy", "small-modern", "hasty-legacy", "hasty-modern"),
        *("usual-modern", "calm", "wicket"),
    }


@pytest.mark.long
async def test_memory_and_connections_stay_as_they_are_over_thousands_of_hostile_calls() -> None:
    """The hostile server is a process of its own; latencies of the good one are printed."""
    with tempfile.TemporaryDirectory() as place:
        async with open_wild(Path(place), seed(), apart=True) as wild:
            quiet = await timed(wild, asyncio.ensure_future(asyncio.sleep(5)))
            await play(wild, list(MISCHIEFS))  # whatever is made once is made now
            before, files = resident(wild.house.daemon), open_files(wild.house.daemon)
            for _ in range(ROUNDS):
                await play(wild, list(MISCHIEFS))
            grown = resident(wild.house.daemon) - before
            busy = await timed(wild, asyncio.ensure_future(play(wild, list(MISCHIEFS))))
            print(f"calm alone: {quiet}; meanwhile: {busy}; grown by {grown >> 10} KiB")
            assert grown < 64 * 2**20
            await eventually(lambda: open_files(wild.house.daemon) <= files, 20)


async def timed(wild: Wild, meanwhile: asyncio.Future[Any]) -> str:
    """Latencies of the good service, in ms."""
    client = await wild.house.client(1, Era.MODERN)
    took = []
    while not meanwhile.done():
        began = time.perf_counter()
        await client.call("calm__echo")
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return f"p50 {statistics.median(took):.1f} p99 {took[int(len(took) * 0.99)]:.1f}"


def open_files(daemon: RunningDaemon) -> int:
    """Descriptors of the daemon, hence connections too."""
    assert daemon.process is not None
    return len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))
