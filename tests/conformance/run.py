"""The conformance suite directly against the fixture and through the daemon, side by side.

    python -m tests.conformance.run [--revision V] [--eras both|legacy|modern] [--keep DIRECTORY]

Exits 1 unless every scored scenario of both revisions passes through the daemon and exactly the
scenarios of `undeclared.toml` fail. `--eras` legacy or modern holds the fixture to one era: what
the bridging between eras gives; there also what `across.toml` names fails, and nothing else.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.conformance import suite
from tests.conformance.guarded_fixture import guarded_fixture
from tests.conformance.suite import Count, Found

_NONE = Count(0, 0)


def _table(revision: str, direct: Found, through: Found) -> str:
    names = sorted(direct.scenarios.keys() | through.scenarios.keys())
    scored = suite.scored(revision)
    rows = [f"{revision:<48}{'direct':>10}{'through':>10}   (checks passed/failed)"]
    for name in names:
        one, other = direct.scenarios.get(name, _NONE), through.scenarios.get(name, _NONE)
        note = "" if name in scored else "   not scored"
        rows.append(f"{name:<48}{one!s:>10}{other!s:>10}{note}")
    rows.append(f"{'total':<48}{direct.total!s:>10}{through.total!s:>10}")
    for name in sorted(through.failing - suite.undeclared(revision).keys()):
        rows += [f"  {name}: {reason}" for reason in through.scenarios[name].reasons]
    return "\n".join(rows)


async def main(revisions: tuple[str, ...], eras: str, keep: Path | None) -> int:
    """Runs the suite and prints; gives the exit code."""
    if not suite.is_installed():
        print("The suite is not installed. Run: tools/packages.sh conformance", file=sys.stderr)
        return 1
    code = 0
    with tempfile.TemporaryDirectory() as place:
        results = keep or Path(place) / "results"
        async with guarded_fixture(Path(place), eras) as running:
            for revision in revisions:
                direct = await suite.run(running.direct, revision, results / f"direct-{revision}")
                through = await suite.run(running.url, revision, results / f"through-{revision}")
                print(_table(revision, direct, through), flush=True)
                faults = suite.faults(through, revision, eras)
                for fault in faults:
                    print(f"{revision}: {fault}")
                code = 1 if faults else code
            if keep is not None:
                (keep / "wicketd.log").write_text(running.daemon.log)
    print("conformance: passed" if code == 0 else "conformance: failed")
    return code


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--revision", choices=suite.REVISIONS)
    parser.add_argument("--eras", choices=("both", "legacy", "modern"), default="both")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    chosen = suite.REVISIONS if given.revision is None else (given.revision,)
    sys.exit(asyncio.run(main(chosen, given.eras, given.keep)))
