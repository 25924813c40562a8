"""`wicket policy simulate` and `replay` as processes, against real use cases over a socket."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.support.admin import Ran, run_wicket
from tests.support.administered import Administered, administered
from tests.support.calling import calling_over
from tests.support.state import ADMIN, tool

CALL = "policy simulate demo --member bob --tool notes__delete_note"
LISTED = "policy simulate demo --member bob --tool notes__search_notes"
FORBID = "forbid (principal, action, resource) when { context.time.hour >= 0 };"
PERMIT = "permit (principal, action, resource);"


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Administered]:
    async with administered(tmp_path) as running:
        running.state.upstreams.lists["notes"] = [tool("search_notes"), tool("delete_note")]
        await running.state.connected()
        yield running


async def wicket(there: Administered, line: str, *more: str, stdin: str = "") -> Ran:
    """Runs a command."""
    return await run_wicket(there.read_only, *line.split(), *more, stdin=stdin)


async def test_a_denied_call_exits_with_9_and_an_allowed_one_with_0(there: Administered) -> None:
    denied = await wicket(there, CALL)
    allowed = await wicket(there, LISTED)
    assert (denied.code, allowed.code) == (9, 0), denied.err + allowed.err
    assert denied.out.startswith("Decision: DENY (no_permit)")
    assert "by        baseline-notes@1 #1" in allowed.out


async def test_with_a_draft_the_draft_decides_the_exit_code(there: Administered) -> None:
    ran = await wicket(there, f"{CALL} --draft -", stdin=PERMIT)
    assert ran.code == 0, ran.err
    assert "Without the draft: DENY" in ran.out
    assert "With the draft: ALLOW (permitted)\n  by        draft@draft #1" in ran.out
    ran = await wicket(there, f"{LISTED} --draft -", stdin=FORBID)
    assert ran.code == 9
    assert "✓ context.time.hour >= 0  [context.time.hour = " in ran.out


async def test_its_json_has_the_tree(there: Administered) -> None:
    ran = await wicket(there, f"{CALL} --json --args", '{"text": "a"}')
    found = msgspec.json.decode(ran.out)["result"]
    assert (ran.code, found["after"], found["now"]["decision"]) == (9, None, "DENY")
    assert found["now"]["request"]["context"]["network"] == {"ip": "127.0.0.1"}


@pytest.mark.parametrize(
    ("line", "more", "code"),
    [
        (CALL + " --args", "[1]", 2),
        (CALL + " --args", "{", 2),
        (CALL + " --policy", "p", 2),
        (CALL + " --ip", "10.0.0.0/8", 6),
        (CALL + " --at", "soon", 6),
        (CALL + " --entry", "ABCDEFGH", 3),
        (CALL.replace("bob", "eve") + " --ip", "10.0.0.1", 3),
        (CALL + " --draft", "/nowhere", 2),
    ],
)
async def test_bad_input_is_refused_with_its_code(
    there: Administered, line: str, more: str, code: int
) -> None:
    ran = await wicket(there, line, more)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.strip()


async def test_a_broken_draft_is_refused_with_its_problems(there: Administered) -> None:
    ran = await wicket(there, f"{CALL} --draft -", stdin="permit (")
    assert (ran.code, ran.out) == (6, "")
    assert "error[syntax]" in ran.err


REPLAY = "policy replay demo --since 7d"


@pytest.fixture
async def called(there: Administered) -> Administered:
    """Bob searched once, which was permitted, and tried to delete, which was not."""
    await there.state.services.discover(ADMIN, "demo", "notes")
    calling = calling_over(there.state)
    caller = await there.state.caller()
    for name in ("search_notes", "delete_note"):
        await calling.run(calling.call(caller, name, "notes", arguments={"text": "x"}))
    return there


async def test_a_replay_of_the_set_in_force_changes_nothing(called: Administered) -> None:
    ran = await wicket(called, f"{REPLAY} --fail-on-flip")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("2 decisions read, 2 decided once more, 0 never came to a policy.\n")
    assert "Changed: 0 (0 would be denied, 0 would be allowed); 0 differ today already." in ran.out


async def test_a_flip_fails_a_script_that_asks_for_it(called: Administered) -> None:
    quiet = await wicket(called, f"{REPLAY} --draft -", stdin=PERMIT)
    strict = await wicket(called, f"{REPLAY} --fail-on-flip --draft -", stdin=PERMIT)
    assert (quiet.code, strict.code) == (0, 9), quiet.err
    assert "Changed: 1 (0 would be denied, 1 would be allowed)" in strict.out
    assert "Tools of bob: gains " in strict.out
    assert "✗→✓" in strict.out
    one = await wicket(called, f"{REPLAY} --json --draft - --policy baseline-notes", stdin=FORBID)
    found = msgspec.json.decode(one.out)["result"]
    assert (found["replay"]["policy"], found["replay"]["allow_deny"]) == ("baseline-notes", 1)
    assert found["rows"][0]["determiningAfter"] == ["baseline-notes@0#1"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (REPLAY + " --policy none", 3),
        (REPLAY + " --version 1", 2),
        (REPLAY + " --draft - --version 1", 2),
        (REPLAY + " --draft -", 6),
        ("policy replay demo --since soon", 6),
        ("policy replay demo --since 1d --until 2d", 6),
        ("policy replay demo", 2),
        ("policy replay none --since 7d", 3),
    ],
)
async def test_a_replay_that_makes_no_sense_is_refused(
    there: Administered, line: str, code: int
) -> None:
    ran = await wicket(there, line, stdin="permit (")
    assert (ran.code, ran.out) == (code, "")


async def test_recorded_decisions_verify_under_their_own_policies(called: Administered) -> None:
    ran = await wicket(called, f"{REPLAY} --verify")
    assert (ran.code, ran.out) == (0, "2 decisions read, 2 verified, 0 faults.\n"), ran.err
    ran = await wicket(called, f"{REPLAY} --verify --policy baseline-notes")
    assert (ran.code, ran.out) == (2, "")


async def test_a_fault_fails_a_verification(called: Administered) -> None:
    calling = calling_over(called.state)
    key, text = await called.state.keys.issue(ADMIN, "demo", await another(called))
    call = calling.call(await called.state.caller_of(key, text), "delete_note", "notes")
    decision = calling.decide(call)
    await calling.calls.record(call, replace(decision, allow=True))
    ran = await wicket(called, f"{REPLAY} --verify")
    assert ran.code == 1
    assert "3 decisions read, 3 verified, 1 faults." in ran.out
    assert "wicketd audit verify" in ran.err


async def another(there: Administered) -> str:
    """One more member."""
    return (await there.state.member("demo", "eve")).id
