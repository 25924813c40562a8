"""A new installation's files: complete, private from their first byte, never overwritten."""

import stat
from pathlib import Path

import pytest

from tests.support.state import CountedRandom
from wicketd.domain.errors import ConfigInvalid
from wicketd.services.founding import found
from wicketd.vault import keyring

CREATED = "2026-11-24T00:00:00Z"


def mode(path: Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    home = tmp_path / "a" / "wicket"
    made = found(home, "x = 1\n", CREATED, CountedRandom())
    assert [(one.path.name, one.is_new) for one in made] == [
        ("server.keyring", True),
        ("audit.key", True),
        ("wicketd.toml", True),
    ]
    assert {mode(one.path) for one in made} == {0o600}
    assert {mode(home), mode(home / "connectors.d")} == {0o700}
    assert keyring.load(home / "server.keyring", {}).active == "k1"
    assert (home / "wicketd.toml").read_text() == "x = 1\n"


def test_what_exists_is_kept_as_it_is(tmp_path: Path) -> None:
    found(tmp_path, "x = 1\n", CREATED, CountedRandom())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    (tmp_path / "audit.key").unlink()
    again = found(tmp_path, "x = 2\n", CREATED, CountedRandom())
    assert [one.is_new for one in again] == [False, True, False]
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    del before["audit.key"], after["audit.key"]
    assert after == before


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigInvalid, match="Cannot write"):
        found(tmp_path / "file" / "wicket", "", CREATED, CountedRandom())
