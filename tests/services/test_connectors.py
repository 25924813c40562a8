"""Services: enabling with its report, discovery, drift, tiers, acknowledgement, removal, reload."""

import pytest

from tests.support.state import ADMIN, NOTES, OPEN, State, moved, open_state, tool
from wicketd.domain.agents import Trust
from wicketd.domain.catalogue import ServiceState, Tier, TierSource, ToolStatus
from wicketd.domain.connections import ConnectionState
from wicketd.domain.errors import (
    ConfigInvalid,
    Conflict,
    Invalid,
    NotFound,
    RevisionMoved,
    RevisionRequired,
    SignInRejected,
    Unreachable,
)
from wicketd.domain.json import JsonObject
from wicketd.domain.policies import Reason
from wicketd.services.baselines import Allow
from wicketd.services.policy_sets import SetRules

READ: JsonObject = {"readOnlyHint": True}
SAFE: JsonObject = {"destructiveHint": False}
BASELINE = (
    'permit (principal, action in Wicket::Action::"read", resource in Wicket::Service::"open");'
)


async def enabled(state: State, *tools: JsonObject) -> None:
    """Agent `demo` with the service `open`, which has these tools."""
    await state.agent()
    state.upstreams.lists["open"] = list(tools)
    await state.services.enable(ADMIN, "demo", "open")


async def tiers(state: State) -> dict[str, tuple[Tier, TierSource]]:
    """The stored tier of each tool of `open`."""
    return {
        one.name: (one.tier, one.tier_source) for one in await state.services.tools("demo", "open")
    }


async def observe(state: State, *tools: JsonObject) -> None:
    """A member's request brings this list of `open`."""
    agent = await state.agents.get("demo")
    await state.services.observe(agent.id, "open", list(tools))


async def test_enabling_lists_tools_with_tiers_and_writes_the_baseline(state: State) -> None:
    await state.agent()
    state.upstreams.lists["open"] = [
        tool("look"),
        tool("wipe"),
        tool("odd", {"readOnlyHint": False}),
    ]
    before = await state.recorded()
    report = await state.services.enable(ADMIN, "demo", "open")
    assert report.applied
    assert (report.baselines, report.baseline_text) == (("baseline-open",), BASELINE)
    assert (report.excluded, dict(report.broken), report.note) == ((), {}, None)
    assert await tiers(state) == {
        "look": (Tier.READ, TierSource.CATALOGUE),
        "odd": (Tier.DESTRUCTIVE, TierSource.DEFAULT),
        "wipe": (Tier.DESTRUCTIVE, TierSource.CATALOGUE),
    }
    assert await state.kinds(before) == ["service.enabled", "service.discovered", "policy.created"]
    snapshot = state.snapshots.of((await state.agents.get("demo")).id)
    assert snapshot is not None
    assert snapshot.is_enabled("open")
    assert ("open", "look") in snapshot.tools


async def test_a_dry_run_reports_the_same_and_writes_nothing(state: State) -> None:
    await state.agent()
    state.upstreams.lists["open"] = [tool("look"), tool("any")]
    before, bytes_before = await state.recorded(), await state.services.list("demo")
    dry = await state.services.enable(ADMIN, "demo", "open", dry_run=True)
    assert not dry.applied
    assert await state.recorded() == before
    assert await state.services.list("demo") == bytes_before == []
    real = await state.services.enable(ADMIN, "demo", "open")
    assert (real.excluded, real.baselines, real.baseline_text) == (
        dry.excluded,
        dry.baselines,
        dry.baseline_text,
    )


@pytest.mark.parametrize(
    ("allow", "actions"),
    [
        (Allow.READ, ['Wicket::Action::"read"']),
        (Allow.WRITE, ['Wicket::Action::"read"', 'Wicket::Action::"write"']),
        (
            Allow.ALL,
            [
                'Wicket::Action::"read"',
                'Wicket::Action::"write"',
                'Wicket::Action::"destructive"',
            ],
        ),
    ],
)
async def test_a_named_tier_widens_the_baseline_and_adds_prompts_and_resources(
    state: State, allow: Allow, actions: list[str]
) -> None:
    await state.agent()
    report = await state.services.enable(ADMIN, "demo", "open", allow=allow)
    first, second = (report.baseline_text or "").split("\n")
    assert f"action in [{', '.join(actions)}]" in first
    assert 'Wicket::Action::"get_prompt", Wicket::Action::"read_resource"' in second


