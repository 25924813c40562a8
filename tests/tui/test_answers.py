"""What was asked is what is done: dialogs over a list that moves, accounts, themes, tool tiers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.admin_cases import prepared
from tests.support.administered import administered
from tests.support.daemon import RunningDaemon
from tests.support.screen import runs
from tests.support.terminal import Terminal, ask, daemon_process, terminal
from wicket_tui.screens.tools import next_tier
from wicketd.api import endpoints
from wicketd.api.types import accounts, agents, invites, members


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    with daemon_process(tmp_path_factory.mktemp("tui")) as running:
        for key in ("deploy", "switched"):
            running.run("wicket_tui", "agent", "create", key, "--name", key.title())
        yield running


def is_listed(person: Terminal, name: str) -> bool:
    """Whether the screen under a dialog has a member of this name."""
    frame = person.app.frame
    return frame is not None and any(one.member.principal == name for one in frame.data or ())


async def test_a_yes_is_not_carried_over_to_the_next_row(daemon: RunningDaemon) -> None:
    for name in ("kept", "leaving"):
        await ask(daemon.socket, endpoints.MEMBER_ADD, members.MemberAdd(agent="deploy", name=name))
    leaving = members.MemberRef(agent="deploy", member="leaving")
    async with terminal(daemon.socket, screen=5, agent="deploy") as person:
        await person.until("leaving", "online")
        await person.press("G", "D")
        await person.until("Type leaving to go on")
        await ask(daemon.socket, endpoints.MEMBER_REMOVE, leaving)
        await person.until_true(lambda _: not is_listed(person, "leaving"), "the list to move")
        await person.type("leaving")
        await person.press("tab", "tab", "enter")
        await person.until("nothing was done")
    kept = members.MemberRef(agent="deploy", member="kept")
    assert (await ask(daemon.socket, endpoints.MEMBER_SHOW, kept)).state == "approved"


async def test_a_yes_to_disable_never_enables(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=2) as person:
        await person.until("switched", "online")
        await person.press("G", "K")
        await person.until("Disable switched.")
        off = agents.AgentStatusSet(agent="switched", status="disabled")
        await ask(daemon.socket, endpoints.AGENT_STATUS, off)
        frame = person.app.frame
        assert frame is not None
        await person.until_true(lambda _: frame.chosen()["state"] == "disabled", "the change")
        await person.press("tab", "enter")
        await person.until("nothing was done")
    switched = agents.AgentRef(agent="switched")
    assert (await ask(daemon.socket, endpoints.AGENT_SHOW, switched)).status == "disabled"


async def status_of(socket: Path, email: str) -> str:
    found = await ask(socket, endpoints.ACCOUNT_SHOW, accounts.AccountRef(account=email))
    return str(found.account.status)


async def test_a_blocked_account_is_shown_and_offered_to_be_unblocked(
    daemon: RunningDaemon,
) -> None:
    email = "zoe@example.org"
    invite = invites.InviteCreate(agent="switched", email=email)
    await ask(daemon.socket, endpoints.INVITE_CREATE, invite)
    async with terminal(daemon.socket, screen=5, agent="switched") as person:
        await person.until(email)
        await person.press("b")
        await person.until(f"Block {email}:", f"wicket account block {email}")
        await person.press("tab", "enter")
        await person.until("✗ blocked")
        assert await status_of(daemon.socket, email) == "blocked"
        await person.press("b")
        await person.until(f"Unblock {email}:", f"wicket account unblock {email}")
        await person.press("tab", "enter")
        await person.until("is unblocked", gone=("✗ blocked",))
        assert await status_of(daemon.socket, email) == "active"


async def test_a_theme_reaches_the_screens_that_were_shown_before(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, agent="deploy") as person:
        await person.until("✓ 0 allowed")
        await person.press("2")
        await person.until("✓ active")
        await person.press("T", "j", "enter", "1")
        await person.until("✓ 0 allowed")
        green = {run.colour for run in runs(person.app) if "allowed" in run.text}
        assert green == {person.app.theme_variables["allow"]}


async def test_a_tier_is_overridden_and_given_back_by_its_key(tmp_path: Path) -> None:
    async with administered(tmp_path) as there:
        await prepared(there, "service.tier")
        own = await there.state.services.tools("demo", "notes")
        async with terminal(there.socket, screen=3, agent="demo") as person:
            await person.until("✓ enabled")
            await person.press("t")
            await person.until("Tools of notes", "search_notes")
            await person.press("space")
            await person.until("override")
            found = await there.state.services.tools("demo", "notes")
            changed = [(old, new) for old, new in zip(own, found, strict=True) if old != new]
            assert [(old.tier, new.tier) for old, new in changed] == [("write", "destructive")]
            await person.press("space")
            await person.until("Tier?", "create_note is destructive. With the tier of its")
            await person.press("enter")
            await person.until("override", gone=("Tier?",))
            assert await there.state.services.tools("demo", "notes") == found
            await person.press("space", "tab", "enter")
            await person.until("Tools of notes", gone=("override",))
            assert await there.state.services.tools("demo", "notes") == own


@pytest.mark.parametrize(
    ("tier", "source", "wanted"),
    [
        ("destructive", "default", "read"),
        ("read", "override", "write"),
        ("write", "override", "destructive"),
        ("destructive", "override", None),
    ],
)
def test_a_tier_ends_where_it_began(tier: str, source: str, wanted: str | None) -> None:
    assert next_tier(tier, source) == wanted


async def test_a_change_is_accepted_after_the_question(tmp_path: Path) -> None:
    async with administered(tmp_path) as there:
        await prepared(there, "service.ack")
        async with terminal(there.socket, screen=3, agent="demo") as person:
            await person.until("? flagged")
            await person.press("v")
            await person.until("Open changes of notes", "search_notes", "+++ new")
            await person.press("a")
            await person.until("Accept the new definition of search_notes")
            await person.press("tab", "enter")
            await person.until("Nothing waits for a review.")
