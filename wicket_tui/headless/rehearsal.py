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
from wicket_tui.headless.policy import app
from wicket_tui.headless.stdin import InputFailed, text_of
from wicket_tui.reasons import explained
from wicketd.api import simulation_endpoints as endpoints
from wicketd.api.types import simulations

__all__ = ["app"]

DraftOpt = Annotated[
    str | None, typer.Option("--draft", metavar="F", help="A Cedar text to try: file, or -.")
]
RecordOpt = Annotated[
    str | None, typer.Option("--policy", metavar="P", help="The policy that the draft replaces.")
]


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
        yield from explained(found.now, "Decision")
        return
    yield from explained(found.now, "Without the draft")
    yield ""
    yield from explained(found.after, "With the draft")
