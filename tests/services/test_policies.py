"""Policy records on the real database, schema and engine: save, versions, revisions, scopes."""

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
    Unhealthy,
)
from wicketd.domain.policies import Cause, Mode
from wicketd.domain.ports import Statement
from wicketd.policy import revisions
from wicketd.services.policies import Saved
from wicketd.storage import policies

FORBID = (
    '@deny_message("No deleting.") '
    'forbid (principal, action == NotesMCP::Action::"delete_note", resource);'
)
PERMIT = 'permit (principal, action in Wicket::Action::"write", resource);'


async def create(state: State, name: str = "No deleting", text: str = FORBID) -> Saved:
    """A policy of `demo`."""
    return await state.policies.create(ADMIN, "demo", name=name, text=text)


async def ready(state: State) -> None:
    """Agent `demo` with `notes`."""
    await state.agent()
    await state.service()


async def test_a_new_policy_is_version_1_in_force_and_recorded(state: State) -> None:
    await ready(state)
    before = await state.recorded()
    saved = await create(state)
    assert (saved.version.key, saved.version.version, saved.version.statements) == (
        "no-deleting",
        1,
        1,
    )
    agent = await state.agents.get("demo")
    assert saved.revision == agent.policy_revision
    snapshot = state.snapshots.of(agent.id)
    assert snapshot is not None
    assert snapshot.engine.stamp.revision == saved.revision
    assert any(one.ref.key == "no-deleting" for one in snapshot.engine.statements)
    assert await state.kinds(before) == ["policy.created"]
    assert await state.policies.get("demo", "no-deleting") == saved


async def test_each_change_is_a_new_version_and_one_revision(state: State) -> None:
    await ready(state)
    saved = await create(state)
    before = await state.recorded()
    text = FORBID.replace("No deleting.", "Not here.")
    second = await state.policies.save(
        ADMIN, "demo", "no-deleting", expected=saved.revision, text=text, note="wording"
    )
    third = await state.policies.save(
        ADMIN, "demo", "no-deleting", expected=second.revision, name="Never delete"
    )
    off = await state.policies.set_enabled(
        ADMIN, "demo", "no-deleting", enabled=False, expected=third.revision
    )
    shadow = await state.policies.set_mode(
        ADMIN, "demo", "no-deleting", mode=Mode.SHADOW, expected=off.revision
    )
    back = await state.policies.rollback(
        ADMIN, "demo", "no-deleting", 1, "as it was", expected=shadow.revision
    )
    steps = [saved, second, third, off, shadow, back]
    assert [step.version.version for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [step.revision for step in steps] == list(range(saved.revision, saved.revision + 6))
    assert [step.version.cause for step in steps[1:]] == [
        Cause.SAVE,
        Cause.RENAME,
        Cause.DISABLE,
        Cause.MODE,
        Cause.ROLLBACK,
    ]
    assert (back.version.text, back.version.rolled_back_from) == (FORBID, 1)
    assert (back.version.name, back.version.mode) == ("Never delete", Mode.SHADOW)
    assert [step.version.note for step in steps] == [None, "wording", None, None, None, "as it was"]
    assert await state.kinds(before) == [
        "policy.saved",
        "policy.saved",
        "policy.disabled",
        "policy.mode",
        "policy.rolled_back",
    ]
    assert len(await state.policies.versions("demo", "no-deleting")) == 6


async def test_a_write_without_or_on_an_older_revision_changes_nothing(state: State) -> None:
    await ready(state)
    saved = await create(state)
    await create(state, "Other")
    before = await state.recorded()
    with pytest.raises(RevisionRequired):
        await state.policies.save(ADMIN, "demo", "no-deleting", expected=None, text=PERMIT)
    with pytest.raises(RevisionMoved) as stale:
        await state.policies.delete(ADMIN, "demo", "no-deleting", expected=saved.revision)
    assert stale.value.details == ({"current": saved.revision + 1},)
    assert await state.recorded() == before


async def test_a_deleted_policy_leaves_the_set_and_stays_readable(state: State) -> None:
    await ready(state)
    saved = await create(state)
    revision = await state.policies.delete(ADMIN, "demo", "no-deleting", expected=saved.revision)
    assert revision == saved.revision + 1
    with pytest.raises(NotFound):
        await state.policies.get("demo", "no-deleting")
    assert (await state.policies.version("demo", "no-deleting", 1)).text == FORBID
    with pytest.raises(Conflict, match="never reused"):
        await create(state)
    snapshot = state.snapshots.of((await state.agents.get("demo")).id)
    assert snapshot is not None
    assert all(one.ref.key != "no-deleting" for one in snapshot.engine.statements)


@pytest.mark.requirement("FC21")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "permit (principal, action, resource) when { " + "(" * 70 + "true" + ")" * 70 + " };",
            "too_nested",
        ),
        ("permit (principal, action, resource);" + " " * 65_536, "too_large"),
        ("permit (principal, action, resource);\x00", "bad_character"),
        ("permit (principal, action, resource) when { \u202etrue };", "bad_character"),
        ("permit (principal, action resource);", "syntax"),
        ('forbid (principal, action == NotesMCP::Action::"nothing", resource);', "unknown_action"),
        ("permit (principal, action, resource) when { resource.color == 1 };", "unknown_attribute"),
    ],
)
async def test_a_text_with_errors_is_refused_with_its_problems(
    state: State, text: str, code: str
) -> None:
    await ready(state)
    before = await state.recorded()
    with pytest.raises(PolicyInvalid) as refused:
        await create(state, text=text)
    assert code in {problem["code"] for problem in refused.value.details}
    assert await state.recorded() == before
    found = await state.policies.check("demo", text)
    assert code in {problem.code for problem in found}


