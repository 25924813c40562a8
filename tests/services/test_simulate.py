"""Hypothetical calls on real use cases: nothing is written, entries lend sealed arguments."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.calling import CAP, NO_WIPING, Calling, open_calling
from tests.support.rehearsing import rehearsals_over
from tests.support.state import ADMIN
from wicketd.domain.errors import (
    BadRequest,
    Conflict,
    Invalid,
    NotFound,
    PolicyInvalid,
    WicketError,
)
from wicketd.domain.policies import Mode
from wicketd.domain.sessions import SessionFacts
from wicketd.services.audit import AuditLog, Notary
from wicketd.services.entries import Recording
from wicketd.services.rehearsals import DRAFT, DraftText, SetRecord
from wicketd.services.simulate import Hypothesis, Simulations

LOOK = Hypothesis(member="bob", tool="open__look", arguments={"text": "x"})
PERMIT = 'permit (principal, action in Wicket::Action::"call_tool", resource);'


@pytest.fixture
async def calling(tmp_path: Path) -> AsyncIterator[Calling]:
    async with open_calling(tmp_path) as fresh:
        await fresh.caller("bob")
        yield fresh


def simulations(calling: Calling) -> Simulations:
    """The use case over the state."""
    desk = calling.state.desk
    log = AuditLog(desk, Notary(lambda *_: "", lambda _: None), {})
    return Simulations(desk, rehearsals_over(calling.state), log)


def dump(calling: Calling) -> list[str]:
    """The whole database."""
    with sqlite3.connect(calling.state.directory / "wicket.db") as reader:
        return list(reader.iterdump())


async def test_a_simulation_decides_as_the_call_would_be_and_writes_nothing(
    calling: Calling,
) -> None:
    await calling.policy("No wiping", NO_WIPING)
    before = dump(calling)
    assert (await simulations(calling).simulate("demo", LOOK)).now.judged.allow
    asked = Hypothesis(member="bob", tool="open__wipe", arguments={"text": "x"})
    found = (await simulations(calling).simulate("demo", asked)).now.judged
    assert not found.allow
    assert dump(calling) == before
    real = calling.decide(calling.call(await calling.caller(), "wipe", arguments={"text": "x"}))
    assert (real.reason.value, real.determining) == (found.reason, found.determining)


async def test_a_draft_is_tried_beside_the_set_or_in_place_of_its_record(
    calling: Calling,
) -> None:
    await calling.policy("No wiping", NO_WIPING)
    forbid = DraftText('forbid (principal, action == OpenMCP::Action::"look", resource);')
    found = await simulations(calling).simulate("demo", LOOK, forbid)
    assert found.after is not None
    assert (found.now.judged.allow, found.after.judged.allow) == (True, False)
    assert [(d.key, d.version) for d in found.after.judged.determining] == [(DRAFT, 0)]
    wipe = Hypothesis(member="bob", tool="open__wipe", arguments={})
    instead = DraftText(forbid.text, policy="no-wiping")
    found = await simulations(calling).simulate("demo", wipe, instead)
    assert found.after is not None
    assert (found.now.judged.allow, found.after.judged.allow) == (False, True)


async def test_a_draft_in_place_of_a_watched_record_is_enforced(calling: Calling) -> None:
    await calling.state.policies.create(
        ADMIN, "demo", name="Watched", text=NO_WIPING, mode=Mode.SHADOW
    )
    wipe = Hypothesis(member="bob", tool="open__wipe", arguments={})
    found = await simulations(calling).simulate("demo", wipe, DraftText(NO_WIPING, "watched"))
    assert found.after is not None
    assert (found.now.judged.allow, found.after.judged.reason) == (True, "forbidden")


async def test_a_whole_set_stands_in_place_of_the_stored_one(calling: Calling) -> None:
    found = await simulations(calling).simulate("demo", LOOK, [SetRecord("only", CAP)])
    assert found.after is not None
    assert (found.now.judged.reason, found.after.judged.reason) == ("permitted", "no_permit")
    off = [SetRecord("only", PERMIT, enabled=False)]
    found = await simulations(calling).simulate("demo", LOOK, off)
    assert found.after is not None
    assert found.after.judged.reason == "no_permit"


async def test_counters_and_time_are_those_that_are_given(calling: Calling) -> None:
    text = (
        "forbid (principal, action, resource) "
        "when { context.session.denials >= 3 && context.time.hour == 5 };"
    )
    await calling.policy("Breaker", text)
    at_ms = 1_767_225_600_000 + 5 * 3_600_000
    asked = Hypothesis("bob", "open__look", {}, at_ms=at_ms, session=SessionFacts(9, 3, (), 1))
    assert (await simulations(calling).simulate("demo", asked)).now.judged.reason == "forbidden"
    assert (await simulations(calling).simulate("demo", LOOK)).now.judged.allow


async def test_an_entry_lends_its_arguments_and_they_are_not_shown(calling: Calling) -> None:
    await calling.policy("Cap", CAP)
    caller = await calling.caller()
    await calling.run(calling.call(caller, "pay", arguments={"amount": 777.5}))
    row = await calling.last()
    asked = Hypothesis("bob", "open__pay", {}, entry=row.id)
    found = (await simulations(calling).simulate("demo", asked)).now
    assert found.judged.reason == "forbidden"
    assert "777" not in repr(found)
    with pytest.raises(BadRequest):
        await simulations(calling).simulate("demo", Hypothesis("bob", "open__look", {}, row.id))


async def test_arguments_that_were_not_kept_cannot_be_lent(tmp_path: Path) -> None:
    async with open_calling(tmp_path, recording=Recording("digest")) as calling:
        await calling.run(calling.call(await calling.caller(), "look"))
        asked = Hypothesis("bob", "open__look", {}, entry=(await calling.last()).id)
        with pytest.raises(Conflict, match="not kept"):
            await simulations(calling).simulate("demo", asked)


@pytest.mark.parametrize(
    ("tool", "reason"),
    [
        ("nowhere__look", "unknown_service"),
        ("notes__search_notes", "unknown_service"),
        ("open__gone", "denied"),
    ],
)
async def test_what_no_policy_is_asked_about_is_refused_as_the_call(
    calling: Calling, tool: str, reason: str
) -> None:
    found = await simulations(calling).simulate("demo", Hypothesis("bob", tool, {}))
    assert (found.now.judged.allow, found.now.judged.reason) == (False, reason)


async def test_a_disabled_service_is_refused_as_the_call(calling: Calling) -> None:
    await calling.state.services.disable(ADMIN, "demo", "open")
    found = await simulations(calling).simulate("demo", LOOK, [SetRecord("all", PERMIT)])
    assert found.after is not None
    assert {found.now.judged.reason, found.after.judged.reason} == {"service_not_enabled"}


@pytest.mark.parametrize(
    ("asked", "other", "refusal"),
    [
        (Hypothesis("nobody", "open__look", {}), None, NotFound),
        (Hypothesis("bob", "look", {}), None, Invalid),
        (Hypothesis("bob", "open__look", {}, ip="10.0.0.0/8"), None, Invalid),
        (Hypothesis("bob", "open__look", {}, at_ms=-1), None, Invalid),
        (Hypothesis("bob", "open__look", {}, at_ms=10**15), None, Invalid),
        (Hypothesis("bob", "open__look", {}, entry="x"), None, NotFound),
        (Hypothesis("bob", "open__look", {}, session=SessionFacts(-1, 0, (), 0)), None, Invalid),
        (LOOK, DraftText("permit ("), PolicyInvalid),
        (LOOK, DraftText(PERMIT, policy="none"), NotFound),
        (LOOK, [SetRecord("broken", "permit (")], PolicyInvalid),
    ],
)
async def test_what_cannot_be_simulated_is_refused(
    calling: Calling,
    asked: Hypothesis,
    other: DraftText | list[SetRecord] | None,
    refusal: type[WicketError],
) -> None:
    with pytest.raises(refusal) as caught:
        await simulations(calling).simulate("demo", asked, other)
    assert caught.value.message.endswith(".")
