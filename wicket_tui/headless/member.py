"""`wicket member`: who belongs to an agent."""

from typing import Annotated, Literal

import typer
from msgspec import UNSET

from wicket_tui.headless.arguments import AgentArg, GroupOpt, MemberArg, ReasonOpt, RoleOpt, TagOpt
from wicket_tui.headless.command import Shell, command, noun
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import facts, table
from wicket_tui.headless.stdin import InputFailed, confirmed, typed_name
from wicketd.api import endpoints
from wicketd.api.types import members

app = noun("Members of an agent: add, change, approve, remove.")


@command(app, "list")
async def list_(
    shell: Shell,
    agent: AgentArg,
    *,
    state: Annotated[
        Literal["invited", "pending", "approved", "rejected", "removed"] | None,
        typer.Option("--state", help="Only these."),
    ] = None,
) -> None:
    """The members of an agent."""
    items = await shell.all(endpoints.MEMBER_LIST, members.MemberList(agent=agent, state=state))
    heads = ("member", "role", "state", "key", "groups", "tags", "connections", "waits for")
    rows = [
        (
            m.principal,
            m.role,
            m.state,
            m.key.key_id if m.key else None,
            m.groups,
            m.tags,
            len(m.connections),
            m.next_step,
        )
        for m in items
    ]
    shell.show(items, table(heads, rows))


@command(app, "show")
async def show(shell: Shell, agent: AgentArg, member: MemberArg) -> None:
    """One member, with key and connections."""
    request = members.MemberRef(agent=agent, member=member)
    found = await shell.call(endpoints.MEMBER_SHOW, request)
    shell.show(found, _summary(found))


@command(app, "add")
async def add(  # noqa: PLR0913  # one parameter an option
    shell: Shell,
    agent: AgentArg,
    name: Annotated[str, typer.Argument(metavar="NAME", help="a-z, 0-9, dot, _ and -.")],
    *,
    local: Annotated[
        bool, typer.Option("--local", help="A member without a mailbox: the only kind added so.")
    ] = False,
    role: RoleOpt = None,
    group: GroupOpt = None,
    tag: TagOpt = None,
) -> None:
    """Add a local member: for a person alone on the host, a CI job, a headless box."""
    if not local:
        message = "Only local members are added: repeat with --local. People are invited."
        raise InputFailed(message)
    request = members.MemberAdd(
        agent=agent,
        name=name,
        role=role or "member",
        groups=tuple(group or ()),
        tags=tuple(tag or ()),
    )
    made = await shell.call(endpoints.MEMBER_ADD, request)
    shell.done(
        made, f"{made.principal} is a member. Next: wicket key issue {agent} {made.principal}"
    )


@command(app, "edit")
async def edit(
    shell: Shell,
    agent: AgentArg,
    member: MemberArg,
    *,
    role: RoleOpt = None,
    group: GroupOpt = None,
    tag: TagOpt = None,
) -> None:
    """Change role, groups or tags; what is given replaces what was."""
    ref = members.MemberRef(agent=agent, member=member)
    current = await shell.call(endpoints.MEMBER_SHOW, ref)
    request = members.MemberUpdate(
        agent=agent,
        member=member,
        role=UNSET if role is None else role,
        groups=UNSET if group is None else tuple(group),
        tags=UNSET if tag is None else tuple(tag),
    )
    changed = await shell.call(endpoints.MEMBER_UPDATE, request, match=current.rev)
    shell.done(changed, f"{changed.principal} is changed.")


@command(app, "approve")
async def approve(
    shell: Shell,
    agent: AgentArg,
    member: MemberArg,
    *,
    seed_baselines: Annotated[
        bool, typer.Option("--seed-baselines", help="Untrusted agents: give own baselines.")
    ] = False,
) -> None:
    """Admit a pending member."""
    request = members.MemberApprove(agent=agent, member=member, seed_baselines=seed_baselines)
    changed = await shell.call(endpoints.MEMBER_APPROVE, request)
    shell.done(changed, f"{changed.principal} is approved and may make a key.")


@command(app, "reject")
async def reject(
    shell: Shell, agent: AgentArg, member: MemberArg, *, reason: ReasonOpt = None
) -> Exit | None:
    """Refuse a pending member for good."""
    if not confirmed(f"Reject {member}?", yes=shell.yes):
        return Exit.FAILED
    request = members.MemberReject(agent=agent, member=member, reason=reason)
    changed = await shell.call(endpoints.MEMBER_REJECT, request)
    shell.done(changed, f"{changed.principal} is rejected.")
    return None


@command(app, "remove")
async def remove(shell: Shell, agent: AgentArg, member: MemberArg) -> Exit | None:
    """Remove a member: its key ends at once, its credentials are destroyed."""
    if not typed_name(member, yes=shell.yes):
        return Exit.FAILED
    request = members.MemberRef(agent=agent, member=member)
    gone = await shell.call(endpoints.MEMBER_REMOVE, request)
    shell.done(gone, f"{member} is removed.")
    return None


def _summary(member: members.Member) -> str:
    head = facts(
        (
            ("member", member.principal),
            ("id", member.id),
            ("kind", "local" if member.local_name else "account"),
            ("role", member.role),
            ("state", f"{member.state} since {member.state_at} by {member.state_by}"),
            ("groups", member.groups),
            ("tags", member.tags),
            ("key", member.key.key_id if member.key else None),
            ("key used", member.key.last_used_day if member.key else None),
            ("second factor", member.totp),
            ("waits for", member.next_step),
            ("rev", member.rev),
        )
    )
    if not member.connections:
        return head
    rows = [(c.service, c.state, c.origin, c.error) for c in member.connections]
    return head + "\n\n" + table(("service", "connection", "origin", "error"), rows)
