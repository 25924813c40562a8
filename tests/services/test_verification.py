"""Recorded decisions made once more under their own revision (policy spec, 7.3 and P-ENG 4)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.calling import CAP, NO_WIPING, Calling, listed, open_calling
from tests.support.rehearsing import replays_over
from tests.support.state import ADMIN, OPEN, tool
from tests.support.tampering import tamper
from wicketd.domain.errors import BadRequest
from wicketd.domain.json import JsonObject
from wicketd.domain.policies import Decision, Reason
from wicketd.services.rehearsals import DraftText
from wicketd.services.replay import ReplayAsk, ReplayState
from wicketd.services.replay_rows import Tally
from wicketd.storage.audit import AuditFilters

TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'policy_versions'"
ALTER = "UPDATE policy_versions SET text = replace(text, 'forbid', 'permit')"
VERIFY = ReplayAsk(AuditFilters(), verify=True)


def drop(name: str, connection: Any) -> None:
    """What keeps versions as they are is gone."""
    connection.execute(f"DROP TRIGGER {name}")


@pytest.fixture
async def calling(tmp_path: Path) -> AsyncIterator[Calling]:
    async with open_calling(tmp_path) as fresh:
        yield fresh


async def verified(calling: Calling) -> Tally:
    """What verifying everything comes to."""
    replays = replays_over(calling.state)
    started = await replays.start(ADMIN, "demo", VERIFY)
    found = await replays.wait(started.id, 60)
    assert found.state is ReplayState.DONE, found.error
    return found.tally


async def calls(calling: Calling) -> None:
    """One call of each tool."""
    caller = await calling.caller()
    for name, amount in (("look", None), ("wipe", None), ("pay", 500), ("pay", 5)):
        await calling.run(calling.call(caller, name, arguments={"amount": amount}))


async def test_each_row_is_decided_by_the_set_of_its_own_time(calling: Calling) -> None:
    await calls(calling)
    await calling.policy("No wiping", NO_WIPING)
    await calls(calling)
    await calling.policy("Cap", CAP)
    await calls(calling)
    agent = await calling.state.agents.get("demo")
    await calling.state.policies.delete(ADMIN, "demo", "no-wiping", expected=agent.policy_revision)
    await calls(calling)
    found = await verified(calling)
    assert (found.matched, found.faults, found.unmatched) == (16, 0, {})
    assert found.before == found.after == {True: 12, False: 4}


async def test_a_row_that_its_set_never_decided_so_is_a_fault(calling: Calling) -> None:
    await calling.policy("No wiping", NO_WIPING)
    await calls(calling)
    call = calling.call(await calling.caller(), "wipe")
    decision = calling.calls.decide(call)
    assert isinstance(decision, Decision)
    await calling.calls.record(call, replace(decision, allow=True, reason=Reason.PERMITTED))
    call = calling.call(await calling.caller(), "wipe")
    decision = calling.calls.decide(call)
    assert isinstance(decision, Decision)
    await calling.calls.record(call, replace(decision, determining=()))
    found = await verified(calling)
    assert (found.matched, found.faults, len(found.kept)) == (6, 2, 2)
    assert [row.before for row in found.kept] == [True, False]


async def changed(calling: Calling) -> None:
    """Calls, then another type for the argument that the cap reads and one more tool, and calls."""
    await calling.policy("Cap", CAP)
    await calls(calling)
    look, wipe, pay = listed()
    schema: JsonObject = {"type": "object", "properties": {"amount": {"type": "string"}}}
    calling.state.upstreams.lists["open"] = [look, wipe, {**pay, "inputSchema": schema}, tool("m")]
    await calling.state.services.discover(ADMIN, "demo", "open")
    caller = await calling.caller()
    for name in ("look", "wipe", "m"):
        await calling.run(calling.call(caller, name))


async def test_each_row_is_decided_by_the_tools_of_its_own_time(calling: Calling) -> None:
    await changed(calling)
    found = await verified(calling)
    assert (found.matched, found.faults, found.unmatched) == (7, 0, {})
    assert found.before == found.after == {True: 6, False: 1}


async def test_targets_are_mapped_by_the_rule_of_their_own_time(calling: Calling) -> None:
    """Names were folded; today they are not, and the entity has an attribute more."""
    state = calling.state
    rule = '[[target]]\nentity = "Room"\ntools = ["look"]\nid = "{text}"\npattern = "[A-Za-z]+"\n'
    state.connectors["open"] = f'{OPEN}\n{rule}fold = "lower"\n'
    await state.services.reload(ADMIN)
    caller = await calling.caller()
    snapshot = state.snapshots.of(caller.agent.id)
    assert snapshot is not None
    look = snapshot.tools["open", "look"]
    await state.services.ack(ADMIN, "demo", "open", "look", str(look.hash))
    forbid = 'forbid (principal, action, resource) when { resource == OpenMCP::Room::"acme" };'
    await calling.policy("No acme", forbid)
    for text in ("ACME", "other"):
        await calling.run(calling.call(caller, "look", arguments={"text": text}))
    state.connectors["open"] = f'{OPEN}\n{rule}attrs = {{ name = "{{text}}" }}\n'
    await state.services.reload(ADMIN)
    found = await verified(calling)
    assert (found.matched, found.faults, found.unmatched) == (2, 0, {})
    assert found.before == found.after == {True: 1, False: 1}


@pytest.mark.parametrize(
    "spoil",
    [
        "DELETE FROM schemas",
        "UPDATE schemas SET services = x'00'",
        "UPDATE schemas SET services = x'789c8b8e0500011500b9'",  # zlib-packed []
    ],
)
async def test_rows_whose_tools_are_not_known_are_not_verified(
    calling: Calling, spoil: str
) -> None:
    """Rows of an older release, or tools that do not give the schema that the row names."""
    await changed(calling)
    await tamper(calling.state.db, spoil)
    found = await verified(calling)
    assert (found.matched, found.unmatched, found.faults) == (3, {"schema_changed": 4}, 0)


async def test_rows_whose_set_was_altered_are_not_verified(calling: Calling) -> None:
    await calling.policy("No wiping", NO_WIPING)
    await calls(calling)
    agent = await calling.state.agents.get("demo")
    await calling.state.policies.delete(ADMIN, "demo", "no-wiping", expected=agent.policy_revision)
    for (name,) in await calling.state.db.maintain(lambda one: one.execute(TRIGGERS).fetchall()):
        await calling.state.db.maintain(partial(drop, name))
    await calling.state.db.maintain(lambda one: one.execute(ALTER))
    found = await verified(calling)
    assert (found.unmatched, found.faults) == ({"set_missing": 4}, 0)


async def test_a_draft_has_no_place_in_a_verification(calling: Calling) -> None:
    ask = replace(VERIFY, draft=DraftText(CAP))
    with pytest.raises(BadRequest):
        await replays_over(calling.state).start(ADMIN, "demo", ask)
