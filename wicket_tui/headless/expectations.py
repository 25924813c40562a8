"""`wicket policy test`: expected decisions as a file, and the file that `audit to-test` writes.

A file is JSON: `{"version": 1, "cases": [{"member": …, "tool": …, "expect": "DENY", …}]}`. Made to
live in git beside an exported set. The command belongs to the noun `policy`, whose app it extends.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import typer

from wicket_tui.headless import policy_directory
from wicket_tui.headless.arguments import AgentArg
from wicket_tui.headless.command import Shell, command
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import cell
from wicket_tui.headless.policy import app
from wicket_tui.headless.stdin import InputFailed, text_of
from wicketd.api import simulation_endpoints as endpoints
from wicketd.api.client import Refused
from wicketd.api.text import safe_message, safe_text
from wicketd.api.types import audit, simulations

VERSION: Final = 1
ABOUT_THE_CASE: Final = frozenset({"bad_request", "not_found", "conflict"})
"""Refusals that fail one case; any other ends the run."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Case(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One call and what is expected of it.

    `entry`: an audit entry that lends its sealed arguments. `policies`: keys of the policies that
    must decide, all of them and no other; None: any. `reason`: see the audit's reason code.
    """

    name: str = ""
    member: Text
    tool: Text
    arguments: dict[str, Any] | None = None
    entry: Text | None = None
    time: str | None = None
    ip: str = "127.0.0.1"
    session: simulations.SessionCounters | None = None
    expect: Literal["ALLOW", "DENY"]
    reason: str | None = None
    policies: tuple[str, ...] | None = None


class Expectations(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    version: Literal[1]
    cases: tuple[Case, ...]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a case. `problem`: why it failed, empty if it did not."""

    name: str
    expect: str
    decision: str | None
    reason: str | None
    policies: tuple[str, ...]
    problem: str


SetOpt = Annotated[
    Path | None,
    typer.Option("--set", metavar="DIR", help="Decide under an exported set, not the live one."),
]


@command(app, "test")
async def run(
    shell: Shell,
    agent: AgentArg,
    file: Annotated[str, typer.Argument(metavar="F", help="Cases: a file, or - for stdin.")],
    *,
    set_: Annotated[
        Path | None,
        typer.Option(
            "--set", metavar="DIR", help="Decide under an exported set, not the live one."
        ),
    ] = None,
) -> Exit | None:
    """Decide a file of expected calls in thought. Exit 9 when one is decided otherwise."""
    cases = read(text_of(file)).cases
    others = None if set_ is None else _brought(set_)
    results = [await _run(shell, agent, number, one, others) for number, one in enumerate(cases, 1)]
    failed = [one for one in results if one.problem]
    lines = [f"✗ {safe_text(one.name)}: {safe_message(one.problem)}" for one in failed]
    lines.append(f"{len(results)} cases, {len(results) - len(failed)} as expected.")
    shell.show(results, "\n".join(lines))
    return Exit.NEGATIVE if failed else None


def read(text: str) -> Expectations:
    """The cases of a file.

    Raises:
        InputFailed: it is no such file, or holds no case.
    """
    try:
        found = msgspec.json.decode(text.encode(), type=Expectations)
    except (msgspec.MsgspecError, UnicodeError) as error:
        message = f"This is no file of cases: {error}. docs/policy-tests.md shows one."
        raise InputFailed(message) from error
    if not found.cases:
        message = "The file holds no case, so it proves nothing. Add one."
        raise InputFailed(message)
    for number, one in enumerate(found.cases, 1):
        if one.entry is not None and one.arguments:
            message = f"Case {number} has arguments and an entry to take them from. Keep one."
            raise InputFailed(message)
    return found


def written(cases: Sequence[Case]) -> str:
    """The file of these cases."""
    encoded = msgspec.json.encode({"version": VERSION, "cases": cases})
    return msgspec.json.format(encoded, indent=2).decode()


def cases_of(entries: Sequence[audit.AuditEntry]) -> Iterator[Case]:
    """A case for each entry that policies decided, in their order."""
    for entry in entries:
        context = entry.fields.get("context")
        if isinstance(context, dict) and entry.decision in {"ALLOW", "DENY"}:
            yield _case(entry, context)


def _case(entry: audit.AuditEntry, context: dict[str, Any]) -> Case:
    is_empty = entry.tool_args == {}
    return Case(
        name=f"{entry.timestamp} {entry.ref}",
        member=entry.member_name or "",
        tool=f"{entry.service}__{entry.tool}",
        arguments={} if is_empty else None,
        entry=None if is_empty else entry.id,
        time=_extension(context.get("time", {}).get("now")),
        ip=_extension(context.get("network", {}).get("ip")) or "127.0.0.1",
        session=_counters(context.get("session", {})),
        expect="ALLOW" if entry.decision == "ALLOW" else "DENY",
        reason=entry.reason_code,
        policies=entry.matched_policy_ids,
    )


def _extension(value: Any) -> str | None:
    """The text inside a value of an extension type."""
    inner = value.get("__extn") if isinstance(value, dict) else None
    return inner.get("arg") if isinstance(inner, dict) else None


def _counters(session: dict[str, Any]) -> simulations.SessionCounters:
    return simulations.SessionCounters(
        calls=session.get("calls", 0),
        denials=session.get("denials", 0),
        tools=tuple(session.get("tools", ())),
        age_seconds=session.get("ageSeconds", 0),
    )


def _brought(directory: Path) -> tuple[simulations.SetPolicy, ...]:
    return tuple(
        simulations.SetPolicy(
            key=one.key, text=one.text, enabled=one.enabled, mode=one.mode, scope=one.member
        )
        for one in policy_directory.read(directory)
    )


async def _run(
    shell: Shell,
    agent: str,
    number: int,
    case: Case,
    others: tuple[simulations.SetPolicy, ...] | None,
) -> Result:
    name = case.name or f"case {number}"
    request = simulations.Simulate(
        agent=agent,
        member=case.member,
        tool=case.tool,
        arguments=case.arguments,
        entry=case.entry,
        time=case.time,
        ip=case.ip,
        session=case.session,
        set=others,
    )
    try:
        found = await shell.call(endpoints.SIMULATE, request)
    except Refused as error:
        if error.body.code not in ABOUT_THE_CASE:
            raise
        return Result(
            name=name,
            expect=case.expect,
            decision=None,
            reason=None,
            policies=(),
            problem=error.body.message,
        )
    return _result(name, case, found.after or found.now)


def _result(name: str, case: Case, found: simulations.Explanation) -> Result:
    keys = tuple(dict.fromkeys(one.policy for one in found.determining))
    problem = ""
    if found.decision != case.expect:
        by = f" by {cell(keys)}" if keys else ""
        problem = f"expected {case.expect}, got {found.decision} ({found.reason}){by}."
    elif case.reason is not None and found.reason != case.reason:
        problem = f"expected {case.expect} for {case.reason}, got {found.reason}."
    elif case.policies is not None and set(case.policies) != set(keys):
        problem = f"expected {case.expect} by {cell(case.policies)}, got it by {cell(keys)}."
    return Result(
        name=name,
        expect=case.expect,
        decision=found.decision,
        reason=found.reason,
        policies=keys,
        problem=problem,
    )
