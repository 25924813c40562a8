"""Whole sets out and in: a plan first, one revision, all or nothing."""

from dataclasses import replace

import pytest

from tests.support.state import ADMIN, State
from wicketd.domain.agents import Trust
from wicketd.domain.errors import (
    Conflict,
    Invalid,
    NotFound,
    PolicyInvalid,
    RevisionMoved,
    RevisionRequired,
)
from wicketd.domain.policies import Cause, Mode
from wicketd.domain.ports import Statement
from wicketd.services.policy_transfers import Change, SetItem, Transfer

FORBID = 'forbid (principal, action == NotesMCP::Action::"delete_note", resource);\n'
PERMIT = 'permit (principal, action in Wicket::Action::"write", resource);'
KEEP = SetItem("keep-notes", "Keep notes", FORBID)


async def replaced(
    state: State, items: list[SetItem], *, dry_run: bool = False, agent: str = "demo"
) -> Transfer:
    """An import at the agent's revision."""
    expected = (await state.agents.get(agent)).policy_revision
    replace_ = state.policies.craft.transfers.replace
    return await replace_(ADMIN, agent, items, dry_run=dry_run, expected=expected)


async def exported(state: State, agent: str = "demo") -> list[SetItem]:
    """The set as files hold it."""
    _, items = await state.policies.craft.transfers.export(agent)
    return list(items)


async def everything(state: State) -> list[object]:
    """Records, revisions and audit: what an import may change."""
    agent = await state.agents.get("demo")
    return [
        await exported(state),
        await state.policies.revisions("demo"),
        await state.recorded(),
        state.snapshots.of(agent.id),
    ]


async def test_what_is_exported_and_imported_again_changes_nothing(state: State) -> None:
    await state.connected()
    await state.policies.create(ADMIN, "demo", name="Off", text=PERMIT, enabled=False)
    await state.policies.create(ADMIN, "demo", name="Watch", text=FORBID, mode=Mode.SHADOW)
    before, items = await everything(state), await exported(state)
    found = await replaced(state, items)
    assert (found.steps, found.unchanged, found.applied) == ((), len(items), True)
    assert await everything(state) == before


async def test_an_import_creates_changes_and_deletes_at_one_revision(state: State) -> None:
    await state.connected()
    await state.policies.create(ADMIN, "demo", name="Old", text=PERMIT)
    saved = await state.policies.create(ADMIN, "demo", name="Same", text=FORBID)
    await state.policies.create(ADMIN, "demo", name="Keep notes", text=PERMIT, enabled=False)
    same = [one for one in await exported(state) if one.key not in {"old", "keep-notes"}]
    before, items = await state.recorded(), [*same, KEEP, SetItem("new", "New", PERMIT)]

    found = await replaced(state, items)

    assert [(one.key, one.change, one.fields) for one in found.steps] == [
        ("keep-notes", Change.UPDATE, ("text", "enabled")),
        ("new", Change.CREATE, ()),
        ("old", Change.DELETE, ()),
    ]
    assert found.unchanged == len(same)
    assert (found.applied, found.revision) == (True, saved.revision + 2)
    assert sorted(await exported(state), key=lambda one: one.key) == sorted(
        items, key=lambda one: one.key
    )
    assert await state.kinds(before) == ["policy.imported"] * 3
    kept = (await state.policies.get("demo", "keep-notes")).version
    assert (kept.version, kept.cause) == (2, Cause.IMPORT)
    agent = await state.agents.get("demo")
    snapshot = state.snapshots.of(agent.id)
    assert snapshot is not None
    assert snapshot.engine.stamp.revision == found.revision
    assert {one.ref.key for one in snapshot.engine.statements} >= {"keep-notes", "new", "same"}


async def test_a_plan_says_the_same_and_changes_nothing(state: State) -> None:
    await state.connected()
    before = await everything(state)
    plan = await replaced(state, [KEEP], dry_run=True)
    assert await everything(state) == before
    assert not plan.applied
    done = await replaced(state, [KEEP])
    assert (done.steps, done.unchanged) == (plan.steps, plan.unchanged)
    assert done.steps[-1].diff.splitlines()[-1] == f"+{FORBID.strip()}"


