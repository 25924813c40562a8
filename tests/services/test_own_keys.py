"""Keys that members make themselves: first, with the old one, lost, revoked (security spec, 4)."""

import asyncio
from dataclasses import replace

import pytest

from tests.support.state import ADMIN, NOTES, State, moved
from tests.support.visitors import (
    MINUTE_MS,
    add_membership,
    add_visitor,
    back_again,
    joined,
)
from wicketd.domain.accounts import Visitor
from wicketd.domain.connections import Connection, ConnectionState
from wicketd.domain.errors import (
    Conflict,
    Invalid,
    NotApproved,
    NotFound,
    SecondFactorNeeded,
)
from wicketd.domain.members import KeyState, MemberState
from wicketd.domain.ports import Statement
from wicketd.services.keys import IssuedKey
from wicketd.services.transitions import Held
from wicketd.storage import connections
from wicketd.vault import member_key
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.member_key import ParsedKey

ANN = "ann@example.test"


async def held(state: State, member: str = ANN) -> Connection:
    found = await state.held(member=member)
    assert found is not None
    return found


async def save(state: State, visitor: Visitor, token: bytes = b"canary-token") -> Connection:
    agent = await state.agents.get("demo")
    return await state.connections.set_own_static(visitor, agent.id, "notes", token)


def parsed(issued: IssuedKey) -> ParsedKey:
    found = member_key.parse(issued.text.reveal())
    assert found is not None
    return found


async def token_under(state: State, issued: IssuedKey, member: str = ANN) -> bytes:
    """What a holder of the key and the keyring reads."""
    key = parsed(issued)
    opened = state.box.open_sealed(Held(await held(state, member), "notes"), key.key_id, key.secret)
    return opened.token.reveal()


async def states(state: State) -> list[KeyState]:
    return [key.state for key in await state.keys.list("demo")]


@pytest.mark.requirement("P6", "P7")
async def test_the_first_key_seals_what_waited_for_it_and_is_nowhere_else(state: State) -> None:
    ann, member = await joined(state)
    pending = await save(state, ann)
    assert pending.state is ConnectionState.PENDING
    assert pending.pending_ct is not None
    before = await state.recorded()
    issued = await state.keys.issue_own(ann, member.agent_id)
    assert await state.kinds(before) == ["key.issued", "connection.sealed"]
    assert await token_under(state, issued) == b"canary-token"
    on_disk = state.file_bytes()
    assert pending.pending_ct not in on_disk
    assert issued.text.reveal() not in on_disk
    assert parsed(issued).secret.reveal() not in on_disk
    assert b"canary-token" not in on_disk


async def test_a_second_first_key_is_refused(state: State) -> None:
    ann, member = await joined(state)
    await state.keys.issue_own(ann, member.agent_id)
    before = await state.recorded()
    with pytest.raises(Conflict, match="it is active"):
        await state.keys.issue_own(ann, member.agent_id)
    assert await state.recorded() == before


@pytest.mark.requirement("P13")
async def test_a_key_is_made_by_its_own_member_alone(state: State) -> None:
    _, member = await joined(state)
    eve = await add_visitor(state, "eve@example.test")
    for act in (
        state.keys.issue_own(eve, member.agent_id),
        state.keys.rotate_own(eve, member.agent_id, b"x"),
        state.keys.replace_lost(eve, member.agent_id),
        state.keys.revoke_own(eve, member.agent_id),
        state.connections.set_own_static(eve, member.agent_id, "notes", b"t"),
        state.connections.disconnect_own(eve, member.agent_id, "notes"),
        state.members.leave(eve, member.agent_id),
    ):
        with pytest.raises(NotFound, match="no such page"):
            await act
    assert await state.keys.list("demo") == []


@pytest.mark.parametrize("by", ["key", "missing", "deleted"])
async def test_agents_that_are_not_ones_own_all_look_alike(state: State, by: str) -> None:
    ann, member = await joined(state)
    agent = await state.agents.get("demo")
    named = {"key": agent.key, "missing": member.id, "deleted": agent.id}[by]
    if by == "deleted":
        await state.db.write(
            lambda tx: tx.run(Statement("UPDATE agents SET status = 'deleted'", ()))
        )
    with pytest.raises(NotFound, match="no such page"):
        await state.keys.issue_own(ann, named)


