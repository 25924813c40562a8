"""The state directory is the owner's alone, whatever it was before."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.rows import FakeClock
from wicketd.domain.errors import Forbidden, SecondInstance, StorageBroken
from wicketd.storage import files
from wicketd.storage.db import SqliteDatabase


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_directory_and_files_are_the_owners_alone(path: Path, clock: FakeClock) -> None:
    before = os.umask(0)
    try:
        db = await SqliteDatabase.open(path, clock)
    finally:
        os.umask(before)
    modes = {file.name: _mode(file) for file in path.parent.iterdir()}
    assert _mode(path.parent) == 0o700
    assert modes == dict.fromkeys(
        ("wicket.db", "wicket.db-wal", "wicket.db-shm", "wicket.lock"), 0o600
    )
    await db.close()


def test_wide_modes_are_narrowed(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    path.parent.chmod(0o755)
    for file in (path, *files.side_files(path)):
        file.touch(mode=0o644)
        file.chmod(0o644)
    files.prepare(path)
    assert _mode(path.parent) == 0o700
    assert {_mode(file) for file in path.parent.iterdir()} == {0o600}


def test_a_symbolic_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageBroken):
        files.prepare(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.with_suffix(".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageBroken):
        files.LockFile(path)


def test_the_lock_is_free_after_its_release(path: Path) -> None:
    files.prepare(path)
    first = files.LockFile(path)
    with pytest.raises(SecondInstance):
        files.LockFile(path)
    first.release()
    files.LockFile(path).release()


def test_a_missing_file_has_no_identity(path: Path) -> None:
    files.prepare(path)
    assert files.identity(path) is None


def test_free_space_is_that_of_the_file_system(path: Path) -> None:
    files.prepare(path)
    assert files.free_bytes(path) > 0


def test_the_owner_may_open_the_file(path: Path) -> None:
    files.prepare(path)
    with files.as_owner(path):
        assert path.exists()


def _as_user(uid: int, path: Path) -> subprocess.CompletedProcess[str]:
    """Runs `as_owner` in a process that is `uid`, and prints who it is then."""
    code = (
        "import os, sys; from pathlib import Path; from wicketd.storage import files\n"
        f"os.setuid({uid})\n"
        "with files.as_owner(Path(sys.argv[1])): print(os.geteuid(), os.getegid())\n"
        "print(os.geteuid(), os.getegid())"
    )
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change the user")
def test_root_acts_as_the_owner_of_the_file_and_is_root_again(path: Path) -> None:
    files.prepare(path)
    os.chown(path, 12345, 12346)
    result = _as_user(0, path)
    assert result.stdout.splitlines() == ["12345 12346", "0 0"]


def test_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.prepare(path)
    stranger = path.stat().st_uid + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    with pytest.raises(Forbidden, match="belongs to user"), files.as_owner(path):
        pytest.fail("a stranger came in")


def test_a_missing_file_has_no_owner_to_act_as(path: Path) -> None:
    with pytest.raises(StorageBroken), files.as_owner(path):
        pytest.fail("nobody is its owner")
