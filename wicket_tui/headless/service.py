"""`wicket service`: connectors that an agent may use, their tools, tiers and changes."""

from typing import Annotated, Literal

import typer

from wicket_tui.headless.arguments import AgentArg, ServiceArg
from wicket_tui.headless.command import Shell, command, noun
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import facts, table
from wicket_tui.headless.stdin import confirmed, secret, typed_name
from wicketd.api import endpoints
from wicketd.api.types import services

app = noun("Services of an agent: enable, discover, review tools.")

ToolArg = Annotated[str, typer.Argument(metavar="TOOL", help="The tool's own name.")]
TierArg = Annotated[
    Literal["read", "write", "destructive", "none"],
    typer.Argument(metavar="TIER", help="none takes the override back."),
]


@command(app, "list")
async def list_(shell: Shell, agent: AgentArg) -> None:
    """The services of an agent."""
    items = await shell.all(endpoints.SERVICE_LIST, services.ServiceList(agent=agent))
    heads = ("service", "state", "catalogue", "drift", "tools", "connections", "error")
    rows = [
        (s.key, s.state, s.catalogue, s.drift, s.tools, s.connections, s.last_error) for s in items
    ]
    shell.show(items, table(heads, rows))


@command(app, "show")
async def show(shell: Shell, agent: AgentArg, service: ServiceArg) -> None:
    """One service."""
    request = services.ServiceRef(agent=agent, service=service)
    found = await shell.call(endpoints.SERVICE_SHOW, request)
    shell.show(found, _summary(found))


@command(app, "enable")
async def enable(
    shell: Shell,
    agent: AgentArg,
    service: ServiceArg,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report.")] = False,
    strict_names: Annotated[
        bool, typer.Option("--strict-names", help="Refuse instead of excluding tools.")
    ] = False,
    allow: Annotated[
        Literal["read", "write", "all"] | None,
        typer.Option("--allow", help="Tiers that the baseline policy permits, with prompts."),
    ] = None,
) -> None:
    """Enable a connector on an agent, discover its tools, seed its baseline policy."""
    request = services.ServicePut(
        agent=agent, service=service, dry_run=dry_run, strict_names=strict_names, allow=allow
    )
    report = await shell.call(endpoints.SERVICE_PUT, request)
    shell.show(report, _report(report))


@command(app, "disable")
async def disable(shell: Shell, agent: AgentArg, service: ServiceArg) -> Exit | None:
    """Disable a service: its tools vanish, calls are refused, connections are kept."""
    if not confirmed(f"Disable {service} on {agent}?", yes=shell.yes):
        return Exit.FAILED
    request = services.ServicePut(agent=agent, service=service, enabled=False)
    report = await shell.call(endpoints.SERVICE_PUT, request)
    shell.done(
        report, f"Service {service} is disabled. Undo: wicket service enable {agent} {service}"
    )
    return None


@command(app, "remove")
async def remove(shell: Shell, agent: AgentArg, service: ServiceArg) -> Exit | None:
    """Remove a disabled service for good; its connections are destroyed."""
    if not typed_name(service, yes=shell.yes):
        return Exit.FAILED
    request = services.ServiceRemove(agent=agent, service=service, purge=True)
    gone = await shell.call(endpoints.SERVICE_REMOVE, request)
    shell.done(gone, f"Service {service} is removed.")
    return None


@command(app, "discover")
async def discover(
    shell: Shell,
    agent: AgentArg,
    service: ServiceArg,
    *,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read a one-off token; it is never stored.")
    ] = False,
) -> None:
    """List the server's tools now and report what changed."""
    bearer = secret("One-off token: ") if token_stdin else None
    request = services.Discover(agent=agent, service=service, bearer=bearer)
    found = await shell.call(endpoints.SERVICE_DISCOVER, request)
    pairs = (
        ("tools", found.total),
        ("added", found.added),
        ("changed", found.changed),
        ("removed", found.removed),
        ("excluded", tuple(item.tool for item in found.excluded)),
        ("broken policies", tuple(item.policy for item in found.broken)),
        ("stale policies", tuple(item.policy for item in found.stale)),
    )
    shell.show(found, facts(pairs))


@command(app, "tools")
async def tools(shell: Shell, agent: AgentArg, service: ServiceArg) -> None:
    """Tools with tier and its source."""
    request = services.ToolList(agent=agent, service=service)
    items = await shell.all(endpoints.SERVICE_TOOLS, request)
    shell.show(items, _tools(items))


@command(app, "tier")
async def tier(
    shell: Shell, agent: AgentArg, service: ServiceArg, tool: ToolArg, tier: TierArg
) -> None:
    """Override a tool's tier."""
    ref = services.ServiceRef(agent=agent, service=service)
    current = await shell.call(endpoints.SERVICE_SHOW, ref)
    request = services.TierSet(
        agent=agent, service=service, tool=tool, tier=None if tier == "none" else tier
    )
    changed = await shell.call(endpoints.TOOL_TIER, request, match=current.rev)
    shell.done(changed, f"{service}__{changed.name} is {changed.tier} ({changed.source}).")