async def test_a_text_that_the_guard_refuses_has_at_most_a_hundred_problems(state: State) -> None:
    await ready(state)
    text = "permit (principal, action, resource) when { " + "\u202e" * 150 + " };"
    assert len(await state.policies.check("demo", text)) == 100


async def test_a_permit_is_held_against_the_other_policies_in_force(state: State) -> None:
    await ready(state)
    await create(state, name="Shut", text="forbid (principal, action, resource);")
    text = "permit (principal, action, resource) when { context.time.hour > 3 };"
    (warning,) = await state.policies.check("demo", text)
    assert (warning.code, warning.severity) == ("always_forbidden", "warning")
    assert await state.policies.check("demo", text, policy="shut") == []


async def test_a_failing_save_leaves_the_set_in_force(state: State) -> None:
    await ready(state)
    saved = await create(state)
    agent = await state.agents.get("demo")
    in_force = state.snapshots.of(agent.id)
    with pytest.raises(PolicyInvalid):
        await state.policies.save(
            ADMIN, "demo", "no-deleting", expected=saved.revision, text="permit ("
        )
    assert state.snapshots.of(agent.id) is in_force


@pytest.mark.parametrize("key", ["check", "format", "export", "coverage", "baseline-x", "A", "a_b"])
async def test_reserved_and_malformed_keys_are_refused(state: State, key: str) -> None:
    await ready(state)
    with pytest.raises(Invalid):
        await state.policies.create(ADMIN, "demo", key=key, name="Some", text=FORBID)


async def test_a_trusted_agents_policy_names_no_member_as_its_scope(state: State) -> None:
    await state.connected()
    with pytest.raises(Invalid, match="is trusted"):
        await state.policies.create(ADMIN, "demo", name="Bob", text=PERMIT, scope_member="bob")


async def test_on_an_untrusted_agent_only_a_members_own_record_permits(state: State) -> None:
    await state.agent(trust=Trust.UNTRUSTED)
    await state.member()
    with pytest.raises(PolicyInvalid) as refused:
        await create(state, text=PERMIT)
    assert [problem["code"] for problem in refused.value.details] == ["permit_scope"]
    bob = await state.members.get("demo", "bob")
    saved = await state.policies.create(
        ADMIN, "demo", name="Bob writes", text=PERMIT, scope_member="bob"
    )
    assert saved.version.scope_member_id == bob.id
    guard = "forbid (principal, action, resource) when { context.session.denials >= 3 };"
    await create(state, "Breaker", guard)


async def test_turning_on_what_is_on_and_the_mode_it_has_are_refused(state: State) -> None:
    await ready(state)
    saved = await create(state)
    with pytest.raises(Conflict, match="on already"):
        await state.policies.set_enabled(
            ADMIN, "demo", "no-deleting", enabled=True, expected=saved.revision
        )
    with pytest.raises(Conflict, match="enforce already"):
        await state.policies.set_mode(
            ADMIN, "demo", "no-deleting", mode=Mode.ENFORCE, expected=saved.revision
        )


