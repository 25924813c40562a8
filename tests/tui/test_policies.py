"""The list of policies before a real daemon with a real upstream: what it shows, what keys do."""

from collections.abc import Iterator

import pytest

from tests.support.daemon import RunningDaemon
from tests.support.policy_desk import desk, shown, written
from tests.support.terminal import Terminal, ask, terminal
from wicket_tui.screens.policies import effects
from wicketd.api import policy_endpoints
from wicketd.api.types import policies


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    with desk(tmp_path_factory.mktemp("policies")) as running:
        yield running


async def choose(person: Terminal, key: str) -> None:
    """Puts the cursor on a policy."""
    await person.until("baseline-f", key, "online")
    await person.press("slash")
    await person.type(key)
    await person.press("enter")
    await person.until("1 match", f"─ {key} ─")


async def test_state_effect_and_hits_are_listed(daemon: RunningDaemon) -> None:
    await written(daemon.socket, "listed")
    ref = policies.PolicyMode(agent="home", policy="listed", mode="shadow")
    now = await ask(
        daemon.socket,
        policy_endpoints.POLICY_SHOW,
        policies.PolicyRef(agent="home", policy="listed"),
    )
    async with terminal(daemon.socket, screen=4, agent="home", size=(120, 36)) as person:
        await person.until("listed", "forbid", "✓ enforced")
        await person.until("hits     0 in 7 days")
        await ask_mode(daemon, ref, now.policy_revision)
        await person.until("~ shadow", "1 shadow")


async def ask_mode(daemon: RunningDaemon, request: policies.PolicyMode, revision: int) -> None:
    """Changes the mode beside the app."""
    from wicketd.api.client import AdminClient

    async with AdminClient(daemon.socket) as client:
        await client.call(policy_endpoints.POLICY_MODE, request, match=revision)


async def test_a_policy_is_turned_off_and_on_after_a_question(daemon: RunningDaemon) -> None:
    await written(daemon.socket, "switched")
    async with terminal(daemon.socket, screen=4, agent="home") as person:
        await choose(person, "switched")
        await person.press("space")
        await person.until("Disable switched.", "wicket policy disable home switched")
        await person.press("enter")
        assert (await shown(daemon.socket, "switched")).enabled
        await person.press("space", "tab", "enter")
        await person.until("· off")
        assert not (await shown(daemon.socket, "switched")).enabled
        await person.press("space")
        await person.until("Enable switched.")
        await person.press("tab", "enter")
        await person.until("✓ enforced", gone=("· off",))
        assert (await shown(daemon.socket, "switched")).enabled


async def test_a_policy_is_watched_instead_of_enforced(daemon: RunningDaemon) -> None:
    await written(daemon.socket, "watched")
    async with terminal(daemon.socket, screen=4, agent="home") as person:
        await choose(person, "watched")
        await person.press("m")
        await person.until("watched goes to shadow.")
        await person.press("tab", "enter")
        await person.until("~ shadow", "would deny 0 and allow 0")
        assert (await shown(daemon.socket, "watched")).mode == "shadow"


async def test_deleting_a_policy_wants_its_key(daemon: RunningDaemon) -> None:
    await written(daemon.socket, "leaving")
    async with terminal(daemon.socket, screen=4, agent="home") as person:
        await choose(person, "leaving")
        await person.press("D")
        await person.until("Type leaving to go on")
        await person.type("leaving")
        await person.press("tab", "tab", "enter")
        await person.until("leaving is deleted")
    found = await ask(
        daemon.socket, policy_endpoints.POLICY_LIST, policies.PolicyList(agent="home")
    )
    assert "leaving" not in [one.key for one in found.items]


async def test_the_history_says_who_changed_what(daemon: RunningDaemon) -> None:
    await written(daemon.socket, "told")
    async with terminal(daemon.socket, screen=4, agent="home", size=(120, 36)) as person:
        await person.until("told")
        await person.press("h")
        await person.until("Revisions of home", "told@1", "uid:")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("permit (principal, action, resource);", "permit"),
        ("forbid (principal, action, resource);" * 2, "2 forbid"),
        ("permit (principal, action, resource); forbid (principal", "1 permit, 1 forbid"),
        ("", ""),
    ],
)
def test_what_a_text_does_is_said_in_words(text: str, said: str) -> None:
    assert effects(text) == said
