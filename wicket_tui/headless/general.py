"""Commands without a noun: how the daemon is, what happens, why a call ended so, what hurries."""

from typing import Annotated, Literal

import typer

from wicket_tui.actions import remapped
from wicket_tui.headless import audit as audit_commands
from wicket_tui.headless.arguments import ReasonOpt, SinceOpt, UntilOpt
from wicket_tui.headless.command import Shell, command
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import facts, json_line, note, table
from wicket_tui.headless.stdin import typed_name
from wicket_tui.host import Host
from wicket_tui.keylist import listed
from wicket_tui.keymap import BY_ID
from wicketd.api import endpoints
from wicketd.api.types import accounts, agents, status
from wicketd.api.types.listing import Empty


def register(app: typer.Typer) -> None:
    """Adds the commands to `wicket` itself."""
    command(app, "status")(show_status)
    command(app, "whoami")(whoami)
    command(app, "config")(config)
    command(app, "keyring")(keyring)
    command(app, "keys")(keys)
    command(app, "stats")(stats)
    command(app, "events")(events)
    command(app, "why")(why)
    command(app, "panic")(panic)
    command(app, "offboard")(offboard)


async def show_status(shell: Shell) -> Exit | None:
    """Health, audit head and counts. Exit 1 when the daemon is degraded."""
    found = await shell.call(endpoints.STATUS, Empty())
    signed = found.checkpoint
    pairs = (
        ("state", found.state),
        ("reasons", found.reasons),
        ("version", found.version),
        ("started", found.started_at),
        ("audit rows", found.audit_seq),
        ("audit head", found.audit_hash),
        ("checkpoint", f"{signed.size} rows at {signed.at}" if signed else None),
        ("counts", found.counts),
        *found.details.items(),
    )
    shell.show(found, facts(pairs))
    return None if found.state == "ok" else Exit.FAILED


async def whoami(shell: Shell) -> None:
    """Who the daemon takes you for, and what you may do."""
    found = await shell.call(endpoints.WHOAMI, Empty())
    pairs = (("name", found.name), ("uid", found.uid), ("permission", found.permission))
    shell.show(found, facts(pairs))


async def config(shell: Shell) -> None:
    """The settings in force; secrets only as set or unset."""
    found = await shell.call(endpoints.CONFIG, Empty())
    rows = [(item.key, item.value, item.source) for item in found.settings]
    shell.show(found, table(("setting", "value", "source"), rows))


async def keyring(shell: Shell) -> None:
    """Rows and encryptions per key of the keyring."""
    found = await shell.call(endpoints.KEYRING, Empty())
    rows = [
        (use.kid, use.state, use.rows, use.verifiers, use.to_rewrap, use.encryptions)
        for use in found.keys
    ]
    columns = ("kid", "state", "rows", "verifiers", "to re-wrap", "encryptions")
    total = found.rewrapped + found.to_rewrap
    progress = f"{found.rewrapped} of {total} rows are under the active key {found.active}."
    shell.show(found, f"{table(columns, rows)}\n{progress}")


async def keys(shell: Shell) -> None:
    """The keys of the terminal app, by screen, with the commands that do the same."""
    try:
        own, wrong = remapped(Host().keys(), BY_ID)
    except ValueError as error:
        own, wrong = {}, [str(error)]
    for sentence in wrong:
        note(f"keys.toml: {sentence}")
    rows = listed(own)
    cells = [(one.screen, one.keys, one.label, one.id, one.care, one.help) for one in rows]
    shell.show(rows, table(("screen", "keys", "action", "id", "care", "what it does"), cells))


async def stats(
    shell: Shell,
    *,
    agent: Annotated[str | None, typer.Option("--agent", help="Only this agent.")] = None,
    since: SinceOpt = None,
    until: UntilOpt = None,
    bucket: Annotated[
        Literal["hour", "day"], typer.Option("--bucket", help="Columns of the series.")
    ] = "hour",
) -> None:
    """Totals, top tools, top denying policies, durations."""
    if agent is None:
        request = status.StatsAsk(since=since, until=until, bucket=bucket)
        found = await shell.call(endpoints.STATS, request)
    else:
        asked = status.AgentStatsAsk(agent=agent, since=since, until=until, bucket=bucket)
        found = await shell.call(endpoints.AGENT_STATS, asked)
    pairs = (
        ("from", found.since),
        ("to", found.until),
        ("allowed", found.allowed),
        ("denied", found.denied),
        ("top tools", {item.name: item.count for item in found.top_tools}),
        ("top denying", {item.name: item.count for item in found.top_denying_policies}),
        ("mean ms", found.mean_ms),
        ("max ms", found.max_ms),
    )
    shell.show(found, facts(pairs))


async def events(
    shell: Shell,
    *,
    topics: Annotated[str | None, typer.Option("--topics", help="Comma-separated.")] = None,
) -> None:
    """What changes, one JSON line each, until interrupted."""
    async for event in shell.client.events(status.EventsAsk(topics=topics)):
        shell.show_line(event, json_line(event))


async def why(
    shell: Shell,
    ref: Annotated[str, typer.Argument(metavar="REF", help="What stands behind [ref …].")],
    *,
    agent: Annotated[str | None, typer.Option("--agent", help="Whose reference it is.")] = None,
) -> None:
    """Why a call was refused or failed: the audit entry behind its reference."""
    await audit_commands.explain(shell, ref, agent)


async def panic(
    shell: Shell,
    agent: Annotated[str | None, typer.Argument(metavar="[A]", help="Only this agent.")] = None,
    *,
    reason: ReasonOpt = None,
) -> Exit | None:
    """Disable every agent, or one, at once. Undo: wicket agent enable A."""
    if not typed_name(agent or "panic", yes=shell.yes):
        return Exit.FAILED
    request = agents.Panic(agent=agent, reason=reason)
    done = await shell.call(endpoints.PANIC, request)
    names = ", ".join(found.key for found in done.agents) or "none: nothing was active"
    shell.done(done, f"Disabled: {names}. Undo with: wicket agent enable A")
    return None


async def offboard(
    shell: Shell,
    account: Annotated[str, typer.Argument(metavar="E", help="Account: address or id.")],
    *,
    reason: ReasonOpt = None,
) -> Exit | None:
    """Block an account and end its memberships, keys and sessions on all agents, at once."""
    if not typed_name(account, yes=shell.yes):
        return Exit.FAILED
    request = accounts.Offboard(account=account, reason=reason)
    done = await shell.call(endpoints.ACCOUNT_OFFBOARD, request)
    shell.done(done, f"{done.account.email} is blocked; {_ended(len(done.ended))}.")
    return None


def _ended(count: int) -> str:
    if not count:
        return "no membership was left"
    return "1 membership ended" if count == 1 else f"{count} memberships ended"
