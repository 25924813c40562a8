"""`wicket policy`: what is permitted. Each change is a version and holds from the next call on."""

from typing import Annotated, Literal

import typer
from msgspec import UNSET

from wicket_tui.headless.arguments import AgentArg, FileArg, NoteOpt, PolicyArg
from wicket_tui.headless.command import Shell, command, noun
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import facts, finding, table
from wicket_tui.headless.stdin import confirmed, text_of, typed_name
from wicketd.api import endpoints, policy_endpoints
from wicketd.api.text import safe_text
from wicketd.api.types import agents, policies

app = noun("Policies of an agent: write, check, switch, roll back.")

ModeArg = Annotated[
    Literal["enforce", "shadow"],
    typer.Argument(metavar="enforce|shadow", help="shadow only watches."),
]
MemberOpt = Annotated[
    str | None, typer.Option("--member", help="Untrusted agents: the member it is scoped to.")
]


@command(app, "list")
async def list_(shell: Shell, agent: AgentArg) -> None:
    """The live policies at their current version."""
    items = await shell.all(policy_endpoints.POLICY_LIST, policies.PolicyList(agent=agent))
    heads = ("policy", "name", "version", "enabled", "mode", "scope", "statements", "would change")
    rows = [
        (p.key, p.name, p.version, p.enabled, p.mode, p.scope, p.statements, _flips(p))
        for p in items
    ]
    shell.show(items, table(heads, rows))


@command(app, "show")
async def show(
    shell: Shell,
    agent: AgentArg,
    policy: PolicyArg,
    *,
    version: Annotated[int | None, typer.Option("--version", min=1, help="An older one.")] = None,
) -> None:
    """A policy's text, with its facts as a comment above."""
    if version is None:
        ref = policies.PolicyRef(agent=agent, policy=policy)
        found = (await shell.call(policy_endpoints.POLICY_SHOW, ref)).current
    else:
        asked = policies.VersionRef(agent=agent, policy=policy, version=version)
        found = await shell.call(policy_endpoints.POLICY_VERSION, asked)
    shell.show(found, _with_head(found))


@command(app, "create")
async def create(  # noqa: PLR0913  # one parameter an option
    shell: Shell,
    agent: AgentArg,
    file: FileArg = "-",
    *,
    name: Annotated[str, typer.Option("--name", help="What people call it; its slug is the key.")],
    key: Annotated[str | None, typer.Option("--key", help="Another key than the slug.")] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="Only watch.")] = False,
    disabled: Annotated[bool, typer.Option("--disabled", help="Not in force yet.")] = False,
    member: MemberOpt = None,
    note: NoteOpt = None,
) -> None:
    """Create a policy from a Cedar text; refused while it has errors."""
    request = policies.PolicyCreate(
        agent=agent,
        name=name,
        text=text_of(file),
        key=key,
        enabled=not disabled,
        mode="shadow" if shadow else "enforce",
        scope=member,
        note=note,
    )
    _saved(shell, await shell.call(policy_endpoints.POLICY_CREATE, request))


@command(app, "save")
async def save(
    shell: Shell,
    agent: AgentArg,
    policy: PolicyArg,
    file: FileArg = "-",
    *,
    name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    note: NoteOpt = None,
) -> None:
    """Save a new version of a policy's text."""
    text = text_of(file)
    revision = await _revision(shell, agent)
    request = policies.PolicySave(
        agent=agent, policy=policy, text=text, name=UNSET if name is None else name, note=note
    )
    _saved(shell, await shell.call(policy_endpoints.POLICY_SAVE, request, match=revision))


@command(app, "enable")
async def enable(shell: Shell, agent: AgentArg, policy: PolicyArg) -> None:
    """Put a policy in force."""
    await _switch(shell, agent, policy, enabled=True)


@command(app, "disable")
async def disable(shell: Shell, agent: AgentArg, policy: PolicyArg) -> Exit | None:
    """Take a policy out of force; it can be enabled again."""
    if not confirmed(f"Disable the policy {policy} of {agent}?", yes=shell.yes):
        return Exit.FAILED
    await _switch(shell, agent, policy, enabled=False)
    return None


@command(app, "mode")
async def mode(shell: Shell, agent: AgentArg, policy: PolicyArg, mode: ModeArg) -> None:
    """Enforce a policy, or only watch what it would do."""
    revision = await _revision(shell, agent)
    request = policies.PolicyMode(agent=agent, policy=policy, mode=mode)
    _saved(shell, await shell.call(policy_endpoints.POLICY_MODE, request, match=revision))


@command(app, "delete")
async def delete(shell: Shell, agent: AgentArg, policy: PolicyArg) -> Exit | None:
    """Delete a policy for good; its versions stay readable for the audit."""
    revision = await _revision(shell, agent)
    if not typed_name(policy, yes=shell.yes):
        return Exit.FAILED
    request = policies.PolicyRef(agent=agent, policy=policy)
    gone = await shell.call(policy_endpoints.POLICY_DELETE, request, match=revision)
    shell.done(gone, f"Policy {policy} is deleted; revision {gone.policy_revision} is in force.")
    return None


