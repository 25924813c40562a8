"""The command trees of the two programs, read off their Typer apps."""

import importlib
import importlib.util
from collections.abc import Collection, Iterator
from typing import Any

import typer

MODULES = {"wicket": "wicket_tui.cli", "wicketd": "wicketd.cli"}


def commands(program: str) -> set[str]:
    """Full names of the program's commands; none while its module does not exist."""
    if importlib.util.find_spec(MODULES[program]) is None:
        return set()
    module = importlib.import_module(MODULES[program])
    return set(_leaves(program, typer.main.get_command(module.app)))


def _leaves(name: str, node: Any) -> Iterator[str]:
    children = getattr(node, "commands", None)
    if children is None:
        yield name
        return
    for child in children:
        yield from _leaves(f"{name} {child}", children[child])


def is_command(words: str, among: Collection[str]) -> bool:
    """Whether a text such as "wicket member list A" begins with a command's full name."""
    parts = words.split()
    return any(" ".join(parts[:count]) in among for count in (2, 3))