async def test_a_set_goes_to_another_agent(state: State) -> None:
    await state.connected()
    await replaced(state, [*(await exported(state)), KEEP])
    await state.agent("other")
    await state.service("other")
    await replaced(state, await exported(state), agent="other")
    assert await exported(state, "other") == await exported(state)


async def test_one_broken_text_refuses_the_whole_set_with_every_problem(state: State) -> None:
    await state.connected()
    before = await everything(state)
    broken = [SetItem("a", "A", "permit ("), SetItem("b", "B", FORBID.replace("delete_", "no_"))]
    for dry_run in (True, False):
        with pytest.raises(PolicyInvalid, match="a, b cannot be saved") as refused:
            await replaced(state, [KEEP, *broken], dry_run=dry_run)
        found = [(one["policy"], one["code"]) for one in refused.value.details]
        assert found == [("a", "syntax"), ("b", "unknown_action")]
        assert await everything(state) == before


async def test_an_import_that_fails_half_way_changes_nothing(state: State) -> None:
    await state.connected()
    before = await everything(state)
    trigger = (
        "CREATE TRIGGER full BEFORE INSERT ON policies WHEN NEW.key = 'zz' "
        "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    await state.db.write(lambda tx: tx.run(Statement(trigger, ())))
    with pytest.raises(Exception, match=r"disk full|constraint"):
        await replaced(state, [KEEP, SetItem("zz", "Last", PERMIT)])
    assert await everything(state) == before


async def test_a_stale_import_and_one_without_a_revision_are_refused(state: State) -> None:
    await state.connected()
    revision = (await state.agents.get("demo")).policy_revision
    await state.policies.create(ADMIN, "demo", name="Meanwhile", text=FORBID)
    before, replace_ = await everything(state), state.policies.craft.transfers.replace
    with pytest.raises(RevisionMoved):
        await replace_(ADMIN, "demo", [KEEP], dry_run=False, expected=revision)
    with pytest.raises(RevisionRequired):
        await replace_(ADMIN, "demo", [KEEP], dry_run=True, expected=None)
    assert await everything(state) == before


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([KEEP, KEEP], "stands 2 times"),
        ([replace(KEEP, key="Keep")], "is no policy key"),
        ([replace(KEEP, key="../x")], "is no policy key"),
        ([replace(KEEP, key="export")], "is no policy key"),
        ([replace(KEEP, name="")], "visible characters"),
        ([replace(KEEP, name=" x")], "Trim it"),
        ([replace(KEEP, member="bob")], "is trusted"),
    ],
)
async def test_what_is_no_set_is_refused(state: State, items: list[SetItem], said: str) -> None:
    await state.connected()
    before = await everything(state)
    with pytest.raises(Invalid, match=said):
        await replaced(state, items)
    assert await everything(state) == before


async def test_a_deleted_policys_key_does_not_come_back(state: State) -> None:
    await state.connected()
    items = [*(await exported(state)), KEEP]
    await replaced(state, items)
    await replaced(state, items[:-1])
    with pytest.raises(Conflict, match="never reused"):
        await replaced(state, items)


async def test_a_members_record_keeps_its_member(state: State) -> None:
    await state.agent(trust=Trust.UNTRUSTED)
    await state.service()
    await state.member()
    await state.member(name="eve")
    own = SetItem("bobs", "Bob's", PERMIT, member="bob")
    items = [*(await exported(state)), own]
    await replaced(state, items)
    assert own in await exported(state)
    others = [one for one in items if one != own]
    with pytest.raises(Invalid, match="cannot move"):
        await replaced(state, [*others, replace(own, member="eve")])
    with pytest.raises(NotFound):
        await replaced(state, [*others, replace(own, member="nobody")])
    with pytest.raises(PolicyInvalid):
        await replaced(state, [*items, SetItem("all", "All", PERMIT)])