async def test_a_blocked_account_makes_no_key(state: State) -> None:
    ann, member = await joined(state)
    await state.db.write(lambda tx: tx.run(Statement("UPDATE accounts SET status = 'blocked'", ())))
    with pytest.raises(NotFound):
        await state.keys.issue_own(ann, member.agent_id)


@pytest.mark.parametrize("reached", [MemberState.INVITED, MemberState.PENDING])
async def test_only_an_approved_member_makes_a_key(state: State, reached: MemberState) -> None:
    ann, member = await joined(state, reached)
    with pytest.raises(NotApproved):
        await state.keys.issue_own(ann, member.agent_id)


async def test_a_removed_member_makes_no_key(state: State) -> None:
    ann, member = await joined(state)
    await state.members.remove(ADMIN, "demo", member.id)
    with pytest.raises(NotFound):
        await state.keys.issue_own(ann, member.agent_id)


@pytest.mark.requirement("P17")
async def test_every_new_key_asks_for_a_fresh_code_and_a_revocation_does_not(state: State) -> None:
    ann, member = await joined(state)
    issued = await state.keys.issue_own(ann, member.agent_id)
    state.clock.pass_s(5 * 60 + 1)
    for act in (
        state.keys.issue_own(ann, member.agent_id),
        state.keys.rotate_own(ann, member.agent_id, issued.text.reveal()),
        state.keys.replace_lost(ann, member.agent_id),
    ):
        with pytest.raises(SecondFactorNeeded):
            await act
    await state.keys.revoke_own(ann, member.agent_id)
    assert await states(state) == [KeyState.REVOKED]


@pytest.mark.requirement("P6")
async def test_the_old_key_carries_sealed_tokens_over_in_one_transaction(state: State) -> None:
    ann, member = await joined(state)
    await save(state, ann)
    first = await state.keys.issue_own(ann, member.agent_id)
    before = await state.recorded()
    state.neighbours.told.clear()
    second = await state.keys.rotate_own(ann, member.agent_id, first.text.reveal())
    assert await state.kinds(before) == ["key.rotated", "key.issued", "connection.rewrapped"]
    assert await token_under(state, second) == b"canary-token"
    now = await held(state)
    assert (now.sealed_suite, now.sealed_key_id, now.generation) == (1, second.row.key_id, 2)
    assert await states(state) == [KeyState.SUPERSEDED, KeyState.ACTIVE]
    assert ("end_key", first.row.key_id) in state.neighbours.told
    assert ("forget_key", first.row.key_id) in state.neighbours.told
    with pytest.raises(DecryptFailed):
        await token_under(state, first)


async def test_the_old_key_carries_deposits_over_as_symmetric_records(state: State) -> None:
    ann, member = await joined(state)
    first = await state.keys.issue_own(ann, member.agent_id)
    deposit = await save(state, ann)
    assert deposit.sealed_suite == 2
    assert deposit.sealed_ct is not None
    second = await state.keys.rotate_own(ann, member.agent_id, first.text.reveal())
    assert (await held(state)).sealed_suite == 1
    assert await token_under(state, second) == b"canary-token"
    assert deposit.sealed_ct not in state.file_bytes()


async def test_a_broken_connection_stays_broken_and_opens_when_its_edit_is_taken_back(
    state: State,
) -> None:
    ann, member = await joined(state)
    await save(state, ann)
    first = await state.keys.issue_own(ann, member.agent_id)
    state.connectors["notes"] = moved(NOTES)
    await state.services.reload(ADMIN)
    second = await state.keys.rotate_own(ann, member.agent_id, first.text.reveal())
    assert (await held(state)).state is ConnectionState.NEEDS_RECONNECT
    state.connectors["notes"] = NOTES
    await state.services.reload(ADMIN)
    assert (await held(state)).state is ConnectionState.SEALED
    assert await token_under(state, second) == b"canary-token"


