"""`wicketd connector new` and `import`: other people's servers become connector files.

A command parses, calls, prints and gives an exit code; `intake` decides. Source: product spec,
sections 6 and 11.
"""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wicketd.config import Config
from wicketd.domain.errors import BadRequest, ConfigInvalid, WicketError
from wicketd.shell import USAGE, ConfigOption, explained, load, tell

if TYPE_CHECKING:
    from wicketd.connectors.client_files import ClientFile, ServerEntry
    from wicketd.connectors.draft import Choices
    from wicketd.intake import Intake, Taken

_FILE_BYTES_MAX: Final = 4 * 1024 * 1024

connector_app = typer.Typer(help="Connector files of this host.", no_args_is_help=True)

NetworkOption = Annotated[
    list[str] | None,
    typer.Option("--allow-network", metavar="CIDR", help="A private network it may be in."),
]
SecretOption = Annotated[
    str | None,
    typer.Option("--secret-env", metavar="NAME", help="The variable it takes its secret from."),
]
ProbeOption = Annotated[
    bool, typer.Option("--probe/--no-probe", help="Ask the server what tools it has.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Agree to what is shown.")]


@connector_app.command("new")
def new(  # noqa: PLR0913  # one parameter an option
    target: Annotated[str, typer.Argument(metavar="URL|COMMAND", help="Address or program.")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[ARG]...", help="The program's arguments.")
    ] = None,
    config: ConfigOption = None,
    *,
    name: Annotated[str | None, typer.Option(help="What it is called; its key too.")] = None,
    header: Annotated[
        str | None, typer.Option(metavar="NAME", help="The header that its token stands in.")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="A variable of it.")
    ] = None,
    secret_env: SecretOption = None,
    allow_network: NetworkOption = None,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="A token for this once, on stdin.")
    ] = False,
    probe: ProbeOption = True,
    yes: YesOption = False,
) -> None:
    """Proposes a connector for one server and writes its file."""
    from wicketd.connectors.draft import Choices
    from wicketd.intake import Asking

    with explained():
        settings, _ = load(config)
        variables = _variables(env or [], secret_env)
        entry = _entry(target, words or [], name, header, variables)
        choices = Choices(shutil.which, tuple(allow_network or ()), secret_env)
        intake = _intake(settings, choices, "new", yes=yes)
        asking = Asking(probe, _token() if token_stdin else None)
        taken = intake.take(entry, asking)
        if taken is None:
            typer.echo("Nothing was written.")
            raise typer.Exit(1)
        _tell_next([taken])


@connector_app.command("import")
def take_in(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A client's configuration.")],
    config: ConfigOption = None,
    *,
    secret_env: SecretOption = None,
    allow_network: NetworkOption = None,
    probe: ProbeOption = True,
    yes: YesOption = False,
) -> None:
    """Makes one connector for each server that a client's configuration names."""
    from wicketd.connectors.client_files import parse
    from wicketd.connectors.draft import Choices

    with explained():
        settings, _ = load(config)
        found = parse(_read(file), str(file))
        choices = Choices(shutil.which, tuple(allow_network or ()), secret_env)
        intake = _intake(settings, choices, f"import {file.name}", yes=yes)
        taken, refused = _each(found, intake, f"{settings.url}/mcp", probe=probe)
        if taken:
            _tell_next(taken)
            _tell_replacement(found.client, settings)
        raise typer.Exit(1 if refused else 0)


def _each(
    found: "ClientFile", intake: "Intake", own_url: str, *, probe: bool
) -> tuple[list["Taken"], int]:
    """Takes in one server after the other; a refused one is told and leaves the others alone.

    Gives what was taken in, and how many were refused.
    """
    from wicketd.intake import Asking

    taken: list[Taken] = []
    refused = 0
    for entry in found.servers:
        if entry.url == own_url:
            typer.echo(f"{entry.name}: is this Wicket itself.")
            continue
        try:
            one = intake.take(entry, Asking(probe))
        except WicketError as error:
            tell(error)
            refused += 1
            continue
        if one is None:
            typer.echo("  not written")
        else:
            taken.append(one)
    return taken, refused


def _intake(settings: Config, choices: "Choices", origin: str, *, yes: bool) -> "Intake":
    from wicketd.intake import Dialogue, Intake
    from wicketd.services.connector_drafts import Shelf

    shelf = Shelf.of(Path(settings.services.connectors_dir))
    line = f"Written by `wicketd connector {origin}`: check tiers and targets before you enable it."
    return Intake(shelf, choices, Dialogue(typer.echo, _agreement(yes=yes)), line)


def _agreement(*, yes: bool) -> Callable[[str], bool]:
    def agree(question: str) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            typer.echo(f"{question} Say --yes: there is no terminal to ask.", err=True)
            raise typer.Exit(USAGE)
        return typer.confirm(question, default=False)

    return agree


def _entry(
    target: str,
    words: Sequence[str],
    name: str | None,
    header: str | None,
    env: Mapping[str, str],
) -> "ServerEntry":
    from wicketd.connectors.client_files import ServerEntry
    from wicketd.connectors.draft import name_of

    called = name or name_of(target, words)
    if "://" in target:
        if words or env:
            raise BadRequest("An address takes no arguments and no variables.")
        shape = "Bearer ${token}" if (header or "").lower() == "authorization" else "${token}"
        return ServerEntry(called, url=target, headers={header: shape} if header else {})
    if header:
        raise BadRequest("A command takes no header.", hint="Name its variable by --secret-env.")
    return ServerEntry(called, command=(target, *words), env=env)


def _variables(assignments: Sequence[str], secret: str | None) -> dict[str, str]:
    """`NAME=VALUE` as a table; the variable of the secret stands there by its name alone."""
    pairs = dict(each.partition("=")[::2] for each in assignments)
    return {**pairs, secret: f"${{{secret}}}"} if secret else pairs


def _token() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Token", hide_input=True))
    return sys.stdin.readline().strip()


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(_FILE_BYTES_MAX + 1)
        if len(data) > _FILE_BYTES_MAX:
            raise ConfigInvalid(f"{file} is larger than 4 MiB: that is no client's configuration.")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigInvalid(f"Cannot read {file}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"{file} is no UTF-8 text.") from error


def _tell_next(taken: "Sequence[Taken]") -> None:
    from wicketd.intake import next_steps

    for one in taken:
        if one.path is not None:
            typer.echo(f"written {one.path}")
    typer.echo("Next:")
    for line in next_steps(taken):
        typer.echo(f"  {line}")


def _tell_replacement(client: str, settings: Config) -> None:
    from wicketd.api.snippets import PLACES, snippets

    typer.echo(
        f"What replaces these servers in the client, once a member has a key ({PLACES[client]}):"
    )
    typer.echo(snippets(f"{settings.url}/mcp")[client])
