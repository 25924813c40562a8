"""Services: enabling with its report, discovery, switching off, removal."""

import pytest

from tests.support.listed import enabled, tiers
from tests.support.state import ADMIN, State, tool
from wicketd.domain.agents import Trust
from wicketd.domain.catalogue import ServiceState, Tier, TierSource, ToolStatus
from wicketd.domain.connections import ConnectionState
from wicketd.domain.errors import (
    Conflict,
    Invalid,
    NotFound,
    SignInRejected,
    Unreachable,
)
from wicketd.domain.json import JsonObject
from wicketd.services.baselines import Allow

READ: JsonObject = {"readOnlyHint": True}
SAFE: JsonObject = {"destructiveHint": False}
BASELINE = (
    'permit (principal, action in Wicket::Action::"read", resource in Wicket::Service::"open");'
)


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
    command = "wicket service discover demo notes --token-stdin"
    how = f'Show it a token once: run "{command}".'
    assert report.note == f"The server wants a credential. {how}"
    with pytest.raises(SignInRejected) as refused:
        await state.services.discover(ADMIN, "demo", "notes")
    assert refused.value.hint == how
    (found,) = await state.services.list("demo")
    assert found.service.catalogue == "declared"
    assert [one.name for one in found.tools] == ["create_note", "delete_note", "search_notes"]
    schema = (await state.policies.craft.names.of("demo")).schema
    assert 'action "delete_note"' in schema.text


async def test_a_connector_without_credential_is_not_told_to_show_a_token(state: State) -> None:
    await state.agent()
    state.upstreams.lists["open"] = SignInRejected("Open wants a credential.")
    report = await state.services.enable(ADMIN, "demo", "open")
    how = "Its connector open sends no credential: give the file one."
    assert report.note == f"Open wants a credential. {how}"


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
    schema = (await state.policies.craft.names.of("demo")).schema
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
    assert await state.kinds(before) == ["connection.revoked", "service.removed"]
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
