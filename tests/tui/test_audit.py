"""The audit browser before a real daemon and a real upstream: find, explain, reveal, export."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.gate import AGENT, Gate, open_gate
from tests.support.terminal import Terminal, terminal
from wicket_tui.screens.audit import AuditScreen
from wicketd.api import policy_endpoints
from wicketd.api.types.policies import PolicySave

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = (
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x9b31mred",
    "\u202egnp.exe",
    "[bold red]markup[/] [link=x]",
    "👩\u200d👩\u200d👧\u200d👦 e\u0301\u0301\u0301",
    "字" * 40,
    "a" * 10_000,
)
NO_PAYING = 'forbid (principal, action == DeskMCP::Action::"pay", resource) when {{ {} }};'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("a")) as gate:
        rule = "context.input has amount && context.session.denials < 7"
        await gate.policy("No paying", NO_PAYING.format(rule))
        client = await gate.client(await gate.member("ann"))
        await client.call("desk__echo", {"text": "good morning"})
        await client.call("desk__erase", {})
        await client.call("desk__pay", {"amount": 5})
        yield gate


async def at_audit(person: Terminal, *texts: str) -> str:
    """The screen once its index came."""
    screen = person.app.frame
    await person.until("online", "Audit", *texts)
    assert isinstance(screen, AuditScreen)
    await person.until_true(lambda _: screen.rows.book.is_exact, "the index")
    return person.shown


async def filtered(person: Terminal, words: str) -> None:
    """Puts terms behind the agent's, as pasted."""
    screen = person.app.frame
    assert isinstance(screen, AuditScreen)
    screen.bar.value += f" {words}"
    await person.until_true(lambda _: screen.shown_words == screen.words, "the filter's entries")


async def test_an_entry_is_explained_by_the_text_that_decided_it(gate: Gate) -> None:
    text = NO_PAYING.format("false")
    save = PolicySave(agent=AGENT, policy="no-paying", text=text)
    revision = (await gate.audit())[0].fields.get("policyRevision")
    assert revision is not None
    await gate.admin.call(policy_endpoints.POLICY_SAVE, save, match=int(revision))
    async with terminal(gate.daemon.socket, screen=6, agent=AGENT, size=(120, 40)) as person:
        await at_audit(person, "desk.pay", "✗ deny")
        await filtered(person, "tool:pay decision:deny")
        await person.until("✗ forbid no-paying@1 #1", "context.session.denials = 1")
        shown = await person.until("context.input has amount", "forbidden")
        assert "false" not in shown, "the version that decided, not the one of now"
        await person.press("p")
        await person.until("no-paying@1", "Versions are never changed")
        await person.press("escape", "o")
        await person.until("Sessions 1", "ann")


async def test_the_dashboard_leads_to_the_denied_calls_of_its_window(gate: Gate) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT) as person:
        await person.until("online", "Last denials", "erase")
        await person.press("left_square_bracket", "enter")
        await at_audit(person, f"agent:{AGENT} decision:deny since:1h", "✗ deny")
        await person.until("desk.erase", gone=("✓ allow",))


async def test_a_filter_is_completed_and_a_wrong_one_explained(gate: Gate) -> None:
    async with terminal(gate.daemon.socket, screen=6, agent=AGENT) as person:
        await at_audit(person)
        await person.press("slash", "space")
        await person.type("dec")
        await person.until("decision:")
        await person.press("right")
        await person.type("d")
        await person.until("decision:deny")
        await person.press("right")
        await person.until("✗ deny", gone=("✓ allow",))
        await person.press("space")
        await person.type("x:y")
        await person.until("'x:y' is no filter", "NAME:VALUE")
        assert "✗ deny" in person.shown
        await person.press("escape", "escape")
        await person.until("✓ allow", "desk.echo", gone=("no filter",))


async def test_where_nothing_matches_the_term_to_drop_is_named(gate: Gate) -> None:
    async with terminal(gate.daemon.socket, screen=6, agent=AGENT) as person:
        await at_audit(person)
        await filtered(person, "decision:allow tool:erase")
        await person.until("Nothing matches", "Without tool:erase there are entries")
        await person.press("escape")
        await person.until("desk.erase")


