"""From the command of a client's configuration to an argument list that no shell ever reads. Pure.

What a shell would have interpreted is refused where it could matter and stays a plain argument
elsewhere. A secret among the arguments is taken out: every process of the host can read them.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from wicketd.connectors.rules import BrokenRule
from wicketd.connectors.secret_marks import is_secret, is_secret_value

PATH: Final = "/usr/local/bin:/usr/bin:/bin"
"""What a server is started with (protocol spec, 4.6)."""
_SHELL_CHARACTERS: Final = re.compile(r"[|&;<>()$`\\\"'*?\[\]#~!{}\n]")
_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "fish", "ksh", "cmd", "cmd.exe"})
REFERENCE: Final = re.compile(r"\$\{[^{}]*\}")
"""A value that only the client knows, such as `${input:token}`."""
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_PASSING: Final = frozenset({"-e", "--env"})
"""Flags by which container engines take `NAME=value`, or `NAME` from their own environment."""
_LENGTH_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Command:
    """An argument list without secrets.

    `variables`: the variables that carry what was taken out; `where`: how each stood there.
    """

    argv: tuple[str, ...]
    variables: tuple[str, ...] = ()
    where: tuple[str, ...] = ()


def command_of(
    words: Sequence[str], find: Callable[[str], str | None], variable: str | None = None
) -> Command:
    """The command as it will be run. `find`: a program's path, None if there is none.

    `variable`: where the server takes the secret from that stands in its arguments now.

    Raises:
        BrokenRule: a shell, a path that cannot be found, a reference, a secret without `variable`.
    """
    program, *rest = _split(words)
    for word in (program, *rest):
        _require_plain(word)
    path = _path(program, find)
    argv, variables, where = [path], list[str](), list[str]()
    for kept, secret in _sorted_out(rest):
        argv += kept
        if secret:
            where.append(secret.where)
            variables.append(secret.variable or variable or "")
    if not all(variables):
        raise BrokenRule(
            "args",
            f"hold a secret ({where[variables.index('')]}), which every process of this host could "
            "read; name the variable that the server takes it from by --secret-env NAME, or move "
            "it to env",
        )
    return Command(tuple(argv), tuple(dict.fromkeys(variables)), tuple(where))


def shown(argv: Sequence[str]) -> str:
    """The list as a shell would need it quoted: what somebody is asked about."""
    return shlex.join(argv)


@dataclass(frozen=True, slots=True)
class _Taken:
    where: str
    variable: str | None = None


def _split(words: Sequence[str]) -> list[str]:
    """A command written as one line becomes words, if nothing in it means something to a shell."""
    program, rest = words[0].strip(), list(words[1:])
    if " " in program and not PurePosixPath(program).is_absolute():
        if _SHELL_CHARACTERS.search(program):
            raise BrokenRule(
                "command",
                "holds characters that only a shell understands, and no shell is started; give the "
                "program as command and its arguments as args",
            )
        return [*program.split(), *rest]
    return [program, *rest]


def _path(program: str, find: Callable[[str], str | None]) -> str:
    name = PurePosixPath(program).name
    if name in _SHELLS:
        raise BrokenRule(
            "command",
            f"is a shell ({name}), which could run anything; name the program that it starts",
        )
    is_absolute = PurePosixPath(program).is_absolute()
    if not is_absolute and (_SHELL_CHARACTERS.search(program) or "/" in program):
        raise BrokenRule("command", "must be a program's name or an absolute path")
    path = find(program)
    if path is None:
        raise BrokenRule(
            "command", f"{program} is no program on this host; install it, or give its path"
        )
    return path


def _require_plain(word: str) -> None:
    if not word.isprintable() or len(word) > _LENGTH_MAX:
        raise BrokenRule("args", "hold control characters, or a text of more than 4,096 characters")


def _sorted_out(words: list[str]) -> Iterator[tuple[list[str], _Taken | None]]:
    """Each argument, or flag with its value, and what was taken out of it."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        flag, _, value = word.partition("=")
        if word in _PASSING and rest:
            yield _passed(word, rest.pop(0))
        elif flag in _PASSING and value:
            yield _passed(flag, value)
        elif REFERENCE.search(word) and not word.startswith("-"):
            raise _of_client(word)
        elif word.startswith("-") and value:
            yield ([], _Taken(flag)) if _is_kept_back(flag, value) else ([word], None)
        elif word.startswith("-") and _has_value(rest) and _is_kept_back(word, rest[0]):
            rest.pop(0)
            yield [], _Taken(word)
        elif is_secret_value(word):
            yield [], _Taken("an argument without a name")
        else:
            yield [word], None


def _has_value(rest: Sequence[str]) -> bool:
    return bool(rest) and not rest[0].startswith("-")


def _is_kept_back(flag: str, value: str) -> bool:
    if is_secret(flag.lstrip("-"), value):
        return True
    if REFERENCE.search(value):
        raise _of_client(value)
    return False


def _passed(flag: str, assignment: str) -> tuple[list[str], _Taken | None]:
    name, _, value = assignment.partition("=")
    if not value or not is_secret(name, value):
        if REFERENCE.search(value):
            raise _of_client(value)
        return [flag, assignment], None
    if not _VARIABLE.fullmatch(name):
        return [], _Taken(f"{flag} {name}")
    return [flag, name], _Taken(f"{flag} {name}", name)


def _of_client(word: str) -> BrokenRule:
    found = REFERENCE.search(word)
    return BrokenRule(
        "args", f"use {found[0] if found else word}, which only the client knows; write it out"
    )