async def test_a_record_that_the_old_key_does_not_open_is_lost_with_it(state: State) -> None:
    ann, member = await joined(state)
    await save(state, ann)
    first = await state.keys.issue_own(ann, member.agent_id)
    edit = Statement("UPDATE connections SET generation = generation + 1", ())
    await state.db.write(lambda tx: tx.run(edit))
    before = await state.recorded()
    await state.keys.rotate_own(ann, member.agent_id, first.text.reveal())
    now = await held(state)
    assert (now.state, now.error, now.sealed_ct) == (
        ConnectionState.NEEDS_RECONNECT,
        "decrypt_failed",
        None,
    )
    assert await state.kinds(before) == ["key.rotated", "key.issued", "connection.broken"]


def other_secret(issued: IssuedKey) -> bytes:
    """A well-formed key with the same public id."""
    made = member_key.generate(_Zeros(), issued.row.key_id)
    return made.text.reveal()


class _Zeros:
    def bytes(self, count: int) -> bytes:
        return b"\x07" * count


@pytest.mark.parametrize("wrong", ["garbage", "another secret", "another member's", "ended"])
async def test_whatever_is_not_the_key_in_use_changes_nothing(state: State, wrong: str) -> None:
    ann, member = await joined(state)
    await save(state, ann)
    first = await state.keys.issue_own(ann, member.agent_id)
    text = {"garbage": b"wkt_nothing", "another secret": other_secret(first)}.get(wrong, b"")
    if wrong == "another member's":
        eve = await add_visitor(state, "eve@example.test")
        await add_membership(state, eve)
        text = (await state.keys.issue_own(eve, member.agent_id)).text.reveal()
    if wrong == "ended":
        text = first.text.reveal()
        await state.keys.rotate_own(ann, member.agent_id, text)
    kept, before = await held(state), await state.recorded()
    with pytest.raises(Invalid, match="not the key in use"):
        await state.keys.rotate_own(ann, member.agent_id, text)
    assert await held(state) == kept
    assert await state.recorded() == before


async def test_without_an_active_key_there_is_nothing_to_replace(state: State) -> None:
    ann, member = await joined(state)
    for act in (
        state.keys.rotate_own(ann, member.agent_id, b"x"),
        state.keys.replace_lost(ann, member.agent_id),
        state.keys.revoke_own(ann, member.agent_id),
    ):
        with pytest.raises(Conflict, match="no active key"):
            await act


async def test_a_change_of_key_waits_for_a_refresh_of_its_tokens(state: State) -> None:
    ann, member = await joined(state)
    connection = await save(state, ann)
    first = await state.keys.issue_own(ann, member.agent_id)
    async with state.desk.connection_locks.hold([connection.id], 1.0):
        change = asyncio.ensure_future(
            state.keys.rotate_own(ann, member.agent_id, first.text.reveal())
        )
        done, _ = await asyncio.wait([change], timeout=0.05)
        assert not done
        assert await states(state) == [KeyState.ACTIVE]
    await change
    assert await states(state) == [KeyState.SUPERSEDED, KeyState.ACTIVE]


