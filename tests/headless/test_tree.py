"""The command tree is what product specification 11 lists for this release."""

import inspect
from typing import Any

import pytest
import typer

from tools.docs import leaves
from wicket_tui.cli import app
from wicketd.api.endpoints import ENDPOINTS, Endpoint

COMMANDS = {
    name.removeprefix("wicket "): leaf
    for name, leaf in leaves("wicket", typer.main.get_command(app))
}
COMMON = {"json", "no_color", "socket", "timeout", "yes"}

EXPECTED = """
status whoami config keyring keys stats events why panic offboard
agent: list show create edit disable enable delete
service: list show enable disable remove discover tools tier drift ack
service: credentials credentials-clear
catalogue: list show reload
member: list show add edit approve reject remove
invite: list create resend revoke
account: list show block unblock sign-out reset-mfa link
key: list issue revoke snippet
connection: list set connect discard
policy: list show create save enable disable delete mode versions rollback touches
policy: check format schema revisions simulate replay recipe diff export import edit test coverage
session: list show reset
audit: list tail show reveal prove facets export checkpoint to-test
"""


def expected() -> set[str]:
    names: set[str] = set()
    for line in EXPECTED.strip().splitlines():
        noun, colon, verbs = line.partition(": ")
        names |= {f"{noun} {verb}" for verb in verbs.split()} if colon else set(noun.split())
    return names


def test_the_tree_is_what_is_listed() -> None:
    assert set(COMMANDS) == expected()


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.name)
def test_each_endpoint_has_its_command(row: Endpoint[Any, Any]) -> None:
    assert row.command in COMMANDS


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_is_explained_and_takes_the_common_options(name: str) -> None:
    leaf = COMMANDS[name]

    assert inspect.cleandoc(leaf.help or "").endswith(".")
    assert {param.name for param in leaf.params} >= COMMON


def test_no_option_takes_a_secret() -> None:
    words = {
        (name, param.name)
        for name, leaf in COMMANDS.items()
        for param in leaf.params
        if any(word in (param.name or "") for word in ("token", "secret", "password", "key_text"))
        and not getattr(param, "is_flag", False)
    }

    assert words == set()
