"""A message that names a command names one that exists: what mends a refusal can be typed."""

import ast
import re
from pathlib import Path

import pytest

from tests.pending import PENDING
from tests.support.commands import commands, is_command

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "wicketd").rglob("*.py"), *(ROOT / "wicket_tui").rglob("*.py")])
# A command is the whole hint, or it stands in quotes; variable parts end the text.
COMMAND = re.compile(r"""(?:^|")(wicketd?(?: [a-z][a-z-]*)+)""")


def named(source: str) -> set[str]:
    """Commands in the texts of a module, docstrings left out."""
    tree = ast.parse(source)
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]
    return {found for text in texts for found in COMMAND.findall(text)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_a_message_exists(path: Path) -> None:
    known = {*commands("wicket"), *commands("wicketd"), *PENDING}
    wrong = [
        text for text in named(path.read_text(encoding="utf-8")) if not is_command(text, known)
    ]
    assert not wrong


def test_messages_do_name_commands() -> None:
    found = {text for path in SOURCES for text in named(path.read_text(encoding="utf-8"))}
    assert {"wicket catalogue list", "wicket service discover"} <= found