async def test_a_refresh_that_does_not_end_refuses_the_change(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, member = await joined(state)
    connection = await save(state, ann)
    first = await state.keys.issue_own(ann, member.agent_id)
    monkeypatch.setattr("wicketd.services.keys.REFRESHES_END_S", 0.01)
    async with state.desk.connection_locks.hold([connection.id], 1.0):
        with pytest.raises(Conflict, match="Try again in a minute"):
            await state.keys.rotate_own(ann, member.agent_id, first.text.reveal())
    assert await states(state) == [KeyState.ACTIVE]


@pytest.mark.requirement("P8")
async def test_a_lost_key_takes_its_tokens_along_and_the_new_one_opens_nothing(
    state: State,
) -> None:
    ann, member = await joined(state)
    await save(state, ann)
    first = await state.keys.issue_own(ann, member.agent_id)
    sealed = (await held(state)).sealed_ct
    assert sealed is not None
    before = await state.recorded()
    second = await state.keys.replace_lost(ann, member.agent_id)
    assert await state.kinds(before) == ["key.reset_lost", "connection.broken", "key.issued"]
    now = await held(state)
    assert (now.state, now.error, now.sealed_ct) == (
        ConnectionState.NEEDS_RECONNECT,
        "key_lost",
        None,
    )
    assert sealed not in state.file_bytes()
    assert await states(state) == [KeyState.SUPERSEDED, KeyState.ACTIVE]
    await save(state, ann, b"another-token")
    assert await token_under(state, second) == b"another-token"
    assert ("end_key", first.row.key_id) in state.neighbours.told


async def test_a_revoked_key_is_followed_by_a_first_one(state: State) -> None:
    ann, member = await joined(state)
    await save(state, ann)
    await state.keys.issue_own(ann, member.agent_id)
    await state.keys.revoke_own(ann, member.agent_id)
    assert (await held(state)).state is ConnectionState.NEEDS_RECONNECT
    await state.keys.issue_own(back_again(state, ann), member.agent_id)
    assert await states(state) == [KeyState.REVOKED, KeyState.ACTIVE]


async def test_rows_name_the_account_and_no_admin(state: State) -> None:
    ann, member = await joined(state)
    await state.keys.issue_own(ann, member.agent_id)
    row = (await state.rows())[-1]
    assert f'"accountId":"{ann.account.id}"' in row.body
    assert '"actor"' not in row.body


async def test_a_pending_member_connects_and_an_invited_one_does_not(state: State) -> None:
    ann, _ = await joined(state, MemberState.PENDING)
    assert (await save(state, ann)).state is ConnectionState.PENDING
    eve = await add_visitor(state, "eve@example.test")
    await add_membership(state, eve, member_state=MemberState.INVITED)
    with pytest.raises(NotApproved, match="Accept it"):
        await save(state, eve)


@pytest.mark.parametrize("service", ["unknown", "disabled"])
async def test_a_service_that_is_off_is_no_page(state: State, service: str) -> None:
    ann, member = await joined(state)
    await state.services.disable(ADMIN, "demo", "notes")
    named = "notes" if service == "disabled" else "nothing"
    with pytest.raises(NotFound, match="no such page"):
        await state.connections.set_own_static(ann, member.agent_id, named, b"t")


async def test_a_service_without_a_static_token_takes_none(state: State) -> None:
    ann, member = await joined(state)
    await state.service(key="open")
    with pytest.raises(Conflict, match="takes no static token"):
        await state.connections.set_own_static(ann, member.agent_id, "open", b"t")


async def test_disconnecting_destroys_the_credential_once(state: State) -> None:
    ann, member = await joined(state)
    pending = await save(state, ann)
    assert pending.pending_ct is not None
    gone = await state.connections.disconnect_own(ann, member.agent_id, "notes")
    assert gone.state is ConnectionState.REVOKED
    assert pending.pending_ct not in state.file_bytes()
    with pytest.raises(Conflict, match="it is revoked"):
        await state.connections.disconnect_own(ann, member.agent_id, "notes")
    with pytest.raises(NotFound, match="no connection"):
        await state.connections.disconnect_own(ann, member.agent_id, "nothing")


async def test_who_leaves_loses_key_and_credentials_at_once(state: State) -> None:
    ann, member = await joined(state)
    await save(state, ann)
    issued = await state.keys.issue_own(ann, member.agent_id)
    before = await state.recorded()
    left = await state.members.leave(ann, member.agent_id)
    assert left.state is MemberState.REMOVED
    assert left.state_by == f"account:{ann.account.id}"
    assert await state.kinds(before) == ["member.removed", "key.revoked", "connection.revoked"]
    rows = await state.db.all(connections.of_member_with_service(member.agent_id, member.id))
    assert [row.sealed_ct for row, _ in rows] == [None]
    assert ("end_member", member.id) in state.neighbours.told
    assert issued.row.key_id in {key.key_id for key in await state.keys.list("demo")}
    with pytest.raises(NotFound):
        await state.members.leave(ann, member.agent_id)


async def test_the_proof_is_that_of_the_session_that_asks(state: State) -> None:
    ann, member = await joined(state)
    stale = replace(ann, session=replace(ann.session, mfa_at=state.clock.now_ms() - 6 * MINUTE_MS))
    with pytest.raises(SecondFactorNeeded):
        await state.keys.issue_own(stale, member.agent_id)
