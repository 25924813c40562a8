"""Recorded calls decided once more, on a real audit with real policies (policy spec, 7.3)."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.calling import (
    BREAKER,
    CAP,
    NO_WIPING,
    Calling,
    break_disk,
    mend_disk,
    open_calling,
)
from tests.support.fronts import eventually
from tests.support.rehearsing import InProcessReplay, replays_over
from tests.support.state import ADMIN, tool
from wicketd.domain.calls import Refusal, RefusalKind, Subject
from wicketd.domain.errors import (
    BadRequest,
    Conflict,
    Invalid,
    NotFound,
    PolicyInvalid,
    WicketError,
)
from wicketd.domain.json import JsonObject
from wicketd.domain.policies import Mode
from wicketd.services.entries import Recording
from wicketd.services.rehearsals import DraftText
from wicketd.services.replay import Replay, ReplayAsk, Replays, ReplayState
from wicketd.services.replay_pages import PAGE_ROWS
from wicketd.storage import audit
from wicketd.storage.audit import AuditFilters

ALL = AuditFilters()
NO_LOOKING = 'forbid (principal, action == OpenMCP::Action::"look", resource);'
LISTED = ("open__look", "open__pay", "wicket__status")
TEXT_X = (
    'forbid (principal, action == OpenMCP::Action::"look", resource) '
    'when { context.input has text && context.input.text == "x" };'
)


@pytest.fixture
async def calling(tmp_path: Path) -> AsyncIterator[Calling]:
    async with open_calling(tmp_path) as fresh:
        await fresh.caller("bob")
        yield fresh


async def made(calling: Calling, *names: str, **arguments: Any) -> None:
    """Calls of bob, one second apart."""
    for name in names:
        calling.state.clock.pass_s(1)
        await calling.run(calling.call(await calling.caller(), name, arguments=arguments))


async def replayed(calling: Calling, ask: ReplayAsk, replays: Replays | None = None) -> Replay:
    """A replay that is over."""
    replays = replays or replays_over(calling.state)
    started = await replays.start(ADMIN, "demo", ask)
    found = await replays.wait(started.id, 60)
    assert found.state is ReplayState.DONE, found.error
    return found


async def test_the_set_in_force_changes_nothing_over_what_it_decided(calling: Calling) -> None:
    await calling.policy("Cap", CAP)
    await calling.policy("No wiping", NO_WIPING)
    await calling.policy("Breaker", BREAKER)
    await calling.policy("X", TEXT_X)
    await calling.policy(
        "Hours", "forbid (principal, action, resource) when { context.time.minute >= 50 };"
    )
    chance = random.Random(7)  # noqa: S311  # which calls are tried
    callers = [await calling.caller("bob"), await calling.caller("eve")]
    for _ in range(300):
        calling.state.clock.pass_s(chance.randrange(1, 200))
        call = calling.call(
            chance.choice(callers),
            chance.choice(["look", "look", "look", "pay", "wipe"]),
            arguments={
                "text": chance.choice(["x", "y", None]),
                "amount": chance.choice([1, 99.5, 100.0001, 4000, None]),
                "more": chance.choice([1, "é"]),
            },
            session=f"s{chance.randrange(9)}",
        )
        decided = calling.calls.decide(call)
        assert not isinstance(decided, Refusal)
        await calling.calls.record(call, decided)
    found = (await replayed(calling, ReplayAsk(ALL))).tally
    refused = sum("context" not in one for one in await bodies(calling))
    assert (found.rows, found.refused, found.matched) == (300, refused, 300 - refused)
    assert (found.changed.total(), found.differing, found.unmatched.total()) == (0, 0, 0)
    assert found.before == found.baseline == found.after
    assert found.before[True] > 20
    assert found.before[False] > 20
    assert found.kept == []


async def bodies(calling: Calling) -> list[dict[str, Any]]:
    """The bodies of decided calls."""
    rows = await calling.state.rows()
    return [
        msgspec.json.decode(row.body) for row in rows if row.kind in {"call.intent", "call.denied"}
    ]


async def test_a_draft_shows_what_it_would_have_changed(calling: Calling) -> None:
    await made(calling, "look", "wipe", "look", text="x")
    await made(calling, "look", text="y")
    found = await replayed(calling, ReplayAsk(ALL, draft=DraftText(TEXT_X)))
    tally = found.tally
    assert (tally.matched, tally.changed["allow_deny"], tally.changed["deny_allow"]) == (4, 2, 0)
    assert (tally.differing, tally.by_tool, tally.by_member) == (
        0,
        {"open__look": 2},
        {"bob": 2},
    )
    (first, _) = tally.kept
    assert (first.before, first.flip, first.member, first.tool) == (
        True,
        "allow_deny",
        "bob",
        "look",
    )
    assert first.determining_before == ("baseline-open@1#1",)
    assert first.baseline is not None
    assert first.after is not None
    assert first.baseline.allow
    assert [(one.key, one.version) for one in first.after.determining] == [("draft", 0)]


@pytest.mark.parametrize(
    ("subject", "method", "action"),
    [
        (Subject.PROMPT, "prompts/get", "get_prompt"),
        (Subject.RESOURCE, "resources/read", "read_resource"),
    ],
)
async def test_prompts_and_resources_are_replayed_too(
    calling: Calling, subject: Subject, method: str, action: str
) -> None:
    await calling.policy(
        "reading", f'permit (principal, action == Wicket::Action::"{action}", resource);'
    )
    asked = calling.call(await calling.caller(), "look", arguments={"name": "x"})
    assert await calling.is_let_through(replace(asked, method=method, subject=subject))
    unchanged = await replayed(calling, ReplayAsk(ALL))
    assert (unchanged.tally.matched, unchanged.tally.unmatched.total()) == (1, 0)
    assert unchanged.tally.changed.total() == 0
    never = f'forbid (principal, action == Wicket::Action::"{action}", resource);'
    found = await replayed(calling, ReplayAsk(ALL, draft=DraftText(never)))
    assert found.tally.changed == {"allow_deny": 1}


async def test_a_watched_policy_is_replayed_as_if_it_were_enforced(calling: Calling) -> None:
    await calling.state.policies.create(
        ADMIN, "demo", name="Watched", text=NO_LOOKING, mode=Mode.SHADOW
    )
    await made(calling, "look", "wipe")
    found = await replayed(calling, ReplayAsk(ALL, policy="watched"))
    assert found.key == "watched"
    assert (found.tally.changed.total(), found.tally.differing) == (1, 0)
    assert (await replayed(calling, ReplayAsk(ALL))).tally.changed.total() == 0


async def test_an_old_version_stands_in_its_records_place(calling: Calling) -> None:
    await calling.policy("Rule", NO_WIPING)
    agent = await calling.state.agents.get("demo")
    await calling.state.policies.save(
        ADMIN, "demo", "rule", expected=agent.policy_revision, text=NO_LOOKING
    )
    await made(calling, "look", "wipe")
    old = (await replayed(calling, ReplayAsk(ALL, policy="rule", version=1))).tally
    assert old.changed == {"allow_deny": 1, "deny_allow": 1}
    assert (old.baseline[True], old.differing) == (2, 1)
    now = (await replayed(calling, ReplayAsk(ALL, policy="rule"))).tally
    assert (now.changed.total(), now.differing) == (0, 1)


async def test_a_set_that_changed_since_is_seen_as_differing(calling: Calling) -> None:
    await made(calling, "look", "wipe")
    await calling.policy("No wiping", NO_WIPING)
    found = (await replayed(calling, ReplayAsk(ALL, draft=DraftText(NO_LOOKING)))).tally
    assert (found.differing, found.changed.total()) == (1, 2)
    assert [(row.tool, row.baseline.allow) for row in found.kept if row.baseline] == [
        ("look", True),
        ("wipe", False),
    ]


async def test_facts_are_those_of_the_call_and_not_of_today(calling: Calling) -> None:
    text = (
        'forbid (principal in Wicket::Group::"ops", action, resource) '
        "when { context.time.hour == 13 };"
    )
    state, caller = calling.state, await calling.caller()
    calling.by_member["bob"] = replace(caller, member=replace(caller.member, groups=("ops",)))
    hour = 60 * 60 * 1000
    state.clock.ms += (13 - state.clock.ms // hour % 24) % 24 * hour
    await made(calling, "look")
    agent = await state.agents.get("demo")
    await state.agents.update(ADMIN, "demo", expected=agent.rev, tz="Asia/Tokyo")
    found = (await replayed(calling, ReplayAsk(ALL, draft=DraftText(text)))).tally
    assert (found.changed, found.differing) == ({"allow_deny": 1}, 0)
    assert [row.after.reason for row in found.kept if row.after] == ["forbidden"]


async def test_rows_that_counters_decided_are_marked(calling: Calling) -> None:
    await calling.policy("No wiping", NO_WIPING)
    await made(calling, "wipe", "wipe", "wipe", "look")
    found = (await replayed(calling, ReplayAsk(ALL, draft=DraftText(BREAKER)))).tally
    assert (found.uses_session, found.changed["allow_deny"]) == (1, 1)
    assert [row.uses_session for row in found.kept] == [True]


@pytest.mark.parametrize(
    ("recording", "draft", "unmatched"),
    [
        ("digest", NO_LOOKING, {"args_missing": 1}),
        ("redacted", NO_LOOKING, {}),
        ("redacted", TEXT_X, {"args_missing": 1}),
        ("encrypted", TEXT_X, {}),
    ],
)
async def test_without_its_arguments_a_row_is_not_guessed(
    tmp_path: Path, recording: str, draft: str, unmatched: dict[str, int]
) -> None:
    async with open_calling(tmp_path, recording=Recording(recording)) as calling:
        await made(calling, "look", text="x")
        found = (await replayed(calling, ReplayAsk(ALL, draft=DraftText(draft)))).tally
        assert found.unmatched == unmatched
        assert found.matched == 1 - found.unmatched.total()
        if unmatched:
            assert [row.unmatched for row in found.kept] == ["args_missing"]


async def test_erased_arguments_are_missing(calling: Calling) -> None:
    await made(calling, "look", text="x")
    erase = audit.erase_arguments(2**62)
    await calling.state.db.write(lambda tx: tx.run(erase))
    found = (await replayed(calling, ReplayAsk(ALL))).tally
    assert found.unmatched == {"args_missing": 1}


async def test_a_tool_that_is_gone_is_decided_by_its_stored_definition(calling: Calling) -> None:
    await made(calling, "look", "wipe", text="x")
    calling.state.upstreams.lists["open"] = [tool("look")]
    await calling.state.services.discover(ADMIN, "demo", "open")
    found = (await replayed(calling, ReplayAsk(ALL, draft=DraftText(TEXT_X)))).tally
    assert (found.matched, found.unmatched) == (2, {})
    await calling.state.services.disable(ADMIN, "demo", "open")
    await calling.state.services.remove(ADMIN, "demo", "open", purge=True)
    found = (await replayed(calling, ReplayAsk(ALL))).tally
    assert found.unmatched == {"tool_gone": 2}


async def test_arguments_of_another_type_than_todays_have_no_representation(
    calling: Calling,
) -> None:
    await made(calling, "look", text="x")
    schema: JsonObject = {"type": "object", "properties": {"text": {"type": "integer"}}}
    number: JsonObject = {"name": "look", "inputSchema": schema}
    calling.state.upstreams.lists["open"] = [number, tool("wipe")]
    await calling.state.services.discover(ADMIN, "demo", "open")
    draft = 'forbid (principal, action == OpenMCP::Action::"look", resource) when { '
    draft += "context.input has text && context.input.text == 1 };"
    found = (await replayed(calling, ReplayAsk(ALL, draft=DraftText(draft)))).tally
    assert found.unmatched == {"not_representable": 1}


async def test_a_call_from_nowhere_has_no_context(calling: Calling) -> None:
    call = calling.call(await calling.caller())
    await calling.run(replace(call, caller=replace(call.caller, ip="")))
    found = (await replayed(calling, ReplayAsk(ALL))).tally
    assert found.unmatched == {"no_context": 1}


async def test_what_never_came_to_a_policy_is_counted_apart(calling: Calling) -> None:
    caller = await calling.caller()
    call = calling.call(caller, "none")
    await calling.calls.refuse(caller, Refusal(RefusalKind.DENIED), call, None)
    found = (await replayed(calling, ReplayAsk(ALL))).tally
    assert (found.rows, found.refused, found.matched) == (1, 1, 0)


async def test_a_window_holds_its_first_instant_and_not_its_last(calling: Calling) -> None:
    await made(calling, "look", "look", "look")
    first, second, third = [
        row.ts for row in await calling.state.rows() if row.kind == "call.intent"
    ]
    assert first < second < third
    window = AuditFilters(from_ms=second, to_ms=third)
    assert (await replayed(calling, ReplayAsk(window))).tally.rows == 1
    with pytest.raises(Invalid):
        await replays_over(calling.state).start(
            ADMIN, "demo", ReplayAsk(AuditFilters(from_ms=third, to_ms=first))
        )


async def test_lists_that_would_change_are_told_by_member(calling: Calling) -> None:
    await calling.caller("eve")
    text = (
        'forbid (principal == Wicket::Member::"eve", action in Wicket::Action::"read", resource);'
    )
    found = (await replayed(calling, ReplayAsk(ALL, draft=DraftText(text)))).tally
    assert [one.member for one in found.lists] == ["eve"]
    assert (found.lists[0].gains, found.lists[0].loses) == ((), LISTED)


async def test_a_start_is_on_record_before_anything_is_read(calling: Calling) -> None:
    await made(calling, "look", text="c4n4ry")
    found = await replayed(calling, ReplayAsk(ALL, draft=DraftText(NO_LOOKING)))
    row = await calling.last()
    body = msgspec.json.decode(row.body)
    assert (row.kind, body["after"]) == (
        "policy.replayed",
        {"replay": found.id, "policy": "draft", "draft": True},
    )
    assert "c4n4ry" not in repr(found.tally)


async def test_two_run_at_a_time_and_a_cancelled_one_makes_room(calling: Calling) -> None:
    await made(calling, "look")
    children: list[InProcessReplay] = []

    def held() -> InProcessReplay:
        children.append(InProcessReplay())
        children[-1].gate.clear()
        return children[-1]

    replays = replays_over(calling.state, held)
    first, _ = [await replays.start(ADMIN, "demo", ReplayAsk(ALL)) for _ in range(2)]
    with pytest.raises(Conflict):
        await replays.start(ADMIN, "demo", ReplayAsk(ALL))
    await asyncio.sleep(0)
    replays.cancel(first.id)
    assert first.state is ReplayState.CANCELLED
    with pytest.raises(NotFound):
        replays.get(first.id)
    third = await replays.start(ADMIN, "demo", ReplayAsk(ALL))
    await asyncio.sleep(0)
    for child in children:
        child.gate.set()
    assert (await replays.wait(third.id, 60)).state is ReplayState.DONE
    await eventually(lambda: all(child.stopped for child in children))


async def test_a_child_that_dies_half_way_leaves_an_error_and_no_summary(
    calling: Calling,
) -> None:
    await made(calling, *["look"] * (PAGE_ROWS + 1))
    replays = replays_over(calling.state, lambda: InProcessReplay(crashes=1))
    started = await replays.start(ADMIN, "demo", ReplayAsk(ALL))
    found = await replays.wait(started.id, 60)
    assert (found.state, found.tally.rows) == (ReplayState.FAILED, PAGE_ROWS)
    assert found.error == "The policy checker stopped."
    assert found.tally.lists == ()


@pytest.mark.parametrize(
    ("ask", "refusal"),
    [
        (ReplayAsk(ALL, policy="none"), NotFound),
        (ReplayAsk(ALL, policy="baseline-open", version=9), NotFound),
        (ReplayAsk(ALL, version=1), BadRequest),
        (ReplayAsk(ALL, draft=DraftText(NO_WIPING), policy="baseline-open"), BadRequest),
        (ReplayAsk(ALL, draft=DraftText("permit (")), PolicyInvalid),
    ],
)
async def test_what_cannot_be_replayed_is_refused_and_not_recorded(
    calling: Calling, ask: ReplayAsk, refusal: type[WicketError]
) -> None:
    before = await calling.state.recorded()
    with pytest.raises(refusal):
        await replays_over(calling.state).start(ADMIN, "demo", ask)
    assert await calling.state.recorded() == before


async def test_nothing_starts_that_cannot_be_recorded(calling: Calling) -> None:
    replays = replays_over(calling.state)
    await break_disk(calling.state.db)
    with pytest.raises(WicketError):
        await replays.start(ADMIN, "demo", ReplayAsk(ALL))
    await mend_disk(calling.state.db)
    assert (await replayed(calling, ReplayAsk(ALL), replays)).tally.rows == 0


async def test_old_replays_are_forgotten(calling: Calling) -> None:
    replays = replays_over(calling.state)
    ids = [(await replayed(calling, ReplayAsk(ALL), replays)).id for _ in range(18)]
    with pytest.raises(NotFound):
        replays.get(ids[0])
    assert replays.get(ids[-1]).state is ReplayState.DONE
