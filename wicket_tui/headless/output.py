"""What commands print: data on stdout, diagnostics on stderr, foreign text made visible.

With `--json` one document `{"version":1,"result":…}`, of streams one a line. Without, plain tables:
columns
two spaces apart, no borders, no colour. A failure is one sentence and one with the next step.
"""

import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from wicketd.api.errors import ErrorBody
from wicketd.api.text import safe_json, safe_message, safe_text
from wicketd.api.types.policies import Problem

VERSION: Final = 1
"""Raised when a field of the JSON output is removed or changes its meaning."""

Row = Sequence[object]


def table(heads: Sequence[str], rows: Sequence[Row]) -> str:
    """Rows under their heads, each column as wide as its widest cell, the last unpadded."""
    cells = [[head.upper() for head in heads], *([cell(value) for value in row] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(heads))]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )
    return "\n".join(lines)


def facts(pairs: Sequence[tuple[str, object]]) -> str:
    """One object as `name  value` lines."""
    width = max((len(name) for name, _ in pairs), default=0)
    return "\n".join(f"{name.ljust(width)}  {cell(value)}".rstrip() for name, value in pairs)


def cell(value: object) -> str:
    """A value in a table: `-` for nothing, words for booleans, lists by comma."""
    if value is None or value == "" or value == () or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{safe_text(str(k))}={safe_text(str(v))}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ",".join(safe_text(str(item)) for item in value)
    return safe_text(str(value))


def document(result: Any) -> str:
    """The JSON form of a result, indented."""
    return indented({"version": VERSION, "result": result})


def indented(value: Any) -> str:
    """A value as JSON for people."""
    return safe_json(msgspec.json.format(_encoded(value)).decode())


def json_line(result: Any) -> str:
    """The JSON form of one item of a stream."""
    return safe_json(_encoded({"version": VERSION, "result": result}).decode())


def say(text: str) -> None:
    """Prints data."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Prints a diagnostic."""
    sys.stderr.write(text + "\n")


def failure(body: ErrorBody, *, as_json: bool) -> str:
    """An error for stderr: the message, its findings, the next step."""
    if as_json:
        return safe_json(_encoded({"version": VERSION, "error": body}).decode())
    lines = [safe_message(body.message), *(_finding(detail) for detail in body.details)]
    if body.hint:
        lines.append(safe_message(body.hint))
    return "\n".join(lines)


def finding(problem: Problem) -> str:
    """One problem of a policy text: place, severity and code, message, fix."""
    place = f"{problem.line}:{problem.col}"
    message = safe_text(problem.message, limit=4096)
    return f"{place} {problem.severity}[{safe_text(problem.code)}] {message}{_fix(problem.fix)}"


def _fix(fix: object) -> str:
    """What would stand in the marked place; empty where nothing is proposed."""
    return f" Fix: {safe_text(str(fix), limit=4096)}" if fix else ""


def _finding(detail: dict[str, Any]) -> str:
    if "line" in detail and "message" in detail:
        place = f"{detail['line']}:{detail.get('col', 1)}"
        word = f"{detail.get('severity', 'error')}[{detail.get('code', '')}]"
        if "policy" in detail:
            place = f"{safe_text(str(detail['policy']))}:{place}"
        message = safe_text(str(detail["message"]), limit=4096)
        return f"  {place} {safe_text(word)} {message}{_fix(detail.get('fix'))}"
    return "  " + cell(detail)


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)
