"""The terminal app as people feel it: first paint, bytes on a slow line, a long audit log.

A daemon of its own over a log that was filled row by row through the real journal; the command on
a real pseudo terminal, the screen in Pilot. Counterpart of `report`, which prints it.
"""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from benchmarks.report import Figure
from tests.support.daemon import RunningDaemon, running_daemon
from tests.support.line import wicket
from tests.support.long_log import Owner, fill
from tests.support.terminal import terminal
from wicket_tui.pagebook import SIZE
from wicket_tui.screens.audit import AuditScreen
from wicketd.api import endpoints
from wicketd.api.client import AdminClient
from wicketd.api.types.agents import AgentCreate
from wicketd.api.types.audit import AuditList, AuditPages
from wicketd.api.types.members import MemberAdd

AGENT: Final = "long"
_DOWN: Final = b"j"
_KEYS: Final = 20
_STILL_S: Final = 3.0
_REST_S: Final = 5.0


async def measured(directory: Path, rows: int, starts: int) -> list[Figure]:
    """Fills a log of `rows` rows and measures; the command is started `starts` times."""
    async with running_daemon(directory) as daemon:
        async with AdminClient(daemon.socket) as client:
            made = await client.call(endpoints.AGENT_CREATE, AgentCreate(key=AGENT, name="Long"))
            member = await client.call(endpoints.MEMBER_ADD, MemberAdd(agent=AGENT, name="ann"))
        daemon.stop()
        owner = Owner(made.id, ((member.id, "ann"),))
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        await fill(directory / "wicket.db", owner, rows, until_ms=now_ms)
        await daemon.start()
        paints = sorted(_first_paint(daemon, directory) for _ in range(starts))
        return [
            Figure("first paint, best", paints[0], "ms", 400),
            Figure("first paint, p90", quantiles(paints, n=10)[-1], "ms", 400),
            # Before any screen: the daemon keeps the page index that a screen has asked for.
            *await _over_socket(daemon, rows),
            *_bytes(daemon, directory),
            *await _on_screen(daemon, rows),
        ]


def _first_paint(daemon: RunningDaemon, home: Path) -> float:
    began = time.perf_counter()
    with wicket(daemon, home, "--agent", AGENT) as line:
        line.until("Dashboard")
        return (time.perf_counter() - began) * 1000


def _bytes(daemon: RunningDaemon, home: Path) -> list[Figure]:
    """What a slow line carries."""
    with wicket(daemon, home, "--low-bandwidth", "--screen", "6", "--agent", AGENT) as line:
        line.until("follows")
        line.rests(_STILL_S)
        boot = len(line.seen)
        for _ in range(_KEYS):
            os.write(line.end, _DOWN)
            line.rests(0.25)
        stepped = len(line.seen)
        line.rests(_STILL_S)
        explained = len(line.seen)
        line.read(_REST_S)
        return [
            Figure("slow line, to begin", boot, "bytes"),
            Figure("slow line, a step in a list", (stepped - boot) / _KEYS, "bytes", 1_500),
            Figure("slow line, a detail", explained - stepped, "bytes"),
            Figure(f"slow line, {_REST_S:g} s at rest", len(line.seen) - explained, "bytes", 0),
        ]


async def _over_socket(daemon: RunningDaemon, rows: int) -> list[Figure]:
    async def took(ask: AuditList | AuditPages) -> float:
        began = time.perf_counter()
        if isinstance(ask, AuditPages):
            await client.call(endpoints.AUDIT_PAGES, ask)
        else:
            await client.call(endpoints.AUDIT_LIST, ask)
        return (time.perf_counter() - began) * 1000

    async with AdminClient(daemon.socket, timeout_s=60) as client:
        index = await took(AuditPages(agent=AGENT, size=SIZE))
        opened = [await took(AuditList(agent=AGENT, limit=SIZE)) for _ in range(5)]
        ended = [await took(AuditList(agent=AGENT, after=0, limit=SIZE)) for _ in range(5)]
    return [
        Figure(f"{rows:,} audit rows, open", median(opened), "ms", 500),
        Figure(f"{rows:,} audit rows, end", median(ended), "ms", 200),
        Figure(f"{rows:,} audit rows, page index", index, "ms"),
    ]


async def _on_screen(daemon: RunningDaemon, rows: int) -> list[Figure]:
    async with terminal(daemon.socket, screen=2, agent=AGENT, size=(120, 40)) as person:
        await person.until("online", "Long")
        began = time.perf_counter()
        await person.press("6")
        await person.until("Audit", "ann")
        opened = (time.perf_counter() - began) * 1000
        screen = person.app.frame
        assert isinstance(screen, AuditScreen)
        await person.until_true(lambda _: screen.rows.book.is_exact, "the index")
        began = time.perf_counter()
        await person.press("G")
        await person.until_true(lambda _: screen.entry is not None, "the oldest entry")
        ended = (time.perf_counter() - began) * 1000
    return [
        Figure(f"{rows:,} rows on the screen, open", opened, "ms", 500),
        Figure(f"{rows:,} rows on the screen, end", ended, "ms", 200),
    ]
