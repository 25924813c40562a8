"""Why a call is decided as it is, as lines of text: decision, statements, their parts.

Pure; the command line prints them, the app colours them. Counterpart of the answer of `simulate`.
"""

from collections.abc import Iterator
from typing import Final

from wicket_tui.headless.output import cell
from wicketd.api.text import safe_text
from wicketd.api.types import simulations

MARKS: Final = {"true": "✓", "satisfied": "✓", "false": "✗", "unsatisfied": "✗", "error": "!"}
_TEXT: Final = 240


def explained(one: simulations.Explanation, head: str) -> Iterator[str]:
    """The lines of an explanation; `head`: what it is of. Every line is safe to show."""
    yield f"{head}: {one.decision} ({safe_text(one.reason)})"
    if one.determining:
        names = [f"{d.policy}@{d.version or 'draft'} #{d.statement}" for d in one.determining]
        yield f"  by        {cell(names)}"
    if one.messages:
        yield f"  says      {safe_text('; '.join(one.messages), limit=_TEXT)}"
    if one.pointer is not None:
        yield f"  argument  {safe_text(one.pointer)}: expected {safe_text(one.expected or '')}"
    for error in one.errors:
        yield f"  error     {safe_text(error, limit=_TEXT)}"
    yield f"  the tool is {'listed for' if one.listed else 'hidden from'} this member"
    if one.request is not None:
        yield f"  principal {safe_text(one.request.principal)}"
        yield f"  action    {safe_text(one.request.action)}"
        yield f"  resource  {safe_text(one.request.resource)}"
    for statement in one.statements:
        yield from _statement(statement)
    if one.elsewhere:
        yield f"  {one.elsewhere} other statements are about other tools"


def _statement(one: simulations.StatementTree) -> Iterator[str]:
    name = f"{safe_text(one.policy)}@{one.version or 'draft'} #{one.statement}"
    shadow = ", only watched" if one.mode == "shadow" else ""
    yield f"  {mark(one.outcome)} {one.effect} {name}{shadow}"
    for part in one.parts:
        yield from _part(part, 3)


def _part(part: simulations.ConditionPart, depth: int) -> Iterator[str]:
    """Connectives by name, what they join below; a leaf by its text and what it read."""
    text = part.kind if part.children else safe_text(" ".join(part.text.split()), limit=_TEXT)
    read = ", ".join(
        f"{safe_text(name)} = {'absent' if value is None else cell(value)}"
        for name, value in part.values.items()
    )
    error = f" ({safe_text(part.error, limit=_TEXT)})" if part.error else ""
    is_said = read and part.kind not in {"principal", "action"}
    tail = f"  [{read}]" if is_said else ""
    yield f"{'  ' * depth}{mark(part.outcome)} {text}{tail}{error}"
    for child in part.children:
        yield from _part(child, depth + 1)


def mark(outcome: str) -> str:
    """The sign of an outcome: of a statement, or of a part of one."""
    return MARKS.get(outcome, "·")
