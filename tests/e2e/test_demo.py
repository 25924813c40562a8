"""`make demo` as a newcomer runs it."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_demo_shows_each_kind_of_decision_and_leaves_nothing_behind() -> None:
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        _run_in(Path(place))


def _run_in(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "contrib" / "demo" / "demo.py")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for shown in (
        "baseline-notes@1",
        "(no_permit)",
        "no-deletions@1",
        "circuit-breaker@1",
        "signed in with the mailed code",
        "saved the token for notes, made the key",
        "The log is whole.",
        "2025-11-25: 9 tools",
        "2026-07-28: 9 tools",
        "4 of notes__create_note would be allowed",
    ):
        assert shown in done.stdout
    assert list(tmp_path.iterdir()) == []
