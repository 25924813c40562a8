"""What every command of `wicketd` shares: the configuration it finds, and how it ends.

Counterpart of `cli` and `connector_commands`, which hold the commands.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from wicketd import config as configuration
from wicketd.config import Config
from wicketd.domain.errors import (
    ConfigInvalid,
    Fatal,
    Forbidden,
    KeyringInvalid,
    SchemaTooNew,
    SecondInstance,
    StorageBroken,
    WicketError,
)

EXITS: Final = (
    (SecondInstance, 73),
    (SchemaTooNew, 74),
    (StorageBroken, 74),
    (KeyringInvalid, 78),
    (ConfigInvalid, 78),
    (Forbidden, 77),
    (Fatal, 70),
)
"""Exit code by error class, the first that fits."""
USAGE: Final = 2
INTERNAL: Final = 70
NO_PERMISSION: Final = 77
"""Whatever the class: the operating system said no."""

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The configuration file.", show_default=False)
]


def load(named: Path | None) -> tuple[Config, Path | None]:
    """The configuration of this host, or of the file that was named, and where it was read.

    Raises:
        ConfigInvalid: it is refused.
    """
    state = os.environ.get("WICKET_STATE_DIR")
    file = named or configuration.find(Path(state) if state else None)
    return configuration.load(file, dict(os.environ)), file


@contextmanager
def explained() -> Iterator[None]:
    """Turns an error into one sentence, its hint and the exit code of its class."""
    try:
        yield
    except WicketError as error:
        tell(error)
        raise typer.Exit(exit_of(error)) from error


def tell(error: WicketError) -> None:
    """Prints an error and its hint on stderr."""
    typer.echo(f"wicketd: {error.message}", err=True)
    if error.hint:
        typer.echo(f"  {error.hint}", err=True)


def exit_of(error: WicketError) -> int:
    """The exit code of an error."""
    if isinstance(error.__cause__, PermissionError):
        return NO_PERMISSION
    for kind, code in EXITS:
        if isinstance(error, kind):
            return code
    return 1
