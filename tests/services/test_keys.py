"""Keys of local members: made once, sealed to, revoked."""

import pytest

from tests.services.test_members import add_with_account
from tests.support.state import ADMIN, State
from wicketd.domain.connections import ConnectionState
from wicketd.domain.errors import Conflict, NotFound
from wicketd.domain.members import KeyState, MemberState
from wicketd.domain.ports import Statement
from wicketd.vault import member_key


@pytest.mark.requirement("P7")
async def test_a_key_is_given_once_and_only_its_verifier_is_stored(state: State) -> None:
    await state.agent()
    await state.member()
    key, text = await state.keys.issue(ADMIN, "demo", "bob")
    parsed = member_key.parse(text)
    assert parsed is not None
    assert parsed.key_id == key.key_id
    subkey = state.keyring.subkey(key.srv_kid, "member-verifier")
    expected = member_key.verifier(subkey, key.key_id, key.agent_id, key.member_id, parsed.secret)
    assert member_key.matches(expected, key.verifier)
    stored = state.file_bytes()
    assert text.encode() not in stored
    assert parsed.secret.reveal() not in stored
    assert await state.kinds() == ["agent.created", "policy.created", "member.added", "key.issued"]


async def test_a_member_has_one_active_key(state: State) -> None:
    await state.agent()
    await state.member()
    await state.keys.issue(ADMIN, "demo", "bob")
    before = await state.recorded()
    with pytest.raises(Conflict, match="it is active"):
        await state.keys.issue(ADMIN, "demo", "bob")
    assert await state.recorded() == before


async def test_a_member_with_an_account_gets_no_key_here(state: State) -> None:
    await state.agent()
    ann = await add_with_account(state, "demo", MemberState.APPROVED)
    with pytest.raises(Conflict, match="has an account"):
        await state.keys.issue(ADMIN, "demo", ann.id)
    assert await state.keys.list("demo") == []


async def test_a_removed_member_gets_no_key(state: State) -> None:
    await state.agent()
    bob = await state.member()
    await state.members.remove(ADMIN, "demo", "bob")
    with pytest.raises(Conflict, match="gets no key"):
        await state.keys.issue(ADMIN, "demo", bob.id)


@pytest.mark.requirement("P6")
async def test_issuing_seals_what_was_pending_and_leaves_no_server_copy(state: State) -> None:
    await state.connected()
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"canary-token")
    pending = await state.held()
    assert pending is not None
    assert pending.state is ConnectionState.PENDING
    assert pending.pending_ct is not None
    assert pending.pending_ct in state.file_bytes()
    before = await state.recorded()
    await state.keys.issue(ADMIN, "demo", "bob")
    sealed = await state.held()
    assert sealed is not None
    assert (sealed.state, sealed.sealed_suite, sealed.generation) == (
        ConnectionState.SEALED,
        1,
        1,
    )
    assert sealed.pending_ct is None
    assert pending.pending_ct not in state.file_bytes()
    assert await state.kinds(before) == ["key.issued", "connection.sealed"]


async def test_issuing_expires_what_was_pending_too_long(state: State) -> None:
    await state.connected()
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"canary-token")
    state.clock.pass_s(24 * 3600)
    await state.keys.issue(ADMIN, "demo", "bob")
    held = await state.held()
    assert held is not None
    assert held.state is ConnectionState.EXPIRED


@pytest.mark.requirement("FC8")
async def test_issuing_breaks_what_does_not_open(state: State) -> None:
    await state.connected()
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"canary-token")
    await state.db.write(
        lambda tx: tx.run(Statement("UPDATE connections SET origin = 'https://evil.test:443'", ()))
    )
    await state.keys.issue(ADMIN, "demo", "bob")
    held = await state.held()
    assert held is not None
    assert (held.state, held.error) == (ConnectionState.NEEDS_RECONNECT, "decrypt_failed")


@pytest.mark.requirement("P8", "FC16")
async def test_a_revoked_key_takes_sealed_tokens_along_and_holds_at_once(state: State) -> None:
    await state.connected()
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"canary-token")
    key, _ = await state.keys.issue(ADMIN, "demo", "bob")
    sealed = await state.held()
    assert sealed is not None
    assert sealed.sealed_ct is not None
    before = await state.recorded()
    state.neighbours.told.clear()
    revoked = await state.keys.revoke(ADMIN, "demo", "bob", "laptop lost")
    assert revoked.key_id == key.key_id
    (stored,) = await state.keys.list("demo")
    assert (stored.state, stored.ended_reason, stored.ended_by) == (
        KeyState.REVOKED,
        "laptop lost",
        "uid:1000",
    )
    held = await state.held()
    assert held is not None
    assert (held.state, held.sealed_ct) == (ConnectionState.NEEDS_RECONNECT, None)
    assert sealed.sealed_ct not in state.file_bytes()
    assert await state.kinds(before) == ["key.revoked", "connection.broken"]
    assert state.neighbours.told == [
        ("sessions_end", key.id),
        ("forget_key", key.key_id),
        ("end_key", key.key_id),
        ("sessions_gone", key.id),
    ]


async def test_a_leaked_key_is_revoked_by_its_public_id_alone(state: State) -> None:
    await state.agent()
    await state.member()
    key, _ = await state.keys.issue(ADMIN, "demo", "bob")
    revoked = await state.keys.revoke_by_id(ADMIN, key.key_id, "found in a paste")
    assert revoked.id == key.id
    with pytest.raises(Conflict, match="it is revoked"):
        await state.keys.revoke_by_id(ADMIN, key.key_id, None)
    with pytest.raises(NotFound, match="No key has the id"):
        await state.keys.revoke_by_id(ADMIN, "00000000", None)


async def test_a_member_without_active_key_has_nothing_to_revoke(state: State) -> None:
    await state.agent()
    await state.member()
    with pytest.raises(Conflict, match="no active key"):
        await state.keys.revoke(ADMIN, "demo", "bob", "reason")


async def test_after_a_revocation_a_new_key_can_be_issued(state: State) -> None:
    await state.agent()
    await state.member()
    first, _ = await state.keys.issue(ADMIN, "demo", "bob")
    await state.keys.revoke(ADMIN, "demo", "bob", None)
    second, _ = await state.keys.issue(ADMIN, "demo", "bob")
    assert second.key_id != first.key_id
    assert [key.state for key in await state.keys.list("demo")] == [
        KeyState.REVOKED,
        KeyState.ACTIVE,
    ]


async def test_a_key_verifies_for_its_own_agent_and_member_only(state: State) -> None:
    await state.agent()
    await state.agent("other")
    await state.member()
    await state.member("other")
    key, text = await state.keys.issue(ADMIN, "demo", "bob")
    other = await state.members.get("other", "bob")
    parsed = member_key.parse(text)
    assert parsed is not None
    subkey = state.keyring.subkey(key.srv_kid, "member-verifier")
    forged = member_key.verifier(subkey, key.key_id, other.agent_id, other.id, parsed.secret)
    assert not member_key.matches(forged, key.verifier)