async def test_a_server_that_wants_a_credential_leaves_the_catalogue_declared(
    state: State,
) -> None:
    await state.agent()
    report = await state.services.enable(ADMIN, "demo", "notes")
    assert report.note is not None
    assert report.note.startswith("The server wants a credential.")
    assert "wicket service discover demo notes --token-stdin" in report.note
    (found,) = await state.services.list("demo")
    assert found.service.catalogue == "declared"
    assert [one.name for one in found.tools] == ["create_note", "delete_note", "search_notes"]
    schema = await state.policies.schema("demo")
    assert 'action "delete_note"' in schema.text


async def test_discovery_sends_a_one_off_token_in_its_place_and_stores_it_nowhere(
    state: State,
) -> None:
    await state.agent()
    await state.service()
    state.upstreams.lists["notes"] = [tool("search_notes"), tool("extra", READ)]
    taken = await state.services.discover(ADMIN, "demo", "notes", "canary-one-off")
    _, credential = state.upstreams.asked[-1]
    assert credential.header == "authorization"
    assert credential.value is not None
    assert credential.value.reveal() == b"Bearer canary-one-off"
    assert b"canary-one-off" not in state.file_bytes()
    assert taken.plan.changes == ()
    found = await state.services.get("demo", "notes")
    assert (found.service.catalogue, found.service.drift) == ("discovered", "clean")
    assert {one.name: one.status for one in found.tools} == {
        "create_note": ToolStatus.GONE,
        "delete_note": ToolStatus.GONE,
        "extra": ToolStatus.ACTIVE,
        "search_notes": ToolStatus.ACTIVE,
    }
    assert (await state.kinds())[-1] == "service.discovered"


async def test_a_failed_discovery_is_told_and_kept_as_the_last_error(state: State) -> None:
    await state.agent()
    await state.service()
    state.upstreams.lists["notes"] = Unreachable("Notes could not be reached.")
    with pytest.raises(Unreachable):
        await state.services.discover(ADMIN, "demo", "notes")
    found = await state.services.get("demo", "notes")
    assert found.service.last_error == "Notes could not be reached."


async def test_discovering_without_credential_takes_no_token(state: State) -> None:
    await enabled(state, tool("look"))
    with pytest.raises(Conflict, match="takes no credential"):
        await state.services.discover(ADMIN, "demo", "open", "token")
    with pytest.raises(Invalid, match="visible ASCII"):
        await state.services.discover(ADMIN, "demo", "open", "to ken")


@pytest.mark.requirement("V4")
async def test_tools_that_clients_could_not_name_are_left_out_with_a_reason(state: State) -> None:
    await state.agent()
    long = "x" * (48 - len("open__"))
    state.upstreams.lists["open"] = [
        tool("any"),
        tool("with space"),
        tool("ünicode"),
        tool(long),
        tool(long + "x"),
        tool("a.b-c_D"),
    ]
    report = await state.services.enable(ADMIN, "demo", "open")
    assert {one.tool: one.reason for one in report.excluded} == {
        "any": "name_reserved",
        "with space": "name_characters",
        "ünicode": "name_characters",
        long + "x": "name_too_long",
    }
    schema = await state.policies.schema("demo")
    assert {name for service, name in schema.shapes if service == "open"} == {long, "a.b-c_D"}


async def test_strict_names_refuse_the_service_with_the_list(state: State) -> None:
    await state.agent()
    state.upstreams.lists["open"] = [tool("look"), tool("with space")]
    with pytest.raises(Invalid, match="with space") as refused:
        await state.services.enable(ADMIN, "demo", "open", strict_names=True)
    assert refused.value.details == ({"tool": "with space", "reason": "name_characters"},)
    assert await state.services.list("demo") == []


async def test_an_untrusted_agent_gets_one_baseline_for_each_approved_member(
    state: State,
) -> None:
    await state.agent(trust=Trust.UNTRUSTED)
    bob, eve = await state.member(), await state.member(name="eve")
    gone = await state.member(name="gone")
    await state.members.remove(ADMIN, "demo", "gone")
    report = await state.services.enable(ADMIN, "demo", "open")
    assert set(report.baselines) == {f"baseline-open-{one.id[-8:]}" for one in (bob, eve)}
    records = await state.policies.list("demo")
    assert {record.scope_member_id for record in records} == {bob.id, eve.id}
    assert gone.id not in {record.scope_member_id for record in records}


