"""A backup goes back only whole, under its own keys and with no daemon; nothing is overwritten."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.site import CREATED, Site, first_keyring
from tests.support.state import ADMIN, CountedIds, CountedRandom, FakeClock, State
from tests.support.tampering import tamper
from wicketd.audit import checkpoint
from wicketd.domain.errors import Conflict, KeyringInvalid, SecondInstance, StorageBroken
from wicketd.services import backup, verifying
from wicketd.services.audit import AuditLog, Notary
from wicketd.services.installation import Keys
from wicketd.services.retiring import Tools
from wicketd.services.verifying import Proofs
from wicketd.storage import copies, files
from wicketd.storage.agents import by_key_or_id
from wicketd.storage.offline import OfflineDatabase
from wicketd.vault import keyring


class Copied(SimpleNamespace):
    """A backup of a state with one agent: `file`, the `keys` it was made under, and `site`."""

    file: Path
    keys: Keys
    site: Site

    async def restore(
        self, where: Path, *, force: bool = False, keys: Keys | None = None
    ) -> object:
        clock = FakeClock()
        tools = Tools(clock, CountedIds(clock), CountedRandom())
        return await backup.restore(self.file, where, keys or self.keys, tools, force=force)


async def signed(state: State, site: Site) -> None:
    install_id = state.keyring.install_id
    notes: list[str] = []
    notary = Notary(lambda *head: checkpoint.sign(site.audit_key, install_id, *head), notes.append)
    await AuditLog(state.desk, notary, {}).checkpoint()


@pytest.fixture
async def copied(state: State, tmp_path: Path) -> Copied:
    site = await Site.found(state)
    await state.agent("first")
    await state.agent("demo")
    await state.member()
    await state.keys.issue(ADMIN, "demo", "bob")
    await signed(state, site)
    file = tmp_path / "backup.db"
    backup.make(site.place.database, file, 1000)
    return Copied(file=file, keys=Keys(keyring.load(site.path, {}), site.audit_key), site=site)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    directory = tmp_path / "elsewhere"
    directory.mkdir(mode=0o700)
    return directory


async def test_a_backup_goes_into_an_empty_place_and_says_so_in_the_log(
    copied: Copied, empty: Path
) -> None:
    done = await copied.restore(empty)
    assert isinstance(done, backup.Restored)
    assert done.aside is None
    assert {one.name for one in empty.iterdir()} == {"wicket.db", "wicket.lock"}
    report = verifying.of_database(done.database, Proofs(tuple(copied.keys.audit.publics.values())))
    assert report.exit_code() == 0
    assert report.restores == (done.manifest.audit_seq + 1,)
    assert done.database.stat().st_mode & 0o777 == 0o600


async def test_a_database_that_is_there_is_moved_aside_and_only_when_told(
    copied: Copied, empty: Path
) -> None:
    await copied.restore(empty)
    before = (empty / "wicket.db").read_bytes()
    with pytest.raises(Conflict, match="There is a database"):
        await copied.restore(empty)
    assert (empty / "wicket.db").read_bytes() == before
    done = await copied.restore(empty, force=True)
    assert isinstance(done, backup.Restored)
    assert done.aside is not None
    assert done.aside.read_bytes() == before


async def test_a_swap_that_fails_half_way_leaves_the_old_database_in_its_place(
    copied: Copied, empty: Path
) -> None:
    await copied.restore(empty)
    before = (empty / "wicket.db").read_bytes()
    (empty / "wicket.db-wal").write_bytes(b"the newest calls")
    (empty / f"wicket.db.before-restore-{FakeClock().now_ms()}-wal").mkdir()
    with pytest.raises(StorageBroken, match="The database is as it was"):
        await copied.restore(empty, force=True)
    assert (empty / "wicket.db").read_bytes() == before
    assert (empty / "wicket.db-wal").read_bytes() == b"the newest calls"


async def test_nothing_is_restored_under_a_running_daemon(copied: Copied, empty: Path) -> None:
    lock = files.LockFile(empty / "wicket.db")
    try:
        with pytest.raises(SecondInstance):
            await copied.restore(empty, force=True)
    finally:
        lock.release()
    assert {one.name for one in empty.iterdir()} == {"wicket.lock"}


async def test_another_keyring_or_audit_key_is_refused(copied: Copied, empty: Path) -> None:
    random = CountedRandom()
    random.bytes(1)
    for name in ("k1", "k2"):
        data = keyring.generate(CREATED, random).replace(b"k1", name.encode())
        foreign = Keys(keyring.parse(data, "test"), copied.keys.audit)
        with pytest.raises(KeyringInvalid):
            await copied.restore(empty, force=True, keys=foreign)
    audit = keyring.parse_audit_key(keyring.generate_audit_key(CREATED, CountedRandom()))
    own = keyring.parse(first_keyring(), "test")
    with pytest.raises(Conflict, match="not whole"):
        await copied.restore(empty, force=True, keys=Keys(own, audit))
    assert list(empty.iterdir()) == []


async def test_a_log_that_was_tampered_with_is_never_restored(
    copied: Copied, state: State, tmp_path: Path, empty: Path
) -> None:
    await tamper(state.db, "UPDATE audit SET body = replace(body, 'first', 'fir5t')")
    copied.file = tmp_path / "tampered.db"
    backup.make(copied.site.place.database, copied.file, 1000)
    with pytest.raises(Conflict, match="not whole"):
        await copied.restore(empty, force=True)
    assert list(empty.iterdir()) == []


async def test_an_unsigned_log_needs_a_word(
    copied: Copied, state: State, tmp_path: Path, empty: Path
) -> None:
    await tamper(state.db, "DELETE FROM audit_checkpoints")
    copied.file = tmp_path / "unsigned.db"
    backup.make(copied.site.place.database, copied.file, 1000)
    with pytest.raises(Conflict, match="cannot be vouched for"):
        await copied.restore(empty)
    assert isinstance(await copied.restore(empty, force=True), backup.Restored)


async def test_a_cut_backup_changes_nothing(copied: Copied, empty: Path) -> None:
    copied.file.write_bytes(copied.file.read_bytes()[:-4096])
    with pytest.raises(StorageBroken, match="changed or cut"):
        await copied.restore(empty, force=True)
    assert list(empty.iterdir()) == []


async def test_what_was_made_after_the_backup_is_not_in_it(
    copied: Copied, state: State, empty: Path
) -> None:
    await state.agent("later")
    await copied.restore(empty)
    with OfflineDatabase(empty / "wicket.db") as db:
        assert db.one(by_key_or_id("first")) is not None
        assert db.one(by_key_or_id("later")) is None


async def test_no_key_and_no_token_is_in_a_backup(copied: Copied) -> None:
    held = copied.file.read_bytes() + copies.manifest_path(copied.file).read_bytes()
    for root in copied.keys.ring.roots.values():
        assert root.reveal() not in held
        assert root.reveal().hex().encode() not in held
