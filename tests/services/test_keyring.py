"""The keyring as counts: rows by table, encryptions by purpose, never a key."""

from tests.support.state import ADMIN, State
from wicketd.services.keyring import KeyringStatus
from wicketd.storage import key_usage
from wicketd.vault.keyring import Keyring


async def test_every_row_under_a_key_is_counted_by_table(state: State) -> None:
    await state.connected()
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"token")
    await state.keys.issue(ADMIN, "demo", "bob")
    await state.db.write(lambda tx: tx.run(key_usage.reserve("k1", "outer-wrap", 1024)))
    (use,) = await KeyringStatus(state.db, state.keyring, state.clock).report()
    assert (use.kid, use.is_active) == ("k1", True)
    assert dict(use.rows) == {"connections": 1, "member_keys": 1, "policy_revisions": 2}
    assert dict(use.encryptions) == {"outer-wrap": 1024}


async def test_the_active_key_comes_first_and_an_unused_one_holds_nothing(state: State) -> None:
    root = state.keyring.roots["k1"]
    ring = Keyring("k2", {"k1": root, "k2": root, "k0": root}, state.keyring.install_id)
    found = await KeyringStatus(state.db, ring, state.clock).report()
    assert [(use.kid, use.is_active) for use in found] == [
        ("k2", True),
        ("k0", False),
        ("k1", False),
    ]
    assert all(dict(use.rows) == {} for use in found)
