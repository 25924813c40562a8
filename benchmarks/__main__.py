"""`make bench`: direct, through a bare Python proxy and through wicketd, interleaved, as one table.

Below it stands what editing, listing and replaying policies cost. QUICK=1 ends in under two minutes
where the host is idle. Every measurement is a loader process of its own; processes are left to the
kernel's scheduler, as they would run on a host of two cores.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from benchmarks import policy, report, terminal
from benchmarks.installation import SERVICE, Installation, installed
from benchmarks.loader import Load, Measured
from benchmarks.upstream import TOOLS
from tests.support.daemon import ROOT

CLIENTS: Final = (1, 16, 32)
_DIRECT: Final = "direct"
_PASSTHROUGH: Final = "pass-through"
_OURS: Final = ("wicketd legacy", "wicketd modern")
PATHS: Final = (_DIRECT, _PASSTHROUGH, *_OURS)
_BESIDE: Final = 4
"""Clients beside a replay: enough to be seen, too few to fill both cores."""
_WARM_S: Final = 1.0
_WARM_CALLS: Final = 2 * TOOLS
"""Every member has called every tool: what is built at first use is not measured."""


def load(there: Installation, path: str, clients: int, seconds: float) -> Load:
    """What the loader sends on one path."""
    if path not in _OURS:
        head = ["MCP-Protocol-Version: 2025-11-25", "Mcp-Session-Id: bench"]
        port = there.upstream_port if path == _DIRECT else there.passthrough_port
        return Load(port=port, seconds=seconds, heads=[head] * clients)
    is_modern = path.endswith("modern")
    heads = []
    for key, session in list(zip(there.keys, there.sessions, strict=True))[:clients]:
        lines = [f"Authorization: Bearer {key}"]
        if not is_modern:
            lines += ["MCP-Protocol-Version: 2025-11-25", f"Mcp-Session-Id: {session}"]
        heads.append(lines)
    return Load(
        port=there.daemon.port,
        seconds=seconds,
        heads=heads,
        prefix=f"{SERVICE}__",
        is_modern=is_modern,
    )


async def measured(
    there: Installation, path: str, clients: int, seconds: float, *, at_least: int = 0
) -> Measured:
    """Runs one loader to its end."""
    asked = load(there, path, clients, seconds)
    asked.at_least = at_least
    loader = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.loader",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    before_s = there.cpu_s()
    said, _ = await loader.communicate(msgspec.json.encode(asked))
    found = msgspec.json.decode(said, type=Measured)
    if path in _OURS:
        found.cpu_us = (there.cpu_s() - before_s) * 1e6 / found.calls
    if found.wrong:
        print(f"{path}, {clients} clients: {found.wrong} wrong answers, such as\n{found.sample}")
    return found


async def beside_replays(there: Installation, seconds: float, rounds: int) -> report.Figure:
    """How much slower the slowest of a hundred calls is while a replay runs, in turns with none."""
    ratios = []
    for _ in range(rounds):
        idle = await measured(there, _OURS[1], _BESIDE, seconds)
        async with policy.replays_running(there):
            busy = await measured(there, _OURS[1], _BESIDE, seconds)
        ratios.append(busy.p99_ms / idle.p99_ms)
    return report.Figure("p99 of calls beside a replay", median(ratios), "x of none", 1.5)


async def run(directory: Path, seconds: float, rounds: int) -> report.Report:
    """Measures everything and reports it."""
    figures = [*await policy.editing(rounds * 4), *policy.lists(rounds)]
    found: dict[tuple[str, int], list[Measured]] = {}
    async with installed(directory) as there:
        await asyncio.sleep(1.0)  # until the daemon's start-up work is over
        idle = report.memory(there.pids)
        for path in PATHS:
            await measured(there, path, max(CLIENTS), _WARM_S, at_least=_WARM_CALLS)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            for clients in CLIENTS:
                for path in PATHS:
                    one = await measured(there, path, clients, seconds)
                    found.setdefault((path, clients), []).append(one)
        after = report.memory(there.pids)
        figures += await policy.replaying(there)
        figures.append(await beside_replays(there, seconds, rounds))
    rows = [
        report.row(path, clients, found[path, clients], found[_DIRECT, clients])
        for clients in CLIENTS
        for path in PATHS
    ]
    calls = sum(one.calls for (path, _), of in found.items() if path in _OURS for one in of)
    memory = (idle, after)
    return report.report(rows, figures, memory, seconds=seconds, rounds=rounds, calls=calls)


def main() -> int:
    """Prints the table; 1 if answers were wrong, for then the figures mean nothing.

    One in a thousand is let pass: where a host takes a core away for 50 ms in the middle of a
    decision, the call is denied as `engine_late`.
    """
    is_quick = os.environ.get("QUICK") == "1"
    seconds, rounds = (1.5, 3) if is_quick else (5.0, 5)
    with tempfile.TemporaryDirectory(prefix="wicket-bench-") as directory:
        made = asyncio.run(run(Path(directory), seconds, rounds))
    with tempfile.TemporaryDirectory(prefix="wicket-bench-") as directory:
        log_rows, starts = (100_000, 10) if is_quick else (1_000_000, 20)
        made.figures += asyncio.run(terminal.measured(Path(directory), log_rows, starts))
    print(report.table(made))
    print(f"Written to {report.write(made).relative_to(ROOT)}.")
    return int(sum(one.wrong for one in made.rows) * 1000 > made.calls)


if __name__ == "__main__":
    sys.exit(main())
