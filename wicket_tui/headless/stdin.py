"""What commands read from stdin or a file: policy texts, and secrets, which come no other way."""

import sys
from getpass import getpass
from pathlib import Path

from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import note

MAX_BYTES = 1024 * 1024


class InputFailed(Exception):
    """What was to be read cannot be. The message is a sentence."""

    exit = Exit.USAGE


def text_of(source: str) -> str:
    """The text of a file, or of stdin for `-`; UTF-8, at most 1 MiB.

    Raises:
        InputFailed: it cannot be read or is no such text.
    """
    try:
        data = _stdin() if source == "-" else _file(Path(source))
        return data.decode()
    except OSError as error:
        message = f"Cannot read {source}: {error.strerror}. Give a readable file, or - for stdin."
        raise InputFailed(message) from error
    except UnicodeDecodeError as error:
        message = f"{source} is not UTF-8. Save it as UTF-8 and try again."
        raise InputFailed(message) from error


def secret(prompt: str) -> str:
    """One secret: typed unseen at a terminal, else the first line of stdin.

    Raises:
        InputFailed: there is none.
    """
    typed = getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline(MAX_BYTES)
    value = typed.strip()
    if not value:
        message = "Nothing came on stdin. Pipe the secret in, or type it at the prompt."
        raise InputFailed(message)
    return value


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether a person agrees; `yes` answers for them, without a terminal it is no.

    A refusal tells how to go on.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        note(f"{question} Nobody can be asked here: repeat the command with --yes.")
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def typed_name(name: str, *, yes: bool) -> bool:
    """Whether a person typed the name of what is to be destroyed; `yes` types it for them."""
    if yes:
        return True
    if not sys.stdin.isatty():
        note(f'This destroys "{name}". Nobody can be asked here: repeat the command with --yes.')
        return False
    sys.stderr.write(f"This cannot be undone. Type {name} to go on: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == name


def _stdin() -> bytes:
    return _capped(sys.stdin.buffer.read(MAX_BYTES + 1))


def _file(path: Path) -> bytes:
    with path.open("rb") as stream:
        return _capped(stream.read(MAX_BYTES + 1))


def _capped(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        message = "This text is over 1 MiB. Give a shorter one."
        raise InputFailed(message)
    return data
