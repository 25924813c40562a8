"""The identity of an installation: made once, checked at every start, its keys counted ahead."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.state import CountedRandom, FakeClock
from wicketd.domain.errors import KeyringInvalid
from wicketd.services.installation import Installation, Keys
from wicketd.storage import key_usage, meta
from wicketd.storage.db import SqliteDatabase
from wicketd.vault import keyring
from wicketd.vault.usage import BLOCK

CREATED = "2026-11-24T00:00:00Z"


def keys(random: CountedRandom) -> Keys:
    """New key files."""
    ring = keyring.parse(keyring.generate(CREATED, random))
    return Keys(ring, keyring.parse_audit_key(keyring.generate_audit_key(CREATED, random)))


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = await SqliteDatabase.open(tmp_path / "wicket.db", FakeClock())
    yield opened
    await opened.close()


async def test_the_install_id_is_made_once(db: SqliteDatabase) -> None:
    random = CountedRandom()
    files = keys(random)
    first = await Installation.open(db, files, random)
    second = await Installation.open(db, files, random)
    assert first.install_id == second.install_id
    assert len(first.install_id) == 16


@pytest.mark.requirement("FC9")
async def test_the_keyring_of_another_installation_is_refused(db: SqliteDatabase) -> None:
    random = CountedRandom()
    await Installation.open(db, keys(random), random)
    with pytest.raises(KeyringInvalid, match="not the key of this database"):
        await Installation.open(db, keys(random), random)


async def test_encryptions_are_reserved_on_disk_before_they_are_made(db: SqliteDatabase) -> None:
    random = CountedRandom()
    home = await Installation.open(db, keys(random), random)
    for label in ("audit-args", "outer-wrap", "pending-token", "totp"):
        reserved = await db.one(key_usage.of("k1", label))
        assert reserved is not None
        assert reserved.encryptions >= home.usage.left("k1", label) > 0


async def test_used_blocks_are_replaced_and_a_full_stock_is_left_alone(db: SqliteDatabase) -> None:
    random = CountedRandom()
    home = await Installation.open(db, keys(random), random)
    full = home.usage.left("k1", "audit-args")
    await home.top_up(db)
    assert home.usage.left("k1", "audit-args") == full
    for _ in range(full - BLOCK):
        home.usage("k1", "audit-args")
    await home.top_up(db)
    assert full - BLOCK < home.usage.left("k1", "audit-args") <= full + BLOCK
    stored = await db.one(key_usage.of("k1", "audit-args"))
    assert stored is not None
    assert stored.encryptions > full


async def test_a_start_never_counts_an_encryption_twice(db: SqliteDatabase) -> None:
    random = CountedRandom()
    files = keys(random)
    for starts in (1, 2, 3):
        home = await Installation.open(db, files, random)
        stored = await db.one(key_usage.of("k1", "audit-args"))
        assert stored is not None
        assert stored.encryptions == starts * home.usage.left("k1", "audit-args")


async def test_each_key_leaves_its_check_value(db: SqliteDatabase) -> None:
    random = CountedRandom()
    home = await Installation.open(db, keys(random), random)
    stored = await db.one(meta.get("keyring_check:k1"))
    assert stored == home.keyring.check_value("k1").hex()