@command(app, "drift")
async def drift(shell: Shell, agent: AgentArg, service: ServiceArg) -> None:
    """Tool changes that wait for a review."""
    request = services.ServiceRef(agent=agent, service=service)
    found = await shell.call(endpoints.SERVICE_DRIFT, request)
    rows = [(c.at, c.kind, c.tool, c.broken_policies) for c in found.changes]
    parts = [table(("at", "change", "tool", "broken policies"), rows)]
    parts += [f"Policy {one.policy} is stale for {', '.join(one.tools)}." for one in found.stale]
    parts += [f"Policy {one.policy} breaks: {one.reason}" for one in found.broken]
    parts += [f"{one.tool} moves from {one.before} to {one.after}." for one in found.tiers]
    parts += [
        f"{one.tool} is new ({one.tier}), matched by {', '.join(one.statements) or 'no policy'}."
        for one in found.added
    ]
    parts += [
        f"{one.member} gains {', '.join(one.gains) or 'nothing'}"
        f" and loses {', '.join(one.loses) or 'nothing'}."
        for one in found.lists
    ]
    if found.members_left_out:
        parts.append(f"The lists of {found.members_left_out} more members were not compared.")
    shell.show(found, "\n".join(parts))


@command(app, "ack")
async def ack(shell: Shell, agent: AgentArg, service: ServiceArg, tool: ToolArg) -> Exit | None:
    """Accept a changed tool as it is now."""
    request = services.ToolList(agent=agent, service=service)
    items = await shell.all(endpoints.SERVICE_TOOLS, request)
    current = next((item for item in items if item.name == tool), None)
    digest = "" if current is None else current.hash or ""
    asked = services.Ack(agent=agent, service=service, tool=tool, hash=digest)
    if not confirmed(f"Accept {service}__{tool} as its server describes it now?", yes=shell.yes):
        return Exit.FAILED
    changed = await shell.call(endpoints.TOOL_ACK, asked)
    shell.done(changed, f"{service}__{changed.name} is accepted.")
    return None


@command(app, "credentials")
async def credentials(
    shell: Shell,
    agent: AgentArg,
    service: ServiceArg,
    *,
    client_id: Annotated[str, typer.Option("--client-id", help="The app's client id.")],
) -> None:
    """Store the OAuth app of a service; its secret comes on stdin and is never shown again."""
    ref = services.ServiceRef(agent=agent, service=service)
    current = await shell.call(endpoints.SERVICE_SHOW, ref)
    request = services.CredentialsPut(
        agent=agent, service=service, client_id=client_id, client_secret=secret("Client secret: ")
    )
    kept = await shell.call(endpoints.SERVICE_CREDENTIALS, request, match=current.rev)
    shell.done(kept, f"The app credentials of {service} are sealed. Members can connect now.")


@command(app, "credentials-clear")
async def credentials_clear(shell: Shell, agent: AgentArg, service: ServiceArg) -> Exit | None:
    """Destroy the OAuth app of a service: nobody can sign in until there is another one."""
    if not confirmed(f"Destroy the app credentials of {service} on {agent}?", yes=shell.yes):
        return Exit.FAILED
    request = services.ServiceRef(agent=agent, service=service)
    gone = await shell.call(endpoints.SERVICE_CREDENTIALS_CLEAR, request)
    shell.done(gone, f"The app credentials of {service} are destroyed.")
    return None


def _summary(service: services.Service) -> str:
    return facts(
        (
            ("service", service.key),
            ("name", service.name),
            ("state", service.state),
            ("catalogue", service.catalogue),
            ("credential", service.credential),
            ("era", service.era),
            ("drift", service.drift),
            ("tools", service.tools),
            ("connections", service.connections),
            ("discovered", service.discovered_at),
            ("callback", service.callback_url),
            ("app secret set", service.secret_set_at),
            ("last error", service.last_error),
            ("rev", service.rev),
        )
    )


def _tools(items: list[services.Tool]) -> str:
    heads = ("tool", "tier", "source", "status", "note")
    rows = [(t.name, t.tier, t.source, t.status, t.exclude_reason) for t in items]
    return table(heads, rows)


def _report(report: services.EnableReport) -> str:
    head = "Enabled." if report.applied else "Nothing was changed; enabling would do this."
    parts = [head, _tools(list(report.tools))]
    parts += [f"Excluded {item.tool}: {item.reason}" for item in report.excluded]
    parts += [f"Policy {item.policy} breaks: {item.reason}" for item in report.broken]
    if report.baselines:
        parts.append("Baseline policies: " + ", ".join(report.baselines))
    return "\n".join([*parts, *([report.note] if report.note else [])])