async def test_a_baseline_that_was_deleted_does_not_come_back(state: State) -> None:
    await enabled(state, tool("look"))
    agent = await state.agents.get("demo")
    await state.policies.delete(ADMIN, "demo", "baseline-open", expected=agent.policy_revision)
    await state.services.disable(ADMIN, "demo", "open")
    report = await state.services.enable(ADMIN, "demo", "open")
    assert report.baselines == ()
    assert [one.key for one in await state.policies.list("demo")] == ["baseline-wicket"]


async def test_a_new_tool_lands_in_its_tier_and_flags_the_service(state: State) -> None:
    await enabled(state, tool("look"))
    before = await state.recorded()
    await observe(state, tool("look"), tool("fresh"), tool("seen", READ))
    assert await tiers(state) == {
        "fresh": (Tier.DESTRUCTIVE, TierSource.DEFAULT),
        "look": (Tier.READ, TierSource.CATALOGUE),
        "seen": (Tier.READ, TierSource.ANNOTATIONS),
        "wipe": (Tier.DESTRUCTIVE, TierSource.CATALOGUE),
    }
    service, changes = await state.services.drift("demo", "open")
    assert service.drift == "flagged"
    assert [(one.tool, one.kind) for one in changes] == [("fresh", "added"), ("seen", "added")]
    assert await state.kinds(before) == ["service.discovered", "tool.added", "tool.added"]


async def test_an_unchanged_list_writes_nothing(state: State) -> None:
    await enabled(state, tool("look"))
    before = await state.recorded()
    await observe(state, tool("look"))
    assert await state.recorded() == before


async def test_a_changed_tool_is_flagged_with_both_definitions_and_the_broken_policies(
    state: State,
) -> None:
    await enabled(state, tool("look"))
    text = (
        'forbid (principal, action == OpenMCP::Action::"look", resource) '
        'when { context.input has text && context.input.text == "x" };'
    )
    await state.policies.create(ADMIN, "demo", name="No x", text=text)
    numbered: JsonObject = {
        "name": "look",
        "inputSchema": {"type": "object", "properties": {"text": {"type": "integer"}}},
    }
    before = await state.recorded()
    await observe(state, numbered)
    _, (change,) = await state.services.drift("demo", "open")
    assert (change.kind, change.old_definition, change.new_definition) == (
        "changed",
        tool("look"),
        numbered,
    )
    assert change.broken_policies == ("no-x",)
    assert await state.kinds(before) == ["service.discovered", "tool.changed"]
    row = (await state.rows())[-1]
    assert "no-x" in row.body
    assert "integer" in row.body


async def test_a_tool_that_goes_stays_for_policies_and_is_not_callable(state: State) -> None:
    await enabled(state, tool("look"), tool("other"))
    text = 'forbid (principal, action == OpenMCP::Action::"look", resource);'
    await state.policies.create(ADMIN, "demo", name="No looking", text=text)
    before = await state.recorded()
    await observe(state, tool("other"))
    found = {one.name: one.status for one in await state.services.tools("demo", "open")}
    assert found["look"] is ToolStatus.GONE
    snapshot = state.snapshots.of((await state.agents.get("demo")).id)
    assert snapshot is not None
    assert ("open", "look") not in snapshot.tools
    assert ("open", "look") in snapshot.engine.schema.shapes
    assert "tool.removed" in await state.kinds(before)
    await observe(state, tool("look"), tool("other"))
    assert (await state.kinds())[-1] == "tool.added"


async def test_a_tier_that_falls_by_annotations_alone_holds_until_it_is_set(state: State) -> None:
    await enabled(state, tool("act", {"destructiveHint": True, "readOnlyHint": False}))
    await observe(state, tool("act", READ))
    assert (await tiers(state))["act"][0] is Tier.DESTRUCTIVE
    found = await state.services.get("demo", "open")
    after = await state.services.set_tier(
        ADMIN, "demo", "open", "act", Tier.READ, expected=found.service.rev
    )
    assert (after.tier, after.tier_source) == (Tier.READ, TierSource.OVERRIDE)


