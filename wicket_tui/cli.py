"""The command line `wicket`: one Typer app, a sub-app a noun."""

import os
import sys
from pathlib import Path
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
    touches,
)
from wicket_tui.headless.command import is_typed
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import note, say
from wicket_tui.options import Options, ThemeName
from wicket_tui.sockets import default_socket
from wicketd import __version__

EXTENSIONS: Final = (policy_files, recipe, rehearsal, replay, expectations, touches)
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
def bare(  # noqa: PLR0913  # one parameter an option
    ctx: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    socket: Annotated[
        Path | None,
        typer.Option("--socket", envvar="WICKET_SOCKET", help="Admin socket of the daemon."),
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="The agent to show.")] = None,
    screen: Annotated[
        int, typer.Option("--screen", min=1, max=8, help="The screen to begin with.")
    ] = 1,
    read_only: Annotated[bool, typer.Option("--read-only", help="Never write.")] = False,
    theme: Annotated[
        ThemeName | None,
        typer.Option("--theme", help="wicket-dark, wicket-light, blue-orange or ansi."),
    ] = None,
    no_mouse: Annotated[
        bool, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")
    ] = False,
    low_bandwidth: Annotated[
        bool, typer.Option("--low-bandwidth", help="Nothing moves by itself; for slow lines.")
    ] = False,
) -> None:
    """Administers a running wicketd over its admin socket; alone, as an app in the terminal."""
    if ctx.invoked_subcommand is not None:
        _refuse_options_of_the_app(ctx)
        return
    if version:
        say(__version__)
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        note(ctx.get_help())
        note("The app needs a terminal. Every action has a command: see above.")
        raise typer.Exit(Exit.USAGE)
    if os.environ.get("TERM", "dumb") == "dumb":
        note("TERM=dumb cannot show the app. Every action has a command: wicket --help")
        raise typer.Exit(Exit.USAGE)
    # Textual costs 270 ms, which no other command should wait for.
    from wicket_tui.start import start

    start(
        Options(
            socket=socket or default_socket(os.environ),
            agent=agent,
            screen=screen,
            read_only=read_only,
            theme=theme,
            mouse=not no_mouse,
            low_bandwidth=low_bandwidth,
        )
    )


def _refuse_options_of_the_app(ctx: typer.Context) -> None:
    """Before a command they would mean nothing: a `--read-only` that is ignored would write."""
    for name in ctx.params.keys() - {"socket", "version"}:
        if is_typed(ctx, name):
            note(f"--{name.replace('_', '-')} belongs to the app, which no command may follow.")
            raise typer.Exit(Exit.USAGE)


def main() -> None:
    """Entry point of the `wicket` script."""
    app()
