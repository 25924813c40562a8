"""The use cases of members against a real database."""

import pytest

from tests.support.state import ADMIN, State
from wicketd.domain.agents import AgentStatus, Trust
from wicketd.domain.connections import ConnectionState
from wicketd.domain.errors import Conflict, Invalid, NotFound, RevisionMoved, RevisionRequired
from wicketd.domain.ids import AccountId, MemberId, Revision
from wicketd.domain.members import KeyState, Member, MemberState, Role
from wicketd.domain.ports import Statement, Tx
from wicketd.storage import members


async def add_with_account(state: State, agent: str, member_state: MemberState) -> Member:
    """A member with a mailbox, as the portal will make them."""
    owner = await state.agents.get(agent)
    account = AccountId(state.desk.ids.uuid7())
    row = Member(
        id=MemberId(state.desk.ids.uuid7()),
        agent_id=owner.id,
        account_id=account,
        email="ann@example.test",
        local_name=None,
        role=Role.MEMBER,
        state=member_state,
        state_at=state.clock.now_ms(),
        state_by="test",
        groups=(),
        tags=(),
        created_at=state.clock.now_ms(),
        rev=Revision(1),
    )

    def work(tx: Tx) -> None:
        tx.run(
            Statement(
                "INSERT INTO accounts (id, email, status, mfa_failures, created_at, rev) "
                "VALUES (?, ?, 'active', 0, ?, 1)",
                (account, "ann@example.test", state.clock.now_ms()),
            )
        )
        tx.run(members.insert(row))

    await state.db.write(work)
    return row


async def test_a_local_member_is_approved_at_once(state: State) -> None:
    await state.agent()
    added = await state.members.add_local(
        ADMIN, "demo", name="ci-1", role=Role.OWNER, groups=["b", "a", "a"], tags=["x.y"]
    )
    assert (added.state, added.principal, added.groups) == (
        MemberState.APPROVED,
        "ci-1",
        ("a", "b"),
    )
    assert await state.members.get("demo", "ci-1") == added
    assert await state.members.get("demo", added.id) == added
    assert (await state.kinds())[-1] == "member.added"


@pytest.mark.parametrize("name", ["", "Bob", "bob@example.test", "-bob", "b" * 41, "b b"])
async def test_a_local_name_that_could_be_another_principal_is_refused(
    state: State, name: str
) -> None:
    await state.agent()
    with pytest.raises(Invalid, match="local name"):
        await state.members.add_local(ADMIN, "demo", name=name)


@pytest.mark.parametrize("group", ["", "two words", "a" * 65, "a\x00b", 'a"b'])
async def test_a_group_that_is_no_label_is_refused(state: State, group: str) -> None:
    await state.agent()
    with pytest.raises(Invalid, match="group"):
        await state.members.add_local(ADMIN, "demo", name="bob", groups=[group])


async def test_a_name_is_free_again_after_a_removal_but_under_a_new_id(state: State) -> None:
    await state.agent()
    first = await state.member()
    with pytest.raises(Conflict, match="already"):
        await state.member()
    await state.members.remove(ADMIN, "demo", "bob")
    second = await state.member()
    assert second.id != first.id


async def test_an_update_needs_the_current_revision_and_forgets_cached_callers(
    state: State,
) -> None:
    await state.agent()
    bob = await state.member()
    with pytest.raises(RevisionRequired):
        await state.members.update(ADMIN, "demo", "bob", expected=None, groups=["a"])
    with pytest.raises(RevisionMoved):
        await state.members.update(ADMIN, "demo", "bob", expected=7, groups=["a"])
    changed = await state.members.update(
        ADMIN, "demo", "bob", expected=bob.rev, role=Role.OWNER, groups=["a"]
    )
    assert (changed.role, changed.groups, changed.tags) == (Role.OWNER, ("a",), ())
    assert await state.members.get("demo", "bob") == changed
    assert ("forget_member", bob.id) in state.neighbours.told
    assert (await state.kinds())[-1] == "member.updated"


@pytest.mark.requirement("FC16")
async def test_a_removed_member_loses_key_tokens_and_policies_in_one_transaction(
    state: State,
) -> None:
    await state.agent(trust=Trust.UNTRUSTED)
    await state.member()
    await state.service()
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"canary-token")
    await state.keys.issue(ADMIN, "demo", "bob")
    sealed = await state.held()
    assert sealed is not None
    assert sealed.sealed_ct is not None
    before = await state.recorded()
    state.neighbours.told.clear()
    bob = await state.members.remove(ADMIN, "demo", "bob")
    assert bob.state is MemberState.REMOVED
    assert await state.kinds(before) == [
        "member.removed",
        "key.revoked",
        "connection.revoked",
        "policy.disabled",
    ]
    assert len({row.ts for row in (await state.rows())[before:]}) == 1
    (key,) = await state.keys.list("demo")
    assert (key.state, key.ended_reason) == (KeyState.REVOKED, "member removed")
    assert sealed.sealed_ct not in state.file_bytes()
    assert [record.enabled for record in await state.policies.list("demo")] == [False]
    told = {name for name, _ in state.neighbours.told}
    assert told == {"sessions_end", "sessions_gone", "forget_member", "end_member"}
    snapshot = state.snapshots.of(bob.agent_id)
    assert snapshot is not None
    assert snapshot.engine.members == frozenset()