@command(app, "versions")
async def versions(shell: Shell, agent: AgentArg, policy: PolicyArg) -> None:
    """The versions of a policy, newest first."""
    request = policies.VersionList(agent=agent, policy=policy)
    items = await shell.all(policy_endpoints.POLICY_VERSIONS, request)
    heads = ("version", "cause", "enabled", "mode", "by", "at", "note")
    rows = [
        (v.version, v.cause, v.enabled, v.mode, v.created_by, v.created_at, v.note) for v in items
    ]
    shell.show(items, table(heads, rows))


@command(app, "rollback")
async def rollback(
    shell: Shell,
    agent: AgentArg,
    policy: PolicyArg,
    version: Annotated[int, typer.Argument(metavar="V", min=1, help="The version to return to.")],
    *,
    note: NoteOpt = None,
) -> Exit | None:
    """Save the text of an old version as a new one, checked against today's schema."""
    revision = await _revision(shell, agent)
    if not confirmed(f"Roll {policy} back to version {version}?", yes=shell.yes):
        return Exit.FAILED
    request = policies.PolicyRollback(agent=agent, policy=policy, version=version, note=note)
    _saved(shell, await shell.call(policy_endpoints.POLICY_ROLLBACK, request, match=revision))
    return None


@command(app, "check")
async def check(
    shell: Shell,
    agent: AgentArg,
    file: FileArg = "-",
    *,
    member: MemberOpt = None,
    policy: Annotated[
        str | None, typer.Option(metavar="KEY", help="The policy that the text would replace.")
    ] = None,
) -> Exit | None:
    """The problems of a text; nothing is saved. Exit 6 when it has errors."""
    request = policies.PolicyCheck(agent=agent, text=text_of(file), scope=member, policy=policy)
    checked = await shell.call(policy_endpoints.POLICY_CHECK, request)
    lines = [finding(problem) for problem in checked.problems]
    shell.show(checked, "\n".join(lines) or "No problems.")
    has_errors = any(problem.severity == "error" for problem in checked.problems)
    return Exit.INVALID if has_errors else None


@command(app, "format")
async def format_(shell: Shell, file: FileArg = "-") -> None:
    """A text in the usual form, on stdout."""
    request = policies.PolicyFormat(text=text_of(file))
    formatted = await shell.call(policy_endpoints.POLICY_FORMAT, request)
    shell.show(formatted, safe_text(formatted.text, limit=1 << 20, multiline=True).rstrip("\n"))


@command(app, "schema")
async def schema(shell: Shell, agent: AgentArg) -> None:
    """The agent's Cedar schema: every tool, argument and target that policies can name."""
    found = await shell.call(policy_endpoints.SCHEMA, agents.AgentRef(agent=agent))
    shell.show(found, safe_text(found.text, limit=1 << 24, multiline=True).rstrip("\n"))


@command(app, "revisions")
async def revisions(shell: Shell, agent: AgentArg) -> None:
    """The history of the agent's policies, newest first."""
    request = policies.RevisionList(agent=agent)
    items = await shell.all(policy_endpoints.REVISION_LIST, request)
    heads = ("revision", "cause", "by", "at", "policies")
    rows = [
        (r.revision, r.cause, r.actor, r.at, [f"{m.policy}@{m.version}" for m in r.manifest])
        for r in items
    ]
    shell.show(items, table(heads, rows))


async def _revision(shell: Shell, agent: str) -> int:
    """The agent's policy revision now: a change in between is refused as stale."""
    found = await shell.call(endpoints.AGENT_SHOW, agents.AgentRef(agent=agent))
    return found.policy_revision


async def _switch(shell: Shell, agent: str, policy: str, *, enabled: bool) -> None:
    revision = await _revision(shell, agent)
    request = policies.PolicyEnabled(agent=agent, policy=policy, enabled=enabled)
    _saved(shell, await shell.call(policy_endpoints.POLICY_ENABLED, request, match=revision))


def _saved(shell: Shell, saved: policies.PolicySaved) -> None:
    version = saved.version
    state = "in force" if version.enabled and version.mode == "enforce" else "not in force"
    shell.done(
        saved,
        f"Policy {version.key} is at version {version.version}, {state}; "
        f"revision {saved.policy_revision} of the agent.",
    )


def _flips(shown: policies.PolicyVersion) -> int | None:
    """Calls that a watched policy would have decided otherwise."""
    return None if shown.watched is None else shown.watched.allow_deny + shown.watched.deny_allow


def _changes(shown: policies.PolicyVersion) -> str | None:
    found = shown.watched
    if found is None:
        return None
    return (
        f"{found.allow_deny} allowed and {found.deny_allow} denied calls since {found.since}; "
        f"see them with wicket audit list policy:{shown.key} flip:yes"
    )


def _with_head(found: policies.PolicyVersion) -> str:
    head = facts(
        (
            ("policy", f"{found.key}@{found.version}"),
            ("name", found.name),
            ("enabled", found.enabled),
            ("mode", found.mode),
            ("would have changed", _changes(found)),
            ("scope", found.scope),
            ("saved", f"{found.created_at} by {found.created_by} ({found.cause})"),
            ("note", found.note),
        )
    )
    comment = "\n".join(f"// {line}" for line in head.splitlines())
    return comment + "\n" + safe_text(found.text, limit=1 << 20, multiline=True).rstrip("\n")
