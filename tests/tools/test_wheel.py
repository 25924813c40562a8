"""The wheel that pip and pipx install: every file of both packages, the schema, both programs."""

import zipfile
from pathlib import Path

from tools import deb

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_holds_all_that_the_programs_read(tmp_path: Path) -> None:
    wheel = zipfile.ZipFile(deb.wheel(tmp_path))
    names = set(wheel.namelist())
    wanted = {
        str(path.relative_to(ROOT))
        for package in ("wicketd", "wicket_tui")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    (programs,) = (wheel.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert not wanted - names
    assert wheel.read("wicketd/storage/schema.sql") == (ROOT / "schema.sql").read_bytes()
    assert "wicket = wicket_tui.cli:main\nwicketd = wicketd.cli:main\n" in programs
