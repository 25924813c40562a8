"""`wicket agent`: the agents and their kill switch."""

from typing import Annotated, Literal

import typer
from msgspec import UNSET

from wicket_tui.headless.arguments import AgentArg, ReasonOpt, TagOpt
from wicket_tui.headless.command import Shell, command, noun
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import facts, table
from wicket_tui.headless.stdin import typed_name
from wicketd.api import endpoints
from wicketd.api.types import agents

app = noun("Agents: create, change, switch off and on, delete.")

NameOpt = Annotated[str, typer.Option("--name", help="What people call it.")]
ScopeOpt = Annotated[
    Literal["conversation", "key"] | None,
    typer.Option("--session-scope", help="What bounds a tool session."),
]


def summary(agent: agents.Agent) -> str:
    """One agent as text."""
    return facts(
        (
            ("key", agent.key),
            ("id", agent.id),
            ("name", agent.name),
            ("status", agent.status),
            ("disabled reason", agent.disabled_reason),
            ("trust", agent.trust),
            ("time zone", agent.tz),
            ("session scope", agent.session_scope),
            ("tags", agent.tags),
            ("policy revision", agent.policy_revision),
            ("created", f"{agent.created_at} by {agent.created_by}"),
            ("deleted", agent.deleted_at),
            ("rev", agent.rev),
        )
    )


@command(app, "list")
async def list_(shell: Shell) -> None:
    """The agents."""
    items = await shell.all(endpoints.AGENT_LIST, agents.AgentList())
    rows = [(a.key, a.name, a.status, a.trust, a.tz, a.policy_revision, a.tags) for a in items]
    heads = ("agent", "name", "status", "trust", "tz", "revision", "tags")
    shell.show(items, table(heads, rows))


@command(app, "show")
async def show(shell: Shell, agent: AgentArg) -> None:
    """One agent."""
    found = await shell.call(endpoints.AGENT_SHOW, agents.AgentRef(agent=agent))
    shell.show(found, summary(found))


@command(app, "create")
async def create(  # noqa: PLR0913  # one parameter an option
    shell: Shell,
    key: Annotated[str, typer.Argument(metavar="A", help="Key: a-z, 0-9 and -; never reused.")],
    *,
    name: NameOpt,
    untrusted: Annotated[
        bool, typer.Option("--untrusted", help="Members need policies of their own.")
    ] = False,
    tz: Annotated[str, typer.Option("--tz", help="IANA time zone of its policies.")] = "UTC",
    tag: TagOpt = None,
    session_scope: ScopeOpt = None,
) -> None:
    """Create an agent. Everything is denied until a policy permits it."""
    request = agents.AgentCreate(
        key=key,
        name=name,
        trust="untrusted" if untrusted else "trusted",
        tz=tz,
        tags=tuple(tag or ()),
        session_scope=session_scope,
    )
    made = await shell.call(endpoints.AGENT_CREATE, request)
    shell.done(made, f"Agent {made.key} is made. Next: wicket service enable {made.key} SERVICE")


@command(app, "edit")
async def edit(
    shell: Shell,
    agent: AgentArg,
    *,
    name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    tz: Annotated[str | None, typer.Option("--tz", help="A new IANA time zone.")] = None,
    tag: TagOpt = None,
    session_scope: ScopeOpt = None,
) -> None:
    """Change name, time zone, tags or session scope."""
    current = await shell.call(endpoints.AGENT_SHOW, agents.AgentRef(agent=agent))
    request = agents.AgentUpdate(
        agent=agent,
        name=UNSET if name is None else name,
        tz=UNSET if tz is None else tz,
        tags=UNSET if tag is None else tuple(tag),
        session_scope=UNSET if session_scope is None else session_scope,
    )
    changed = await shell.call(endpoints.AGENT_UPDATE, request, match=current.rev)
    shell.done(changed, f"Agent {changed.key} is changed.")


@command(app, "disable")
async def disable(shell: Shell, agent: AgentArg, *, reason: ReasonOpt = None) -> None:
    """The kill switch: refuse every further call, end those in flight."""
    request = agents.AgentStatusSet(agent=agent, status="disabled", reason=reason)
    changed = await shell.call(endpoints.AGENT_STATUS, request)
    shell.done(changed, f"Agent {changed.key} is disabled. Undo: wicket agent enable {changed.key}")


@command(app, "enable")
async def enable(shell: Shell, agent: AgentArg) -> None:
    """Take the kill switch back."""
    request = agents.AgentStatusSet(agent=agent, status="active")
    changed = await shell.call(endpoints.AGENT_STATUS, request)
    shell.done(changed, f"Agent {changed.key} is active.")


@command(app, "delete")
async def delete(shell: Shell, agent: AgentArg) -> Exit | None:
    """Delete a disabled agent for good: keys end, credentials are destroyed, the audit stays."""
    current = await shell.call(endpoints.AGENT_SHOW, agents.AgentRef(agent=agent))
    if not typed_name(current.key, yes=shell.yes):
        return Exit.FAILED
    request = agents.AgentDelete(agent=agent, confirm=current.key)
    gone = await shell.call(endpoints.AGENT_DELETE, request, match=current.rev)
    shell.done(gone, f"Agent {current.key} is deleted.")
    return None