async def test_a_call_that_arrives_is_followed_or_counted(gate: Gate) -> None:
    client = await gate.client(await gate.member())
    async with terminal(gate.daemon.socket, screen=6, agent=AGENT) as person:
        await at_audit(person, "follows")
        await client.call("desk__erase", {"n": 1})
        await person.until_true(lambda shown: "desk.erase" in shown.splitlines()[5], "it on top")
        await person.press("j")
        await person.until("· f follows")
        screen = person.app.frame
        assert isinstance(screen, AuditScreen)
        kept = screen.entry
        await client.call("desk__erase", {"n": 2})
        await person.until("1 new · f follows")
        assert screen.entry == kept, "the cursor stays on its entry"
        await person.press("f")
        await person.until("· follows")
        assert screen.rows.cursor == 0


async def test_arguments_are_revealed_for_a_reason_that_is_on_record(gate: Gate) -> None:
    async with terminal(gate.daemon.socket, screen=6, agent=AGENT, size=(120, 40)) as person:
        await at_audit(person)
        await filtered(person, "tool:echo decision:allow")
        await person.until("text: string(12)", gone=("good morning",))
        await person.press("V")
        await person.until("Show the arguments of", "wicket audit reveal")
        await person.press("right", "enter")
        await person.until("needs a reason")
        await person.press("V")
        await person.until("Show the arguments of")
        await person.press("left")
        await person.type("incident 7")
        await person.press("tab", "tab", "enter")
        await person.until('"text": "good morning"', "and why")
        await person.press("escape")
    (row,) = await gate.audit(kind="audit.revealed")
    assert row.fields["after"]["reason"] == "incident 7"
    assert all("incident" not in sent.command for sent in person.app.session.log)


async def test_a_reader_reveals_nothing(gate: Gate) -> None:
    async with terminal(
        gate.daemon.socket, screen=6, agent=AGENT, read_only=True, size=(120, 40)
    ) as person:
        await at_audit(person, "READ-ONLY")
        before = len(await gate.audit(kind="audit.revealed"))
        await person.press("V")
        await person.until("Read-only")
        assert len(await gate.audit(kind="audit.revealed")) == before


async def test_what_is_shown_is_exported_to_a_new_file_that_only_its_owner_reads(
    gate: Gate, tmp_path: Path
) -> None:
    file = tmp_path / "log.jsonl"
    async with terminal(gate.daemon.socket, screen=6, agent=AGENT) as person:
        await at_audit(person)
        for sentence in ("lines are in", "Cannot write there: File exists"):
            await person.press("e")
            await person.until("Nothing is")
            person.app.screen.query_one("#field-path").value = str(file)  # type: ignore[attr-defined]  # an Input
            await person.press("tab", "tab", "tab", "enter")
            await person.until(sentence)
    assert file.stat().st_mode & 0o777 == 0o600
    assert '"kind":"call.intent"' in file.read_text()


async def test_hostile_names_are_harmless_in_list_and_detail(gate: Gate) -> None:
    client = await gate.client(await gate.member("mallory"))
    for name in HOSTILE:
        await client.call(f"desk__{name}", {name[:200]: name})
    for size in ((80, 24), (120, 40)):
        seen: list[str] = []
        async with terminal(gate.daemon.socket, screen=6, agent=AGENT, size=size) as person:
            await at_audit(person)
            await filtered(person, "member:mallory decision:deny")
            await person.until("mallory · member")
            for _ in HOSTILE:
                await person.press("j")
                await person.pilot.pause(0.06)
                shown = person.shown
                raw = person.app.export_screenshot()
                hidden = [ascii(char) for char in "\x1b\x07\x9b\u202e\u200d" if char in raw]
                assert hidden == []
                lines = shown.splitlines()
                assert len(lines) == size[1]
                assert all(line.endswith(("│", "╮", "╯")) for line in lines[2:-1] if line.strip())
                seen.append(shown)
        assert any("desk.[bold red]markup[/] [link=x]" in shown for shown in seen)
