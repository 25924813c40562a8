"""Runs the npm conformance suite against a URL and reads what it found.

Counterpart of `run`, which says against what. The gate is the suite's exit code, and that each
scored scenario of the package's own list ran: a count of passed checks proves nothing, a server
that only answers 401 passes dozens.
"""

import asyncio
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from typing_extensions import override

HERE: Final = Path(__file__).parent
BIN: Final = HERE / "node_modules" / ".bin"
REVISIONS: Final = ("2025-11-25", "2026-07-28")
_REQUIREMENTS: Final = HERE / "node_modules/@modelcontextprotocol/conformance/requirements"
_RUN_S: Final = 180
_STAMPED: Final = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z")


@dataclass(frozen=True, slots=True)
class Count:
    """Checks of one scenario."""

    passed: int
    failed: int
    reasons: tuple[str, ...] = ()

    @override
    def __str__(self) -> str:
        return f"{self.passed}/{self.failed}"


_BROKEN: Final = Count(0, 1, ("it ended without a word",))


@dataclass(frozen=True, slots=True)
class Found:
    """One run. `output`: what the suite printed."""

    code: int
    scenarios: Mapping[str, Count]
    output: str

    @property
    def failing(self) -> frozenset[str]:
        """The scenarios with a failed check, scored or not."""
        return frozenset(name for name, count in self.scenarios.items() if count.failed)

    @property
    def total(self) -> Count:
        """Over all scenarios."""
        counts = self.scenarios.values()
        return Count(sum(one.passed for one in counts), sum(one.failed for one in counts))


def is_installed() -> bool:
    """Whether `tools/packages.sh conformance` has installed the suite of the lock."""
    stamp = HERE / "node_modules" / ".stamp"
    return stamp.exists() and stamp.read_text() == (HERE / "package-lock.json").read_text()


def scored(revision: str) -> frozenset[str]:
    """The scenarios that a server must pass, as the package's own list names them."""
    text = (_REQUIREMENTS / f"{revision}.yaml").read_text()
    section = text.partition("\nserver:\n")[2].partition("\n\n")[0]
    return frozenset(line.removeprefix("  - ").strip() for line in section.splitlines())


def undeclared(revision: str) -> Mapping[str, str]:
    """Scenarios of extensions that are declared to nobody, each with its reason."""
    listed: Mapping[str, Mapping[str, str]] = tomllib.loads((HERE / "undeclared.toml").read_text())
    return listed[revision]


async def run(url: str, revision: str, output: Path) -> Found:
    """Runs the scenarios of `revision` against `url`; results go to the directory `output`."""
    child = await asyncio.create_subprocess_exec(
        BIN / "node", BIN / "conformance", "server", "--url", url,
        "--requirements", revision, "-o", output,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, env={"PATH": f"{BIN}:{os.environ['PATH']}"},
    )  # fmt: skip
    try:
        said, _ = await asyncio.wait_for(child.communicate(), _RUN_S)
    finally:
        if child.returncode is None:
            child.kill()
    return Found(child.returncode or 0, _scenarios(output), said.decode())


def _scenarios(output: Path) -> dict[str, Count]:
    found: dict[str, Count] = {}
    for directory in sorted(output.iterdir()):
        named = _STAMPED.fullmatch(directory.name)
        if named is not None:
            checks = directory / "checks.json"
            found[named[1]] = (
                _count(msgspec.json.decode(checks.read_bytes())) if checks.exists() else _BROKEN
            )
    return found


def _count(checks: list[dict[str, Any]]) -> Count:
    failed = [check for check in checks if check["status"] == "FAILURE"]
    passed = sum(check["status"] == "SUCCESS" for check in checks)
    reasons = tuple(f"{check['id']}: {check.get('errorMessage')}" for check in failed)
    return Count(passed, len(failed), reasons)


def across(eras: str, revision: str) -> Mapping[str, str]:
    """What the era of a fixture cannot express, each with its reason; none where it speaks both."""
    if eras == "both":
        return {}
    text = (HERE / "across.toml").read_text()
    listed: Mapping[str, Mapping[str, Mapping[str, str]]] = tomllib.loads(text)
    return listed[eras][revision]


def faults(found: Found, revision: str, eras: str = "both") -> list[str]:
    """Why a run does not pass; none if it does. `eras`: of the fixture."""
    said: list[str] = []
    if eras == "both" and found.code != 0:
        said.append(f"the suite ended with exit code {found.code}")
    missing = scored(revision) - found.scenarios.keys()
    if missing:
        said.append(f"scored but not run: {', '.join(sorted(missing))}")
    expected = undeclared(revision).keys() | across(eras, revision).keys()
    if surprises := found.failing - expected:
        said.append(f"failing, though in no list: {', '.join(sorted(surprises))}")
    if passing := expected - found.failing:
        said.append(f"in a list, though passing: {', '.join(sorted(passing))}")
    return said
