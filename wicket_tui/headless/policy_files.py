"""`wicket policy diff|export|import|edit|coverage`: sets and texts compared, as files, in use."""

import os
import shlex
import subprocess  # noqa: TID251  # the person's own editor
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from wicket_tui.headless import policy_directory
from wicket_tui.headless.arguments import AgentArg, NoteOpt, PolicyArg
from wicket_tui.headless.command import Shell, command
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import note, table
from wicket_tui.headless.policy import app
from wicket_tui.headless.stdin import InputFailed, confirmed, text_of
from wicketd.api import endpoints, policy_endpoints
from wicketd.api.client import Refused
from wicketd.api.text import safe_text
from wicketd.api.types import agents, policies, policy_sets

DirArg = Annotated[Path, typer.Argument(metavar="DIR", help="A directory of .cedar files.")]


@command(app, "diff")
async def diff(
    shell: Shell,
    agent: AgentArg,
    policy: PolicyArg,
    old: Annotated[int, typer.Argument(metavar="V1", min=1, help="The version before.")],
    new: Annotated[int, typer.Argument(metavar="V2", min=1, help="The version after.")],
) -> None:
    """What two versions of a policy differ in, as a unified diff."""
    asked = policy_sets.DiffAsk(agent=agent, policy=policy, from_version=old, to_version=new)
    found = await shell.call(policy_endpoints.POLICY_DIFF, asked)
    lines = [f"{one.field}: {one.before} -> {one.after}" for one in found.fields]
    shell.show(found, "\n".join([*map(safe_text, lines), _shown(found.text)]).strip("\n"))


@command(app, "export")
async def export(shell: Shell, agent: AgentArg, directory: DirArg) -> None:
    """Write the live policies as files that can live in git."""
    found = await shell.call(policy_endpoints.POLICY_EXPORT, agents.AgentRef(agent=agent))
    gone = policy_directory.write(directory, found.policies)
    removed = f" {len(gone)} files of deleted policies were removed." if gone else ""
    shell.done(
        found,
        f"{len(found.policies)} policies of {agent} at revision {found.policy_revision} are in "
        f"{directory}.{removed}",
    )


@command(app, "import")
async def import_(
    shell: Shell,
    agent: AgentArg,
    directory: DirArg,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    note: NoteOpt = None,
) -> Exit | None:
    """Make the files the agent's whole set, at one revision or not at all; the plan comes first."""
    items = policy_directory.read(directory)
    owner = await shell.call(endpoints.AGENT_SHOW, agents.AgentRef(agent=agent))
    request = policy_sets.PolicyImport(agent=agent, policies=items, dry_run=True, note=note)
    revision = owner.policy_revision
    plan = await shell.call(policy_endpoints.POLICY_IMPORT, request, match=revision)
    if dry_run or not plan.steps:
        shell.show(plan, _plan(plan))
        return None
    if not shell.common.json:
        shell.show(plan, _plan(plan))
    if not confirmed(f"Apply {len(plan.steps)} changes to {agent}?", yes=shell.yes):
        return Exit.FAILED
    request = policy_sets.PolicyImport(agent=agent, policies=items, note=note)
    done = await shell.call(policy_endpoints.POLICY_IMPORT, request, match=revision)
    shell.done(done, f"Revision {done.policy_revision} of {agent} is in force.")
    return None


@command(app, "coverage")
async def coverage(shell: Shell, agent: AgentArg) -> None:
    """Tools that no policy permits, and policies that never decide or no longer fit."""
    found = await shell.call(policy_endpoints.POLICY_COVERAGE, agents.AgentRef(agent=agent))
    tools = [
        (one.cover, f"{one.service}__{one.tool}", one.tier, one.stale, one.policies)
        for one in found.tools
    ]
    rows = [
        (
            *(one.policy, one.enabled, one.mode, one.hits, one.flips),
            *(one.unmatchable, one.stale, one.broken),
        )
        for one in found.policies
    ]
    heads = ("policy", "enabled", "mode", "hits", "flips", "unmatchable", "stale", "broken")
    parts = (
        table(("cover", "tool", "tier", "stale", "policies"), sorted(tools)),
        table(heads, rows),
        f"Hits are of the last {found.days} days.",
    )
    shell.show(found, "\n\n".join(parts))