async def test_a_tier_that_rises_holds_at_once(state: State) -> None:
    await enabled(state, tool("act", SAFE | {"readOnlyHint": False}))
    assert (await tiers(state))["act"] == (Tier.WRITE, TierSource.ANNOTATIONS)
    await observe(state, tool("act", {"destructiveHint": True, "readOnlyHint": False}))
    assert (await tiers(state))["act"] == (Tier.DESTRUCTIVE, TierSource.ANNOTATIONS)


async def test_the_acknowledged_definition_counts_when_two_members_see_different_ones(
    state: State,
) -> None:
    await enabled(state, tool("look"))
    await observe(state, tool("look", title="B"))
    await observe(state, tool("look"))
    (look,) = [one for one in await state.services.tools("demo", "open") if one.name == "look"]
    assert look.hash == look.acked_hash
    before = await state.recorded()
    await observe(state, tool("look", title="B"))
    assert await state.recorded() == before
    (look,) = [one for one in await state.services.tools("demo", "open") if one.name == "look"]
    assert look.hash == look.acked_hash


async def test_an_acknowledgement_closes_the_change_and_cleans_the_service(state: State) -> None:
    await enabled(state, tool("look"))
    await observe(state, tool("look", title="B"), tool("fresh"))
    found = {one.name: one for one in await state.services.tools("demo", "open")}
    with pytest.raises(RevisionMoved, match="changed again"):
        await state.services.ack(ADMIN, "demo", "open", "look", "0" * 64)
    acked = await state.services.ack(ADMIN, "demo", "open", "look", str(found["look"].hash))
    assert acked.acked_hash == acked.hash
    service, changes = await state.services.drift("demo", "open")
    assert (service.drift, [one.tool for one in changes]) == ("flagged", ["fresh"])
    await state.services.ack(ADMIN, "demo", "open", "fresh", str(found["fresh"].hash))
    service, changes = await state.services.drift("demo", "open")
    assert (service.drift, changes) == ("clean", [])
    assert (await state.kinds())[-1] == "tool.acked"


@pytest.mark.requirement("FC19")
async def test_where_changed_tools_are_held_they_are_blocked_until_acknowledged(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("held")
    async with open_state(directory, settings=SetRules(hold_changed=True)) as state:
        await enabled(state, tool("look"))
        agent = await state.agents.get("demo")
        await observe(state, tool("look", title="B"), tool("fresh"))
        snapshot = state.snapshots.of(agent.id)
        assert snapshot is not None
        assert dict(snapshot.engine.blocked) == {("OpenMCP::Action", "look"): Reason.TOOL_HELD}
        found = {one.name: one for one in await state.services.tools("demo", "open")}
        await state.services.ack(ADMIN, "demo", "open", "look", str(found["look"].hash))
        snapshot = state.snapshots.of(agent.id)
        assert snapshot is not None
        assert snapshot.engine.blocked == {}


async def test_a_tier_is_overridden_on_the_current_revision_and_taken_back(state: State) -> None:
    await enabled(state, tool("look"))
    rev = (await state.services.get("demo", "open")).service.rev
    with pytest.raises(RevisionRequired):
        await state.services.set_tier(ADMIN, "demo", "open", "look", Tier.WRITE, expected=None)
    with pytest.raises(RevisionMoved):
        await state.services.set_tier(ADMIN, "demo", "open", "look", Tier.WRITE, expected=rev + 1)
    await state.services.set_tier(ADMIN, "demo", "open", "look", Tier.WRITE, expected=rev)
    snapshot = state.snapshots.of((await state.agents.get("demo")).id)
    assert snapshot is not None
    shape = snapshot.engine.schema.shapes.get(("open", "look"))
    assert shape is not None
    assert shape.tier is Tier.WRITE
    back = await state.services.set_tier(ADMIN, "demo", "open", "look", None, expected=rev + 1)
    assert (back.tier, back.tier_source) == (Tier.READ, TierSource.CATALOGUE)
    with pytest.raises(NotFound, match="no tool"):
        await state.services.set_tier(ADMIN, "demo", "open", "nothing", None, expected=rev + 2)


async def test_a_later_tool_does_not_slip_under_the_baseline_by_a_cleared_override(
    state: State,
) -> None:
    await enabled(state, tool("look"))
    state.clock.pass_s(600)
    await observe(state, tool("look"), tool("fresh"))
    rev = (await state.services.get("demo", "open")).service.rev
    await state.services.set_tier(ADMIN, "demo", "open", "fresh", Tier.WRITE, expected=rev)
    back = await state.services.set_tier(ADMIN, "demo", "open", "fresh", None, expected=rev + 1)
    assert (back.tier, back.tier_source) == (Tier.DESTRUCTIVE, TierSource.DEFAULT)


async def test_a_disabled_service_is_off_at_once_and_keeps_its_connections(state: State) -> None:
    await state.connected()
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"token")
    off = await state.services.disable(ADMIN, "demo", "notes")
    assert off.state is ServiceState.DISABLED
    snapshot = state.snapshots.of(off.agent_id)
    assert snapshot is not None
    assert not snapshot.is_enabled("notes")
    held = await state.held()
    assert held is not None
    assert held.state is ConnectionState.PENDING


