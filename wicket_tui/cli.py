"""The command line `wicket`: one Typer app, a sub-app a noun."""

from typing import Annotated, Final

import typer

from wicket_tui.headless import (
    account,
    agent,
    audit,
    catalogue,
    connection,
    expectations,
    general,
    invite,
    key,
    member,
    policy,
    policy_files,
    recipe,
    rehearsal,
    replay,
    service,
    session,
)
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import note, say
from wicketd import __version__

EXTENSIONS: Final = (policy_files, recipe, rehearsal, replay, expectations)
"""Modules that add their commands to the noun `policy`; importing them is enough."""

app = typer.Typer(
    name="wicket",
    help="Administers a running wicketd over its admin socket.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for name, nouns in (
    ("agent", agent),
    ("service", service),
    ("catalogue", catalogue),
    ("member", member),
    ("invite", invite),
    ("key", key),
    ("connection", connection),
    ("account", account),
    ("policy", policy),
    ("session", session),
    ("audit", audit),
):
    app.add_typer(nouns.app, name=name)
general.register(app)


@app.callback(invoke_without_command=True)
def bare(
    ctx: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Administers a running wicketd over its admin socket."""
    if ctx.invoked_subcommand is not None:
        return
    if version:
        say(__version__)
        return
    note("The terminal UI comes in a later release. See every command with: wicket --help")
    raise typer.Exit(Exit.USAGE)


def main() -> None:
    """Entry point of the `wicket` script."""
    app()
