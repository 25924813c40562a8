"""A copy is one committed state with a manifest of its own, or it is not there at all."""

import asyncio
from pathlib import Path

import pytest

from tests.support.state import FakeClock
from wicketd.domain.errors import Conflict, StorageBroken
from wicketd.domain.ports import Tx
from wicketd.storage import copies, meta
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.offline import OfflineDatabase

PAIRS = 400


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "wicket.db"
    db = await SqliteDatabase.open(path, FakeClock())
    await db.write(lambda tx: tx.run(meta.put("install_id", "ab" * 16)))
    await db.close()
    return path


def saved(database: Path, target: Path) -> copies.Manifest:
    with OfflineDatabase(database) as source:
        return source.save(target, 1000)


def names(directory: Path) -> set[str]:
    return {one.name for one in directory.iterdir()}


def test_a_copy_and_its_manifest_are_two_private_files(database: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    manifest = saved(database, target)
    assert copies.read(target) == manifest
    assert (manifest.install_id, manifest.made_at, manifest.audit_seq) == ("ab" * 16, 1000, 0)
    assert names(tmp_path) == {"state", "copy.db", "copy.db.manifest"}
    for file in (target, copies.manifest_path(target)):
        assert file.stat().st_mode & 0o777 == 0o600


async def test_a_copy_under_live_writes_is_one_committed_state(
    database: Path, tmp_path: Path
) -> None:
    """Each transaction writes two values: a copy in which they differ was torn."""
    db = await SqliteDatabase.open(database, FakeClock())
    try:

        def pair(number: int) -> None:
            def work(tx: Tx) -> None:
                tx.run(meta.put("left", f"{number}"))
                tx.run(meta.put(f"filler:{number}", "x" * 4000))
                tx.run(meta.put("right", f"{number}"))

            writing.append(asyncio.ensure_future(db.write(work)))

        writing: list[asyncio.Future[None]] = []
        seen = set()
        for round_ in range(4):
            for number in range(PAIRS // 4):
                pair(round_ * PAIRS + number)
            target = tmp_path / f"copy-{round_}.db"
            await asyncio.to_thread(saved, database, target)
            with OfflineDatabase(target) as copied:
                left = copied.one(meta.get("left"))
                assert left == copied.one(meta.get("right"))
                seen.add(left)
        await asyncio.gather(*writing)
        assert len(seen) > 1
    finally:
        await db.close()


def test_no_copy_is_overwritten(database: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(Conflict, match="no backup is overwritten"):
        saved(database, target)
    assert target.read_text() == "precious"
    (tmp_path / "other.db.manifest").write_text("")
    with pytest.raises(Conflict):
        saved(database, tmp_path / "other.db")


def test_a_copy_that_cannot_be_written_leaves_nothing(database: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StorageBroken, match="Nothing was left"):
        saved(database, blocked / "copy.db")
    with pytest.raises(StorageBroken, match="Nothing was left"):
        saved(database, tmp_path / "missing" / "copy.db")
    assert names(tmp_path) == {"state", "file"}


def test_a_changed_cut_or_unfinished_copy_is_refused(database: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    saved(database, target)
    whole, notes = target.read_bytes(), copies.manifest_path(target)
    for wrong in (whole[:-1], whole + b"x", whole[:5000] + b"\xff" + whole[5001:]):
        target.write_bytes(wrong)
        with pytest.raises(StorageBroken, match="changed or cut"):
            copies.read(target)
    target.write_bytes(whole)
    said = notes.read_bytes()
    notes.write_bytes(b"{}")
    with pytest.raises(StorageBroken, match="is no manifest"):
        copies.read(target)
    notes.write_bytes(said.replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(StorageBroken, match="has format 2"):
        copies.read(target)
    notes.unlink()
    with pytest.raises(StorageBroken, match="no finished backup"):
        copies.read(target)
