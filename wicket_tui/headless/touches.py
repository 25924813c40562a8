"""`wicket policy touches`: the live tools that the statements of a text can matter for."""

from collections.abc import Iterator
from typing import Annotated, Final

import typer

from wicket_tui.headless.arguments import AgentArg
from wicket_tui.headless.command import Shell, command
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import finding, note, table
from wicket_tui.headless.policy import MemberOpt, app
from wicket_tui.headless.stdin import InputFailed, text_of
from wicketd.api import policy_endpoints
from wicketd.api.text import safe_text
from wicketd.api.types import policies

_TIERS: Final = ("destructive", "write", "read")


@command(app, "touches")
async def touches(
    shell: Shell,
    agent: AgentArg,
    file: Annotated[
        str | None, typer.Argument(metavar="[F]", help="File, or - for stdin, as without it.")
    ] = None,
    *,
    policy: Annotated[
        str | None, typer.Option("--policy", help="A stored policy's text in place of a file.")
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="An older one of the policy.")
    ] = None,
    member: MemberOpt = None,
) -> Exit | None:
    """The tools that a text's statements can matter for. Exit 6 when it has errors."""
    if policy is None:
        if version is not None:
            message = "A version is one of a policy. Name the policy with --policy."
            raise InputFailed(message)
        text = text_of(file or "-")
    elif file is not None:
        message = "A file and --policy are two texts. Give one of them."
        raise InputFailed(message)
    else:
        text = await _stored(shell, agent, policy, version)
    request = policies.PolicyCheck(agent=agent, text=text, scope=member)
    checked = await shell.call(policy_endpoints.POLICY_CHECK, request)
    errors = [one for one in checked.problems if one.severity == "error"]
    shell.show(checked, "\n".join([*map(finding, errors), *_lines(checked)]))
    if checked.touched is None:
        note("The text is too costly to tell what it touches. Split it and ask for each part.")
    if errors:
        return Exit.INVALID
    return Exit.FAILED if checked.touched is None else None


async def _stored(shell: Shell, agent: str, policy: str, version: int | None) -> str:
    """The text of a policy, at its current version where none is named."""
    if version is None:
        ref = policies.PolicyRef(agent=agent, policy=policy)
        return (await shell.call(policy_endpoints.POLICY_SHOW, ref)).current.text
    asked = policies.VersionRef(agent=agent, policy=policy, version=version)
    return (await shell.call(policy_endpoints.POLICY_VERSION, asked)).text


def _lines(checked: policies.PolicyChecked) -> Iterator[str]:
    """The tools, the riskiest tier first, then the statements that matter for none."""
    if checked.touched is None:
        return
    labels = {one.number: one.id or str(one.number) for one in checked.statements}
    rows = [
        (f"{one.service}__{one.tool}", one.tier, [labels.get(n, str(n)) for n in one.statements])
        for one in sorted(checked.touched, key=_order)
    ]
    if rows:
        yield table(("tool", "tier", "statements"), rows)
    used = {number for one in checked.touched for number in one.statements}
    for one in checked.statements:
        if one.number not in used:
            label = safe_text(labels[one.number])
            yield f"Line {one.line}: {one.effect} {label} touches no live tool."


def _order(one: policies.TouchedTool) -> tuple[int, str, str]:
    rank = _TIERS.index(one.tier) if one.tier in _TIERS else len(_TIERS)
    return rank, one.service, one.tool