async def test_a_revision_rebuilds_the_set_and_is_sealed(state: State) -> None:
    await ready(state)
    saved = await create(state)
    row = await state.policies.revision("demo", saved.revision)
    records = await state.policies.list("demo")
    assert row.manifest.encode() == revisions.manifest(records)
    assert row.set_sha256 == revisions.set_sha256(records)
    mac = revisions.revision_mac(
        state.keyring.subkey(row.kid, "policy-revision"),
        row.agent_id,
        row.revision,
        row.manifest.encode(),
        row.set_sha256,
        row.schema_sha256,
    )
    assert mac == row.mac
    history = await state.policies.revisions("demo")
    assert [one.revision for one in history] == list(range(saved.revision, 0, -1))


@pytest.mark.requirement("FC3")
@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE policy_revisions SET mac = zeroblob(32)",
        "UPDATE policy_revisions SET set_sha256 = zeroblob(32)",
        "UPDATE policy_revisions SET schema_sha256 = zeroblob(32)",
        "UPDATE policy_revisions SET kid = 'k9'",
        "UPDATE agents SET policy_revision = policy_revision - 1",
        "UPDATE policies SET deleted_at = 1 WHERE key = 'no-deleting'",
        "UPDATE policies SET key = 'renamed' WHERE key = 'no-deleting'",
        "UPDATE policies SET current_version = 1 WHERE key = 'no-deleting'",
    ],
)
async def test_an_edited_set_is_neither_loaded_nor_built_upon(state: State, edit: str) -> None:
    await ready(state)
    saved = await create(state)
    text = FORBID.replace("No deleting.", "Not here.")
    await state.policies.save(ADMIN, "demo", "no-deleting", expected=saved.revision, text=text)
    agent = await state.agents.get("demo")
    await state.db.write(lambda tx: tx.run(Statement(edit, ())))
    with pytest.raises(Unhealthy, match="not those that were saved"):
        await create(state, "Another")
    await state.snapshots.rebuild(agent.id)
    assert state.snapshots.of(agent.id) is None
    assert state.snapshots.broken() == {
        agent.id: "The stored policies of demo are not those that were saved, so nothing is built "
        "on them. Restore the database from a backup."
    }


@pytest.mark.requirement("FC3")
async def test_an_edited_text_is_neither_loaded_nor_built_upon(state: State) -> None:
    await ready(state)
    await create(state)
    agent = await state.agents.get("demo")

    def edit(_: object) -> None:
        """Triggers refuse this, so an attacker drops them first."""

    await state.db.write(lambda tx: tx.run(Statement("DROP TRIGGER tr_policy_versions_update", ())))
    await state.db.write(
        lambda tx: tx.run(
            Statement("UPDATE policy_versions SET text = replace(text, 'forbid', 'permit')", ())
        )
    )
    await state.snapshots.rebuild(agent.id)
    assert state.snapshots.of(agent.id) is None
    with pytest.raises(Unhealthy):
        await create(state, "Another")


async def test_a_format_keeps_the_meaning_and_refuses_hostile_text(state: State) -> None:
    formatted = await state.policies.format("permit(principal,action,resource);")
    assert formatted.strip() == "permit (principal, action, resource);"
    with pytest.raises(PolicyInvalid):
        await state.policies.format("permit (" + "(" * 80)


async def test_the_schema_is_that_of_enabled_services(state: State) -> None:
    await ready(state)
    schema = (await state.policies.craft.names.of("demo")).schema
    assert "namespace NotesMCP" in schema.text
    assert "namespace WicketMCP" in schema.text
    row = (await state.policies.revisions("demo"))[0]
    assert row.schema_sha256 == schema.sha256


async def test_an_agents_revision_names_what_is_stored_for_it_alone(state: State) -> None:
    await ready(state)
    await state.agent("other")
    saved = await create(state)
    other = await state.agents.get("other")
    assert other.policy_revision == 1
    rows = await state.db.all(policies.revisions(saved.version.agent_id))
    assert {row.agent_id for row in rows} == {saved.version.agent_id}
