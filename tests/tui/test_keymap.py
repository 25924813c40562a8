"""The registry is whole: each action is explained, reachable, and has its command."""

import pytest

from tests.support.commands import commands
from wicket_tui.actions import Action, Here, clashes, refusal, remapped, twin_of
from wicket_tui.app import WicketApp
from wicket_tui.keymap import ACTIONS, BY_ID, EVERYWHERE, FOOTER, footer_of
from wicketd.api.endpoints import ENDPOINTS

BY_NAME = {row.name: row for row in ENDPOINTS}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_an_action_has_a_key_a_label_and_a_sentence(action: Action) -> None:
    assert action.keys
    assert action.label
    assert action.help.endswith(".")


@pytest.mark.parametrize(
    "action", [a for a in ACTIONS if a.permission != "none"], ids=lambda action: action.id
)
def test_an_action_of_the_daemon_names_endpoint_and_command(action: Action) -> None:
    assert action.endpoint is not None
    row = BY_NAME[action.endpoint]
    assert row.permission == action.permission
    assert action.twin is not None
    words = [word for word in action.twin.split() if not word.startswith(("{", "-"))]
    noun = f"wicket {' '.join(words[:2])}".strip()
    if "{" not in action.twin.split()[1 if len(action.twin.split()) > 1 else 0]:
        known = commands("wicket")
        assert noun in known or f"wicket {words[0]}" in known


@pytest.mark.parametrize("action", [a for a in ACTIONS if a.danger], ids=lambda action: action.id)
def test_what_is_dangerous_says_what_will_happen(action: Action) -> None:
    assert action.asks
    assert bool(action.word) == (action.danger == 2)


def test_no_key_means_two_things() -> None:
    assert clashes(ACTIONS, {}) == []


def test_a_clash_is_found() -> None:
    assert clashes(ACTIONS, {"member.approve": ("r",)}) == [
        "r means member.approve and member.reject on members"
    ]


def test_own_keys_are_read_and_wrong_ones_named() -> None:
    keys, wrong = remapped({"member.approve": "f7, a", "no.such": "x", "log.open": 7}, BY_ID)
    assert keys == {"member.approve": ("f7", "a")}
    assert len(wrong) == 2


@pytest.mark.parametrize("screen", list(WicketApp.SCREENS))
def test_a_footer_is_short_and_ends_with_help(screen: str) -> None:
    offered = footer_of(screen)
    assert len(offered) <= FOOTER
    assert offered[-1].id == "help.open"
    dangers = [action.danger for action in offered]
    own = dangers[: len([a for a in offered if a not in EVERYWHERE])]
    assert own == sorted(own)


@pytest.mark.parametrize("screen", list(WicketApp.SCREENS))
def test_every_action_of_a_screen_has_its_method(screen: str) -> None:
    kind = WicketApp.SCREENS[screen]
    own = [action for action in ACTIONS if screen in action.where]
    assert [a.id for a in own if not hasattr(kind, a.method)] == []


def test_every_action_of_all_screens_has_its_method() -> None:
    moves = [a for a in EVERYWHERE if not a.id.startswith("go.") or a.id == "go.back"]
    assert [a.id for a in moves if not hasattr(WicketApp, a.method)] == []


def test_a_command_is_quoted_for_a_shell() -> None:
    values = {"agent": "a b", "member": "$(reboot)@x"}
    assert twin_of(BY_ID["member.approve"], values) == ("wicket member approve 'a b' '$(reboot)@x'")


def test_a_refused_action_names_the_next_step() -> None:
    action = BY_ID["member.approve"]
    chosen = {"agent": "a", "member": "m", "state": "pending"}
    assert refusal(action, Here("members", chosen, can_write=True, is_online=True)) is None
    assert "ctrl+r" in str(refusal(action, Here("members", chosen, can_write=True)))
    assert "wicket-admin" in str(refusal(action, Here("members", chosen, is_online=True)))
    approved = {**chosen, "state": "approved"}
    assert "pending" in str(refusal(action, Here("members", approved, True, True)))
