"""`wicket policy replay`: a window of the audit decided once more.

The command belongs to the noun `policy`, whose app it extends.
"""

import asyncio
from collections.abc import Iterator
from typing import Annotated

import typer

from wicket_tui.headless.arguments import AgentArg, UntilOpt
from wicket_tui.headless.command import Shell, command
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import cell, note, table
from wicket_tui.headless.policy import app
from wicket_tui.headless.stdin import InputFailed, text_of
from wicketd.api import simulation_endpoints as endpoints
from wicketd.api.text import safe_message, safe_text
from wicketd.api.types import replays
from wicketd.api.types.simulations import DraftText

WAIT_S = 5
HEADS = ("time", "ref", "member", "tool", "before", "today", "after", "flip", "by")


@command(app, "replay")
async def replay(  # noqa: PLR0913  # one parameter an option
    shell: Shell,
    agent: AgentArg,
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="D", help="Such as 7d, or 2026-01-31T12:00:00Z.")
    ],
    until: UntilOpt = None,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="P", help="As if this policy were enforced.")
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="An older version of it.")
    ] = None,
    draft: Annotated[
        str | None, typer.Option("--draft", metavar="F", help="A text in its place, or beside it.")
    ] = None,
    fail_on_flip: Annotated[
        bool, typer.Option("--fail-on-flip", help="Exit 9 if a decision changes.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Each row under its own policies; exit 1 on a fault.")
    ] = False,
    rows: Annotated[
        int, typer.Option("--rows", min=0, max=500, help="Changed rows to print.")
    ] = 20,
) -> Exit | None:
    """Decide recorded calls once more; nothing is changed. Interrupting it cancels it."""
    if draft is not None and version is not None:
        message = "--version names a saved text. Give it, or a draft, not both."
        raise InputFailed(message)
    text = None if draft is None else DraftText(text=text_of(draft), policy=policy)
    request = replays.ReplayCreate(
        agent=agent,
        since=since,
        until=until,
        draft=text,
        policy=policy if draft is None else None,
        version=version,
        verify=verify,
    )
    found = await _over(shell, await shell.call(endpoints.REPLAY_CREATE, request))
    changed = await _changed(shell, found, rows, verify=verify)
    lines = _verified(found, changed) if verify else _lines(found, changed)
    shell.show({"replay": found, "rows": changed}, "\n".join(lines))
    if found.state != "done":
        note(safe_message(f"The replay is not whole. {found.error or 'It was cancelled.'}"))
        return Exit.FAILED
    if found.faults:
        note("The log and its policies do not agree. Run wicketd audit verify on this host.")
        return Exit.FAILED
    return Exit.NEGATIVE if fail_on_flip and found.changed else None


async def _over(shell: Shell, found: replays.Replay) -> replays.Replay:
    """The replay once it is over; whoever interrupts the wait ends it."""
    asked = replays.ReplayShow(replay=found.id, wait=WAIT_S)
    try:
        while found.state == "running":
            found = await shell.call(endpoints.REPLAY_SHOW, asked)
    except (asyncio.CancelledError, KeyboardInterrupt):
        await shell.call(endpoints.REPLAY_CANCEL, replays.ReplayRef(replay=found.id))
        raise
    return found


async def _changed(
    shell: Shell, found: replays.Replay, limit: int, *, verify: bool
) -> tuple[replays.ReplayRow, ...]:
    if limit == 0:
        return ()
    every = replays.ReplayRows(replay=found.id, limit=limit)
    asked = every if verify else replays.ReplayRows(replay=found.id, only="changed", limit=limit)
    return (await shell.call(endpoints.REPLAY_ROWS, asked)).items


def _verified(found: replays.Replay, rows: tuple[replays.ReplayRow, ...]) -> Iterator[str]:
    yield f"{found.rows} decisions read, {found.matched} verified, {found.faults} faults."
    for reason, count in found.unmatched.items():
        yield f"Not verified: {count} ({safe_text(reason)})"
    if rows:
        yield table(HEADS, [_row(one) for one in rows])


def _lines(found: replays.Replay, rows: tuple[replays.ReplayRow, ...]) -> Iterator[str]:
    yield (
        f"{found.rows} decisions read, {found.matched} decided once more, "
        f"{found.refused} never came to a policy."
    )
    heads = ("", "allow", "deny")
    yield table(
        heads,
        [
            (name, one.allow, one.deny)
            for name, one in (
                ("as recorded", found.before),
                ("today without it", found.baseline),
                ("with it", found.after),
            )
        ],
    )
    yield (
        f"Changed: {found.changed} ({found.allow_deny} would be denied, "
        f"{found.deny_allow} would be allowed); {found.differing} differ today already."
    )
    if found.uses_session:
        yield f"{found.uses_session} of them were decided by counters, which would move too."
    for reason, count in found.unmatched.items():
        yield f"Unmatched: {count} ({safe_text(reason)})"
    for change in found.lists:
        yield (
            f"Tools of {safe_text(change.member)}: "
            f"gains {cell(change.gains)}; loses {cell(change.loses)}"
        )
    if rows:
        yield table(HEADS, [_row(one) for one in rows])
    if found.changed > len(rows) > 0:
        yield f"{found.changed - len(rows)} more changed."


def _row(one: replays.ReplayRow) -> tuple[object, ...]:
    flip = {"allow_deny": "✓→✗", "deny_allow": "✗→✓"}.get(one.flip or "", "")
    return (
        one.timestamp,
        one.ref,
        one.member,
        f"{one.service}.{one.tool}",
        one.before,
        one.baseline_decision,
        one.after,
        flip,
        one.determining_after,
    )
