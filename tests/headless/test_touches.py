"""`wicket policy touches` against a whole administrative daemon (policy spec, 7.4)."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.support.admin import Ran, run_wicket
from tests.support.administered import Administered, administered
from tests.support.state import ADMIN, tool

KEEP = 'forbid (principal, action == NotesMCP::Action::"delete_note", resource);\n'
DRAFT = f"""permit (principal, action in Wicket::Action::"read", resource);
@id("keep-notes")
{KEEP}
permit (principal, action, resource) when {{ false }};
"""


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Administered]:
    async with administered(tmp_path) as running:
        await running.state.connected()
        running.state.upstreams.lists["notes"] = [tool("search_notes"), tool("delete_note")]
        await running.state.services.discover(ADMIN, "demo", "notes")
        await running.state.policies.create(ADMIN, "demo", name="Keep", text=KEEP)
        yield running


async def wicket(there: Administered, words: str, stdin: str = "") -> Ran:
    """Runs `wicket policy touches …`."""
    return await run_wicket(there.socket, "policy", "touches", *words.split(), stdin=stdin)


async def test_a_draft_shows_its_tools_by_tier_and_what_touches_none(
    there: Administered, tmp_path: Path
) -> None:
    ran = await wicket(there, "demo", DRAFT)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "TOOL                 TIER         STATEMENTS\n"
        "notes__delete_note   destructive  keep-notes\n"
        "notes__search_notes  read         1\n"
        "wicket__status       read         1\n"
        "Line 5: permit 3 touches no live tool.\n"
    )
    (tmp_path / "draft.cedar").write_text(DRAFT)
    assert (await wicket(there, f"demo {tmp_path / 'draft.cedar'}")).out == ran.out


async def test_a_stored_policy_is_asked_about_at_any_version(there: Administered) -> None:
    now = await there.state.agents.get("demo")
    other = KEEP.replace("delete_note", "search_notes")
    await there.state.policies.save(ADMIN, "demo", "keep", text=other, expected=now.policy_revision)
    current = await wicket(there, "demo --policy keep")
    assert (current.code, "search_notes" in current.out) == (0, True)
    first = await wicket(there, "demo --policy keep --version 1 --json")
    touched = msgspec.json.decode(first.out)["result"]["touched"]
    assert touched == [
        {"service": "notes", "tool": "delete_note", "tier": "destructive", "statements": [1]}
    ]


async def test_a_tool_that_is_gone_is_touched_no_more(there: Administered) -> None:
    there.state.upstreams.lists["notes"] = [tool("search_notes")]
    await there.state.services.discover(ADMIN, "demo", "notes")
    ran = await wicket(there, "demo", KEEP)
    assert (ran.code, ran.out) == (0, "Line 1: forbid 1 touches no live tool.\n")


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("permit (\n;", "error[syntax]"),
        (KEEP.replace("delete_note", "no_such"), "error[unknown_action]"),
        (KEEP + " " * 65_536, "error[too_large]"),
        ("", "error[syntax]"),
    ],
)
async def test_an_invalid_text_exits_with_6_and_its_problems(
    there: Administered, text: str, out: str
) -> None:
    ran = await wicket(there, "demo", text)
    assert ran.code == 6
    assert out in ran.out
    assert "notes__" not in ran.out


async def test_valid_statements_beside_a_broken_one_still_tell(there: Administered) -> None:
    ran = await wicket(there, "demo", KEEP + KEEP.replace("delete_note", "no_such"))
    assert ran.code == 6
    assert "notes__delete_note  destructive  1\n" in ran.out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("nowhere", 3),
        ("demo --policy nothing", 3),
        ("demo --policy keep --version 9", 3),
        ("demo --version 1", 2),
        ("demo - --policy keep", 2),
        ("demo /nowhere/draft.cedar", 2),
    ],
)
async def test_what_is_not_there_is_refused(there: Administered, words: str, code: int) -> None:
    ran = await wicket(there, words, KEEP)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err
