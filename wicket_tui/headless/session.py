"""`wicket session`: tool sessions, whose counters policies read."""

from typing import Annotated

import typer

from wicket_tui.headless.arguments import AgentArg
from wicket_tui.headless.command import Shell, command, noun
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import facts, table
from wicket_tui.headless.stdin import confirmed
from wicketd.api import endpoints
from wicketd.api.types import sessions

app = noun("Tool sessions: what a client did, and the breaker's reset.")

SessionArg = Annotated[str, typer.Argument(metavar="ID", help="The session's id, ts_….")]


@command(app, "list")
async def list_(
    shell: Shell,
    agent: AgentArg,
    *,
    active: Annotated[bool, typer.Option("--active", help="Only running ones.")] = False,
    member: Annotated[str | None, typer.Option("--member", help="Only this member's.")] = None,
) -> None:
    """Tool sessions, newest activity first."""
    request = sessions.SessionList(agent=agent, active=True if active else None, member=member)
    items = await shell.all(endpoints.SESSION_LIST, request)
    heads = ("session", "member", "client", "calls", "denials", "last activity", "ended")
    rows = [
        (s.id, s.member, s.agent_type, s.calls, s.denials, s.last_activity_at, s.terminated_reason)
        for s in items
    ]
    shell.show(items, table(heads, rows))


@command(app, "show")
async def show(shell: Shell, agent: AgentArg, session: SessionArg) -> None:
    """One tool session with its counters."""
    request = sessions.SessionRef(agent=agent, session=session)
    found = await shell.call(endpoints.SESSION_SHOW, request)
    shell.show(found, _summary(found))


@command(app, "reset")
async def reset(shell: Shell, agent: AgentArg, session: SessionArg) -> Exit | None:
    """End a tool session now; the client goes on from zero."""
    if not confirmed(f"End the tool session {session}?", yes=shell.yes):
        return Exit.FAILED
    request = sessions.SessionRef(agent=agent, session=session)
    ended = await shell.call(endpoints.SESSION_RESET, request)
    shell.done(ended, f"Session {ended.id} is ended; the next call starts from zero.")
    return None


def _summary(session: sessions.Session) -> str:
    return facts(
        (
            ("session", session.id),
            ("member", session.member or session.member_id),
            ("client", session.agent_type),
            ("external id", session.external_session_id),
            ("active", session.is_active),
            ("calls", session.calls),
            ("denials", session.denials),
            ("tools used", session.tools_used),
            ("allowing policies", session.policies_allow_counts),
            ("denying policies", session.policies_deny_counts),
            ("started", session.created_at),
            ("last activity", session.last_activity_at),
            ("ended", session.terminated_at),
            ("why", session.terminated_reason),
        )
    )
