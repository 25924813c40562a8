"""The requirement files pin every package with its hashes and name no place to fetch it from."""

import re
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).resolve().parents[2] / "requirements").glob("*.txt"))
REQUIREMENT = re.compile(
    r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.+!]*( ; [\w .\"'<>=()]+)?( --hash=sha256:[0-9a-f]{64})+"
)


def joined(path: Path) -> list[str]:
    """The requirements of a file, one a line; comments and blank lines are dropped."""
    text = re.sub(r" *\\\n +", " ", path.read_text(encoding="utf-8"))
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def names(path: Path) -> dict[str, str]:
    return dict(line.split(" ", 1)[0].split("==") for line in joined(path))


def test_there_is_a_file_to_run_and_one_to_develop() -> None:
    assert [path.name for path in FILES] == ["dev.txt", "run.txt"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_requirement_is_pinned_and_hashed(path: Path) -> None:
    assert joined(path)
    assert not [line for line in joined(path) if not REQUIREMENT.fullmatch(line)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_requirement_names_a_host_an_index_or_a_path(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(
        r"://|--index|--extra-index|--find-links|--trusted-host|\bfile:| @ |^-[ref]",
        text,
        re.MULTILINE,
    )


def test_what_runs_is_what_is_developed_with() -> None:
    develop, run = (names(path) for path in FILES)
    assert run.items() <= develop.items()
