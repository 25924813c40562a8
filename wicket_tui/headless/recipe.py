"""`wicket policy recipe`: a form on the command line becomes Cedar text on stdout."""

import re
from datetime import date
from typing import Annotated, Final, Literal, TypeVar

import typer

from wicket_tui.headless.arguments import AgentArg
from wicket_tui.headless.command import Shell, command
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import finding, note
from wicket_tui.headless.policy import app
from wicket_tui.headless.stdin import InputFailed
from wicketd.api import policy_endpoints
from wicketd.api.text import safe_message, safe_text
from wicketd.api.types import recipes

S = TypeVar("S", bound=str)
T = TypeVar("T")

_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_TIERS: Final[tuple[Literal["read", "write", "destructive"], ...]] = (
    "read",
    "write",
    "destructive",
)
_HOURS: Final = re.compile(r"([0-9]{1,2})?-([0-9]{1,2})?")

NameArg = Annotated[
    Literal[
        "read-only",
        "block-destructive",
        "business-hours",
        "only-targets",
        "circuit-breaker",
        "per-member",
        "date-window",
        "network",
        "custom",
    ],
    typer.Argument(metavar="NAME", help="Where the form starts; custom needs --name, --effect."),
]
ToolOpt = Annotated[list[str] | None, typer.Option("--tool", help="A tool; may be repeated.")]
TierOpt = Annotated[
    list[str] | None,
    typer.Option("--tier", help="read, write or destructive; may be repeated."),
]
MemberOpt = Annotated[
    list[str] | None, typer.Option("--member", help="E-mail or local name; may be repeated.")
]
GroupOpt = Annotated[list[str] | None, typer.Option("--group", help="A group; may be repeated.")]
DayOpt = Annotated[
    list[str] | None,
    typer.Option("--day", help="sun, mon, tue, wed, thu, fri or sat; may be repeated."),
]
TargetOpt = Annotated[
    list[str] | None,
    typer.Option("--target", help="TYPE=ID, such as Repository=acme/api; may be repeated."),
]
IpOpt = Annotated[
    list[str] | None, typer.Option("--ip", help="An address or network; may be repeated.")
]
ScopeOpt = Annotated[
    str | None, typer.Option("--scope", help="Untrusted agents: the member whose record it is.")
]


@command(app, "recipe")
async def recipe(  # noqa: PLR0913  # one parameter a field of the form
    shell: Shell,
    agent: AgentArg,
    preset: NameArg,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Its slug is the @id.")] = None,
    effect: Annotated[
        Literal["permit", "forbid"] | None, typer.Option("--effect", help="Allow or deny.")
    ] = None,
    service: Annotated[str | None, typer.Option("--service", help="Its connector's key.")] = None,
    tool: ToolOpt = None,
    tier: TierOpt = None,
    member: MemberOpt = None,
    group: GroupOpt = None,
    day: DayOpt = None,
    hours: Annotated[
        str | None, typer.Option("--hours", help="9-17 lasts to 17:59; 22-5 wraps midnight.")
    ] = None,
    first_day: Annotated[str | None, typer.Option("--from", help="YYYY-MM-DD.")] = None,
    last_day: Annotated[str | None, typer.Option("--to", help="YYYY-MM-DD, inclusive.")] = None,
    target: TargetOpt = None,
    ip: IpOpt = None,
    max_denials: Annotated[int | None, typer.Option("--max-denials", help="A session's.")] = None,
    max_calls: Annotated[int | None, typer.Option("--max-calls", help="A session's.")] = None,
    deny_message: Annotated[
        str | None, typer.Option("--deny-message", help="What the caller is told.")
    ] = None,
    outside: Annotated[
        bool, typer.Option("--outside", help="Everywhere but inside the restriction.")
    ] = False,
    scope: ScopeOpt = None,
) -> Exit | None:
    """Write a policy's text from a form; nothing is saved. Exit 6 when it has errors."""
    since, until = _hours(hours)
    request = recipes.RecipeWrite(
        agent=agent,
        preset=None if preset == "custom" else preset,
        name=name,
        effect=effect,
        service=service,
        tools=_given(tool),
        tiers=_given([_one_of(_TIERS, one, "tier") for one in tier or ()]),
        principal=_principal(_given(member), _given(group)),
        days_of_week=_given([_DAYS.index(_one_of(_DAYS, one, "day")) for one in day or ()]),
        hours_from=since,
        hours_to=until,
        active_from=_day(first_day),
        active_to=_day(last_day),
        targets=_given([_target(one) for one in target or ()]),
        ips=_given(ip),
        max_denials=max_denials,
        max_calls=max_calls,
        deny_message=deny_message,
        match="outside" if outside else None,
        scope=scope,
    )
    found = await shell.call(policy_endpoints.RECIPE_WRITE, request)
    shell.show(found, safe_text(found.text, limit=1 << 20, multiline=True).rstrip("\n"))
    for sentence in (*map(safe_message, found.warnings), *map(finding, found.problems)):
        note(sentence)
    has_errors = any(problem.severity == "error" for problem in found.problems)
    return Exit.INVALID if has_errors else None


def _given(values: list[T] | None) -> tuple[T, ...] | None:
    """What an option was given; None if it was not."""
    return tuple(values) if values else None


def _one_of(known: tuple[S, ...], text: str, noun: str) -> S:
    """The known word that was typed."""
    for one in known:
        if one == text.lower():
            return one
    message = f"{text[:40]!r} is no {noun}. Choose from {', '.join(known)}."
    raise InputFailed(message)


def _principal(
    members: tuple[str, ...] | None, groups: tuple[str, ...] | None
) -> recipes.RecipePrincipal | None:
    if members is None and groups is None:
        return None
    return recipes.RecipePrincipal(type="specific_members", members=members, groups=groups)


def _hours(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    match = _HOURS.fullmatch(text)
    if match is None or text == "-":
        message = f"{text[:20]!r} are no hours. Write them like 9-17."
        raise InputFailed(message)
    first, last = match.groups()
    return (None if first is None else int(first)), (None if last is None else int(last))


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no day. Write it like 2026-12-31."
        raise InputFailed(message) from error


def _target(text: str) -> recipes.RecipeTarget:
    kind, sign, name = text.partition("=")
    if not sign or not kind or not name:
        message = f"{text[:80]!r} is no target. Write it like Repository=acme/api."
        raise InputFailed(message)
    return recipes.RecipeTarget(type=kind, id=name)
