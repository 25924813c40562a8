"""`wicket policy simulate`: what a call would be answered, and why.

The commands belong to the noun `policy`, whose app they extend.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer

from wicket_tui.headless.arguments import AgentArg
from wicket_tui.headless.command import Shell, command
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import cell
from wicket_tui.headless.policy import app
from wicket_tui.headless.stdin import InputFailed, text_of
from wicketd.api import simulation_endpoints as endpoints
from wicketd.api.text import safe_text
from wicketd.api.types import simulations

__all__ = ["app"]

DraftOpt = Annotated[
    str | None, typer.Option("--draft", metavar="F", help="A Cedar text to try: file, or -.")
]
RecordOpt = Annotated[
    str | None, typer.Option("--policy", metavar="P", help="The policy that the draft replaces.")
]

_MARKS = {"true": "✓", "satisfied": "✓", "false": "✗", "unsatisfied": "✗", "error": "!"}
_TEXT = 240


@command(app, "simulate")
async def simulate(  # noqa: PLR0913  # one parameter an option
    shell: Shell,
    agent: AgentArg,
    *,
    member: Annotated[str, typer.Option("--member", help="Who would call.")],
    tool: Annotated[str, typer.Option("--tool", help="As clients name it: service__tool.")],
    args: Annotated[str, typer.Option("--args", metavar="JSON", help="Its arguments.")] = "{}",
    entry: Annotated[
        str | None, typer.Option("--entry", metavar="REF", help="Arguments of an audit entry.")
    ] = None,
    draft: DraftOpt = None,
    policy: RecordOpt = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Such as 2026-01-31T12:00:00Z.")
    ] = None,
    ip: Annotated[str, typer.Option("--ip", help="From where.")] = "127.0.0.1",
    calls: Annotated[int, typer.Option("--calls", min=0, help="Calls before, in session.")] = 0,
    denials: Annotated[int, typer.Option("--denials", min=0, help="Denials before.")] = 0,
) -> Exit | None:
    """Decide a call that nobody makes, with a tree of why. Exit 9 when it is denied."""
    if policy is not None and draft is None:
        message = "--policy names what a draft replaces. Give the draft with --draft too."
        raise InputFailed(message)
    request = simulations.Simulate(
        agent=agent,
        member=member,
        tool=tool,
        arguments=_arguments(args),
        entry=entry,
        time=at,
        ip=ip,
        session=simulations.SessionCounters(calls=calls, denials=denials),
        draft=None if draft is None else simulations.DraftText(text=text_of(draft), policy=policy),
    )
    found = await shell.call(endpoints.SIMULATE, request)
    shell.show(found, "\n".join(_lines(found)))
    decided = found.after or found.now
    return None if decided.decision == "ALLOW" else Exit.NEGATIVE


def _arguments(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogateescape"), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError) as error:
        message = f'The arguments are no JSON object: {error}. Write such as \'{{"path":"a"}}\'.'
        raise InputFailed(message) from error


def _lines(found: simulations.Simulated) -> Iterator[str]:
    if found.after is None:
        yield from _explained(found.now, "Decision")
        return
    yield from _explained(found.now, "Without the draft")
    yield ""
    yield from _explained(found.after, "With the draft")


def _explained(one: simulations.Explanation, head: str) -> Iterator[str]:
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
    yield f"  {_mark(one.outcome)} {one.effect} {name}{shadow}"
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
    yield f"{'  ' * depth}{_mark(part.outcome)} {text}{tail}{error}"
    for child in part.children:
        yield from _part(child, depth + 1)


def _mark(outcome: str) -> str:
    return _MARKS.get(outcome, "·")
