"""`wicket policy simulate`, as a process, against real use cases over a real socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.support.admin import Ran, run_wicket
from tests.support.administered import Administered, administered
from tests.support.state import tool

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