async def test_a_removal_works_even_if_the_policy_set_was_tampered_with(state: State) -> None:
    await state.agent(trust=Trust.UNTRUSTED)
    await state.member()
    await state.service()
    await state.keys.issue(ADMIN, "demo", "bob")
    await state.db.write(
        lambda tx: tx.run(Statement("UPDATE policy_revisions SET mac = zeroblob(32)", ()))
    )
    removed = await state.members.remove(ADMIN, "demo", "bob")
    assert removed.state is MemberState.REMOVED
    (key,) = await state.keys.list("demo")
    assert key.state is KeyState.REVOKED


async def test_a_removed_member_is_not_found_by_name_any_more(state: State) -> None:
    await state.agent()
    bob = await state.member()
    await state.members.remove(ADMIN, "demo", "bob")
    with pytest.raises(NotFound, match="no member 'bob'"):
        await state.members.get("demo", "bob")
    with pytest.raises(Conflict, match="it is removed"):
        await state.members.remove(ADMIN, "demo", bob.id)
    with pytest.raises(Conflict, match="Add the member anew"):
        await state.members.update(ADMIN, "demo", bob.id, expected=bob.rev + 1)


async def test_approving_on_an_untrusted_agent_seeds_baselines_only_if_asked(state: State) -> None:
    await state.agent(trust=Trust.UNTRUSTED)
    await state.service()
    ann = await add_with_account(state, "demo", MemberState.PENDING)
    before = await state.recorded()
    approved = await state.members.approve(ADMIN, "demo", ann.id, seed_baselines=True)
    assert approved.state is MemberState.APPROVED
    records = await state.policies.list("demo")
    suffix = ann.id[-8:]
    assert [record.key for record in records] == [
        f"baseline-notes-{suffix}",
        f"baseline-wicket-{suffix}",
    ]
    assert {record.scope_member_id for record in records} == {ann.id}
    assert await state.kinds(before) == ["member.approved", "policy.created", "policy.created"]


async def test_approving_without_asking_seeds_nothing(state: State) -> None:
    await state.agent(trust=Trust.UNTRUSTED)
    ann = await add_with_account(state, "demo", MemberState.PENDING)
    await state.members.approve(ADMIN, "demo", ann.id)
    assert await state.policies.list("demo") == []


async def test_rejecting_destroys_what_a_pending_member_connected(state: State) -> None:
    await state.agent()
    ann = await add_with_account(state, "demo", MemberState.PENDING)
    rejected = await state.members.reject(ADMIN, "demo", ann.id, "unknown person")
    assert rejected.state is MemberState.REJECTED
    row = (await state.rows())[-1]
    assert row.kind == "member.rejected"
    assert "unknown person" in row.body
    with pytest.raises(Conflict, match="it is rejected"):
        await state.members.approve(ADMIN, "demo", ann.id)


async def test_no_member_is_added_to_a_deleted_agent(state: State) -> None:
    await state.agent()
    disabled = await state.agents.set_status(ADMIN, "demo", AgentStatus.DISABLED)
    await state.agents.delete(ADMIN, "demo", "demo", disabled.rev)
    with pytest.raises(Conflict, match="is deleted"):
        await state.member()


async def test_a_member_of_another_agent_is_not_found(state: State) -> None:
    await state.agent()
    await state.agent("other")
    bob = await state.member("other")
    with pytest.raises(NotFound):
        await state.members.get("demo", bob.id)
    with pytest.raises(NotFound):
        await state.members.remove(ADMIN, "demo", bob.id)


async def test_members_are_listed_by_state(state: State) -> None:
    await state.agent()
    await state.member()
    await state.member(name="eve")
    await state.members.remove(ADMIN, "demo", "eve")
    names = [one.local_name for one in await state.members.list("demo", MemberState.APPROVED)]
    assert names == ["bob"]
    assert len(await state.members.list("demo")) == 2


async def test_a_removed_members_connection_cannot_be_set_again(state: State) -> None:
    await state.connected()
    bob = await state.members.get("demo", "bob")
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"token")
    await state.members.remove(ADMIN, "demo", "bob")
    with pytest.raises(Conflict, match="takes no token"):
        await state.connections.set_static(ADMIN, "demo", bob.id, "notes", b"token")
    (held,) = await state.connections.list("demo")
    assert held.connection.state is ConnectionState.REVOKED
