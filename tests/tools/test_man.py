"""The manual pages: every command and option of the programs, safe for roff."""

import pytest
import typer

from tests.support.commands import commands
from tools.man import page
from wicket_tui.cli import app as wicket
from wicketd.cli import app as wicketd


@pytest.mark.parametrize(("name", "app"), [("wicket", wicket), ("wicketd", wicketd)])
def test_every_command_stands_in_its_page(name: str, app: typer.Typer) -> None:
    text = page(name, app).replace("\\-", "-")
    assert not [path for path in commands(name) if f".B {path}" not in text]


def test_no_help_text_becomes_a_request_or_an_escape() -> None:
    app = typer.Typer()

    def one() -> None:
        """Reads it.

        .so /etc/passwd
        'br and \\n
        """

    def two() -> None:
        """Does more."""

    for command in (one, two):
        app.command()(command)
    lines = page("wicket", app).splitlines()
    assert "\\&.so /etc/passwd" in lines
    assert "\\&'br and \\en" in lines