async def test_a_removed_service_takes_its_connections_along(state: State) -> None:
    await state.connected()
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"token")
    await state.services.remove(ADMIN, "demo", "notes")
    before = await state.recorded()
    await state.services.remove(ADMIN, "demo", "notes", purge=True)
    assert await state.kinds(before) == ["service.removed", "connection.revoked"]
    held = await state.held()
    assert held is not None
    assert (held.state, held.pending_ct) == (ConnectionState.REVOKED, None)
    with pytest.raises(NotFound):
        await state.services.get("demo", "notes")
    await state.services.enable(ADMIN, "demo", "notes")


async def test_an_unknown_connector_is_named_with_the_command_that_lists_them(
    state: State,
) -> None:
    await state.agent()
    with pytest.raises(NotFound, match="no connector 'nope'") as refused:
        await state.services.enable(ADMIN, "demo", "nope")
    assert refused.value.hint == "wicket catalogue list"


async def test_a_reload_with_an_error_leaves_the_old_catalogue(state: State) -> None:
    await state.agent()
    old = state.services.catalogue()
    state.connectors["open"] = OPEN + "\nunknown_field = 1\n"
    before = await state.recorded()
    with pytest.raises(ConfigInvalid):
        await state.services.reload(ADMIN)
    assert list(state.services.catalogue()) == list(old)
    assert await state.recorded() == before


async def test_a_reload_brings_stored_tiers_in_line(state: State) -> None:
    await enabled(state, tool("look"))
    state.connectors["open"] = OPEN.replace('["wipe"]', '["wipe", "look"]')
    found = await state.services.reload(ADMIN)
    assert (found.changed, found.moved) == (("open",), ())
    assert (await tiers(state))["look"] == (Tier.DESTRUCTIVE, TierSource.CATALOGUE)
    snapshot = state.snapshots.of((await state.agents.get("demo")).id)
    assert snapshot is not None
    assert snapshot.tools["open", "look"].tier is Tier.DESTRUCTIVE


async def test_a_namespace_that_a_live_policy_names_is_not_renamed(state: State) -> None:
    await enabled(state, tool("look"))
    text = 'forbid (principal, action == OpenMCP::Action::"look", resource);'
    saved = await state.policies.create(ADMIN, "demo", name="No looking", text=text)
    state.connectors["open"] = OPEN.replace('name = "Open"', 'name = "Open"\nnamespace = "Wide"')
    with pytest.raises(Conflict, match="no longer has OpenMCP"):
        await state.services.reload(ADMIN)
    await state.policies.delete(ADMIN, "demo", "no-looking", expected=saved.revision)
    await state.services.reload(ADMIN)


async def test_a_reload_of_moved_connectors_says_so(state: State) -> None:
    await state.agent()
    state.connectors["notes"] = moved(NOTES)
    found = await state.services.reload(ADMIN)
    assert (found.changed, found.moved) == (("notes",), ("notes",))
    assert (await state.kinds())[-1] == "catalogue.reloaded"


async def test_an_observation_of_a_declared_service_is_its_first_discovery(state: State) -> None:
    await state.agent()
    state.upstreams.lists["open"] = SignInRejected("no")
    await state.services.enable(ADMIN, "demo", "open")
    await observe(state, tool("look"))
    assert (await tiers(state))["look"] == (Tier.READ, TierSource.CATALOGUE)
    service, changes = await state.services.drift("demo", "open")
    assert (service.catalogue, service.drift, changes) == ("discovered", "clean", [])