@command(app, "edit")
async def edit(
    shell: Shell, agent: AgentArg, policy: PolicyArg, *, note: NoteOpt = None
) -> Exit | None:
    """Edit a policy's text in $VISUAL or $EDITOR and save it as a new version."""
    editor = _editor()
    base = await shell.call(
        policy_endpoints.POLICY_SHOW, policies.PolicyRef(agent=agent, policy=policy)
    )
    kept = Path(tempfile.mkdtemp(prefix="wicket-")) / policy_directory.file_of(base.current.key)
    kept.write_bytes(base.current.text.encode())
    _edited(editor, kept)
    text = text_of(str(kept))
    if text == base.current.text:
        _forget(kept)
        shell.done(base, "Nothing was changed.")
        return None
    request = policies.PolicySave(agent=agent, policy=policy, text=text, note=note)
    try:
        saved = await shell.call(policy_endpoints.POLICY_SAVE, request, match=base.policy_revision)
    except Refused as refused:
        if refused.body.code == "stale":
            await _say_what_changed(shell, agent, base)
        _keep(kept)
        raise
    _forget(kept)
    version = saved.version
    shell.done(
        saved,
        f"Policy {version.key} is at version {version.version}; "
        f"revision {saved.policy_revision} of the agent.",
    )
    return None


def _editor() -> list[str]:
    """The person's editor with its options.

    Raises:
        InputFailed: none is set.
    """
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    if not words:
        message = "No editor is set. Set EDITOR, or use: wicket policy save A P FILE"
        raise InputFailed(message)
    return words


def _edited(editor: list[str], path: Path) -> None:
    """Lets the person edit a file, and waits.

    Raises:
        InputFailed: the editor does not run, or failed.
    """
    try:
        code = subprocess.run([*editor, str(path)], check=False).returncode  # noqa: S603  # their own command
    except OSError as error:
        message = f"Cannot run {editor[0]}: {error.strerror}. Set EDITOR to an editor you have."
        raise InputFailed(message) from error
    if code != 0:
        message = f"The editor ended with {code}, so nothing is saved. Your text is in {path}."
        raise InputFailed(message)


async def _say_what_changed(shell: Shell, agent: str, base: policies.Policy) -> None:
    """Prints what somebody else saved since the text was read."""
    mine = base.current
    ref = policies.PolicyRef(agent=agent, policy=mine.key)
    try:
        theirs = (await shell.call(policy_endpoints.POLICY_SHOW, ref)).current
    except Refused:
        note(f"{safe_text(mine.key)} was deleted.")
        return
    if theirs.version == mine.version:
        note("Another policy of the agent changed; this one did not.")
        return
    asked = policy_sets.DiffAsk(
        agent=agent, policy=mine.key, from_version=mine.version, to_version=theirs.version
    )
    found = await shell.call(policy_endpoints.POLICY_DIFF, asked)
    note(f"Meanwhile {safe_text(theirs.created_by)} saved version {theirs.version}:")
    note(_shown(found.text) or "The text is the same.")


def _keep(path: Path) -> None:
    note(f"Your text is kept in {path}.")


def _forget(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()


def _plan(plan: policy_sets.PolicyImported) -> str:
    if not plan.steps:
        return f"Nothing to change: {plan.unchanged} policies are as in the files."
    rows = [(one.change, one.policy, one.fields) for one in plan.steps]
    parts = [table(("change", "policy", "fields"), rows)]
    parts += [_shown(one.diff) for one in plan.steps if one.diff]
    return "\n\n".join([*parts, f"{plan.unchanged} policies stay as they are."])


def _shown(text: str) -> str:
    return safe_text(text, limit=1 << 20, multiline=True).rstrip("\n")
