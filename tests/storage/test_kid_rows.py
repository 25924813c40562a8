"""Rows by server key: each column that names a kid is counted under its table."""

from pathlib import Path

from tests.support.state import ADMIN, open_state
from wicketd.storage import kid_rows, meta
from wicketd.storage.kid_rows import KidRows


async def test_pending_and_sealed_connections_are_one_table(tmp_path: Path) -> None:
    async with open_state(tmp_path) as state:
        await state.connected()
        await state.member(name="eve")
        for name in ("bob", "eve"):
            await state.connections.set_static(ADMIN, "demo", name, "notes", b"token")
        await state.keys.issue(ADMIN, "demo", "eve")
        found = await state.db.all(kid_rows.all(state.clock.now_ms()))
        assert KidRows("k1", "connections", 2) in found
        named = set(await state.db.all(meta.named_kids()))
        assert named <= {row.kid for row in found}


async def test_an_empty_database_names_no_key(tmp_path: Path) -> None:
    async with open_state(tmp_path) as state:
        assert await state.db.all(kid_rows.all(state.clock.now_ms())) == []
