"""`wicket policy test` and `wicket audit to-test` against real use cases over a socket."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.admin import Ran, run_wicket
from tests.support.administered import Administered, administered
from tests.support.calling import calling_over
from tests.support.state import ADMIN, tool
from wicket_tui.headless import policy_directory
from wicket_tui.headless.expectations import read, written
from wicketd.api.types.policy_sets import SetPolicyFile

FORBID = "forbid (principal, action, resource);"
SEARCH: dict[str, Any] = {"member": "bob", "tool": "notes__search_notes", "expect": "ALLOW"}
DELETE: dict[str, Any] = {"member": "bob", "tool": "notes__delete_note", "expect": "DENY"}

BOTH = msgspec.json.encode(
    {"version": 1, "cases": [DELETE | {"entry": "x", "arguments": {"a": 1}}]}
).decode()


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Administered]:
    async with administered(tmp_path) as running:
        running.state.upstreams.lists["notes"] = [tool("search_notes"), tool("delete_note")]
        await running.state.connected()
        await running.state.services.discover(ADMIN, "demo", "notes")
        yield running


async def outcome(there: Administered, *cases: dict[str, Any], more: str = "") -> Ran:
    """Runs `policy test` on these cases."""
    text = msgspec.json.encode({"version": 1, "cases": cases}).decode()
    return await run_wicket(there.read_only, *f"policy test demo - {more}".split(), stdin=text)


async def test_cases_that_are_decided_as_expected_exit_with_0(there: Administered) -> None:
    ran = await outcome(there, {**SEARCH, "policies": ["baseline-notes"]}, DELETE)
    assert (ran.code, ran.out) == (0, "2 cases, 2 as expected.\n"), ran.err


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({**SEARCH, "expect": "DENY"}, "expected DENY, got ALLOW (permitted) by baseline-notes."),
        ({**DELETE, "expect": "ALLOW"}, "expected ALLOW, got DENY (no_permit)."),
        ({**DELETE, "reason": "forbidden"}, "expected DENY for forbidden, got no_permit."),
        ({**SEARCH, "policies": ["other"]}, "expected ALLOW by other, got it by baseline-notes."),
        ({**SEARCH, "policies": []}, "expected ALLOW by -, got it by baseline-notes."),
        ({**SEARCH, "member": "nobody"}, "has no member"),
    ],
)
async def test_another_decision_fails_its_case_alone(
    there: Administered, case: dict[str, Any], said: str
) -> None:
    ran = await outcome(there, {**case, "name": "odd"}, DELETE)
    assert ran.code == 9
    assert ran.out.startswith("✗ odd: ")
    assert said in ran.out
    assert ran.out.endswith("\n2 cases, 1 as expected.\n")


async def test_a_case_says_when_from_where_and_after_what(there: Administered) -> None:
    text = (
        "forbid (principal, action, resource) when { context.session.denials >= 3 || "
        'context.time.hour == 5 || context.network.ip == ip("10.0.0.7") };'
    )
    await there.state.policies.create(ADMIN, "demo", name="Odd", text=text)
    ran = await outcome(
        there,
        SEARCH | {"time": "2026-01-01T06:00:00Z"},
        SEARCH | {"time": "2026-01-01T05:00:00Z", "expect": "DENY", "policies": ["odd"]},
        SEARCH
        | {"time": "2026-01-01T06:00:00Z", "ip": "10.0.0.7", "expect": "DENY", "policies": ["odd"]},
        SEARCH | {"time": "2026-01-01T06:00:00Z", "session": {"denials": 3}, "expect": "DENY"},
    )
    assert ran.code == 0, ran.out


async def test_an_exported_set_is_tried_in_place_of_the_live_one(
    there: Administered, tmp_path: Path
) -> None:
    directory = tmp_path / "set"
    policy_directory.write(directory, [SetPolicyFile(key="only", name="Only", text=FORBID)])
    ran = await outcome(
        there, SEARCH | {"expect": "DENY", "policies": ["only"]}, more=f"--set {directory}"
    )
    assert ran.code == 0, ran.out
    broken = [SetPolicyFile(key="only", name="Only", text="permit (")]
    policy_directory.write(directory, broken)
    ran = await outcome(there, SEARCH, more=f"--set {directory}")
    assert (ran.code, ran.out) == (6, "")
    assert "only:" in ran.err


async def test_real_decisions_become_a_file_that_holds(there: Administered) -> None:
    calling = calling_over(there.state)
    caller = await there.state.caller()
    for name, arguments in (("search_notes", {"text": "c4n4ry"}), ("delete_note", {})):
        await calling.run(calling.call(caller, name, "notes", arguments=arguments))
        there.state.clock.pass_s(60)
    made = await run_wicket(there.read_only, "audit", "to-test", "agent:demo")
    assert made.code == 0, made.err
    assert "c4n4ry" not in made.out
    first, second = read(made.out).cases
    assert (first.expect, first.policies, first.arguments) == ("ALLOW", ("baseline-notes",), None)
    assert (second.expect, second.reason, second.arguments) == ("DENY", "no_permit", {})
    ran = await run_wicket(there.read_only, "policy", "test", "demo", "-", stdin=made.out)
    assert (ran.code, ran.out) == (0, "2 cases, 2 as expected.\n"), ran.err
    await there.state.policies.create(ADMIN, "demo", name="Nothing", text=FORBID)
    ran = await run_wicket(there.read_only, "policy", "test", "demo", "-", stdin=made.out)
    assert ran.code == 9
    assert ran.out.count("✗") == 2


async def test_entries_of_several_agents_or_none_make_no_file(there: Administered) -> None:
    ran = await run_wicket(there.read_only, "audit", "to-test", "agent:demo")
    assert (ran.code, ran.out) == (2, "")
    calling = calling_over(there.state)
    for key, member in (("demo", "bob"), ("other", "eve")):
        if key == "other":
            await there.state.agent(key)
            await there.state.service(key)
            await there.state.member(key, member)
        caller = await there.state.caller(key, member)
        await calling.run(calling.call(caller, "search_notes", "notes"))
    ran = await run_wicket(there.read_only, "audit", "to-test")
    assert (ran.code, ran.out) == (2, "")
    assert "agent:A" in ran.err


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 2, "cases": []}',
        '{"version": 1, "cases": []}',
        '{"version": 1, "cases": [{"member": "bob", "tool": "notes__x"}]}',
        '{"version": 1, "cases": [{"member": "bob", "tool": "a__b", "expect": "MAYBE"}]}',
        '{"version": 1, "cases": [{"member": "b", "tool": "a__b", "expect": "DENY", "typo": 1}]}',
        BOTH,
    ],
)
async def test_a_file_that_is_none_is_refused(there: Administered, text: str) -> None:
    ran = await run_wicket(there.read_only, "policy", "test", "demo", "-", stdin=text)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.strip()


def test_a_file_that_was_written_reads_back() -> None:
    text = msgspec.json.encode({"version": 1, "cases": [SEARCH, DELETE | {"arguments": {"a": 1}}]})
    cases = read(text.decode()).cases
    assert read(written(cases)).cases == cases
