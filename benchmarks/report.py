"""The table that a run prints and the dated JSON that it leaves. Counterpart of `__main__`."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from benchmarks.loader import Measured

RESULTS: Final = Path(__file__).parent / "results"
TARGETS: Final = (
    "To reach: added p50 at 1 client <= 1.0 ms, >= 2,000 calls/s at 32, RSS <= 120 MiB."
)
_PACKAGES: Final = ("aiohttp", "cedarpy", "msgspec", "uvicorn", "uvloop")

_HEAD: Final = (
    f"{'path':<16}{'clients':>8}{'p50 ms':>9}{'p99 ms':>9}{'added p50':>11}{'added p99':>11}"
    f"{'calls/s':>10}{'of direct':>11}{'CPU us':>9}"
)


class Row(msgspec.Struct, kw_only=True):
    """The median over the rounds of one path at one number of clients."""

    path: str
    clients: int
    p50_ms: float
    p99_ms: float
    per_s: float
    wrong: int
    added_p50_ms: float = 0.0
    added_p99_ms: float = 0.0
    rate_of_direct: float = 1.0
    cpu_us: float = 0.0


class Memory(msgspec.Struct, kw_only=True):
    """MiB of the daemon itself, and with its policy child; PSS shares what is shared."""

    rss: float
    pss: float
    pss_with_children: float


class Figure(msgspec.Struct):
    """One figure that is not a call's. `limit`: to stay under, or to reach where it `is_floor`."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    is_floor: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it keeps its limit."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.is_floor else self.value <= self.limit


class Report(msgspec.Struct, kw_only=True):
    """A whole run."""

    at: str
    machine: str
    cores: int
    python: str
    packages: dict[str, str]
    seconds: float
    rounds: int
    rows: list[Row]
    memory_idle: Memory
    memory_after: Memory
    calls: int
    figures: list[Figure]


def row(path: str, clients: int, rounds: list[Measured], direct: list[Measured]) -> Row:
    """Medians over the rounds; what was added is taken round by round, as they were interleaved."""
    pairs = list(zip(rounds, direct, strict=True))
    return Row(
        path=path,
        clients=clients,
        p50_ms=median(one.p50_ms for one in rounds),
        p99_ms=median(one.p99_ms for one in rounds),
        per_s=median(one.per_s for one in rounds),
        wrong=sum(one.wrong for one in rounds),
        added_p50_ms=median(one.p50_ms - bare.p50_ms for one, bare in pairs),
        added_p99_ms=median(one.p99_ms - bare.p99_ms for one, bare in pairs),
        cpu_us=median(one.cpu_us for one in rounds),
        rate_of_direct=median(one.per_s / bare.per_s for one, bare in pairs),
    )


def memory(pids: list[int]) -> Memory:
    """Reads what the kernel counts. `pids`: the daemon first."""
    rss, pss = _resident(pids[0])
    children = sum(_resident(pid)[1] for pid in pids[1:])
    return Memory(rss=rss, pss=pss, pss_with_children=pss + children)


def _resident(pid: int) -> tuple[float, float]:
    counted: dict[str, float] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        counted[name] = int(rest.split()[0]) / 1024
    return counted["Rss"], counted["Pss"]


def report(
    rows: list[Row],
    figures: list[Figure],
    memory: tuple[Memory, Memory],
    *,
    seconds: float,
    rounds: int,
    calls: int,
) -> Report:
    """The run with what it ran on. `memory`: idle, and after the calls."""
    return Report(
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        machine=f"{platform.machine()} {platform.system()} {platform.release()}",
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        packages={name: version(name) for name in _PACKAGES},
        seconds=seconds,
        rounds=rounds,
        rows=rows,
        memory_idle=memory[0],
        memory_after=memory[1],
        calls=calls,
        figures=figures,
    )


def table(made: Report) -> str:
    """The run as people read it."""
    lines = [
        f"{made.at}  {made.machine}, {made.cores} cores, Python {made.python}",
        f"medians of {made.rounds} interleaved rounds of {made.seconds:g} s",
        "",
        _HEAD,
    ]
    for one in made.rows:
        added = "".join(
            f"{value:>11.3f}" if one.path != "direct" else f"{'-':>11}"
            for value in (one.added_p50_ms, one.added_p99_ms)
        )
        cpu = f"{one.cpu_us:>9.0f}" if one.cpu_us else f"{'-':>9}"
        wrong = f"  {one.wrong} wrong answers" if one.wrong else ""
        lines.append(
            f"{one.path:<16}{one.clients:>8}{one.p50_ms:>9.3f}{one.p99_ms:>9.3f}{added}"
            f"{one.per_s:>10,.0f}{one.rate_of_direct:>10.1%}{cpu}{wrong}"
        )
    limit = max(one.per_s for one in made.rows if one.path == "direct")
    idle, after = made.memory_idle, made.memory_after
    lines += [
        "",
        f"Loader and upstream together reach {limit:,.0f} calls/s: their own limit.",
        f"Memory idle: RSS {idle.rss:.1f} MiB, PSS {idle.pss:.1f} MiB.",
        f"With the policy child: PSS {idle.pss_with_children:.1f} MiB.",
        f"After {made.calls:,} calls: RSS {after.rss:.1f} MiB.",
        "pass-through: uvicorn and aiohttp with nothing in between; CPU: of the daemon, a call.",
        TARGETS,
        "",
        *map(_figure, made.figures),
    ]
    return "\n".join(lines)


def _figure(one: Figure) -> str:
    bound = ""
    if one.limit is not None:
        sign, met = (">=" if one.is_floor else "<="), ("" if one.is_met else ", not met")
        bound = f"  (to reach: {sign} {one.limit:,g}{met})"
    value = f"{one.value:,.0f}" if one.value >= 100 else f"{one.value:.2f}"
    return f"{one.name:<40}{value:>10} {one.unit}{bound}"


def write(made: Report) -> Path:
    """Leaves the run as a dated JSON file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{made.at.replace(':', '')}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=2))
    return path
