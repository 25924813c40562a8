"""The form of a recipe, and what a form cannot say (policy spec, section 6).

Counterpart of `policy.recipes`, which writes the text. Invariant: pure; every refusal names the
field and ends with the next step.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from wicketd.domain.catalogue import ServiceView, Tier
from wicketd.domain.errors import Invalid
from wicketd.domain.ids import LABEL, slug
from wicketd.domain.policies import Effect
from wicketd.policy import lexer
from wicketd.policy.schema import CedarSchema, ToolShape

MAX_ITEMS: Final = 200
"""Of each list of a form."""
MAX_NAME: Final = 120
MAX_LIMIT: Final = 1_000_000
MAX_MESSAGE: Final = 500
FIRST_DAY: Final = date(1970, 1, 1)
LAST_DAY: Final = date(9998, 12, 31)

_DECEPTIVE: Final = re.compile(f"[\\t\\r\\n{lexer.DECEPTIVE}]")


class Match(StrEnum):
    """Whether the statement holds inside the restriction or everywhere but there."""

    INSIDE = "inside"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class TargetName:
    """A resource that tools work on. `type`: as the service names it, without its namespace."""

    type: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a statement is to say. A list that is None does not restrict, an empty one is refused.

    `service` None: every service. `members`: principals as policies name them; both None: everyone.
    `days`: 0 is Sunday; `hours_to` is inclusive, so 17 lasts to 17:59; a window that starts later
    than it ends wraps midnight. `active_to` is inclusive; days and hours are the agent's.
    `max_denials`, `max_calls`: of a tool session; a permit ends and a forbid begins there.
    """

    name: str
    effect: Effect
    service: str | None = None
    tools: tuple[str, ...] | None = None
    tiers: tuple[Tier, ...] | None = None
    members: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    days: tuple[int, ...] | None = None
    hours_from: int | None = None
    hours_to: int | None = None
    active_from: date | None = None
    active_to: date | None = None
    targets: tuple[TargetName, ...] | None = None
    ips: tuple[str, ...] | None = None
    max_denials: int | None = None
    max_calls: int | None = None
    deny_message: str | None = None
    match: Match = Match.INSIDE


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a form is read in: the agent's services and zone."""

    schema: CedarSchema
    views: Mapping[str, ServiceView]
    tz: str

    def shapes(self, service: str) -> list[ToolShape]:
        """The tools of a service."""
        return [one for one in self.schema.shapes.values() if one.service == service]

    def chosen(self, recipe: Recipe) -> list[ToolShape]:
        """The tools that a form is about, of its service."""
        tools, tiers = recipe.tools, recipe.tiers
        return [
            one
            for one in self.schema.shapes.values()
            if (recipe.service is None or one.service == recipe.service)
            and (tools is None or one.name in tools)
            and (tiers is None or one.tier in tiers)
        ]


def require(recipe: Recipe, around: Surroundings) -> None:
    """Lets a form pass that means something.

    Raises:
        Invalid: a field has a value that it cannot have, names what does not exist, or does not go
            with another one.
    """
    refusals = (_texts, _lists, _times, _limits, _service, _targets)
    for refused in refusals:
        for sentence in refused(recipe, around):
            raise Invalid(sentence)


def network(text: str) -> str:
    """A network or address in its one spelling.

    Raises:
        Invalid: it is none, has bits set behind its prefix, or no caller can be in it.
    """
    try:
        found = ipaddress.ip_network(text)
    except ValueError as error:
        message = f"{text[:60]!r} is no network. Write it like 10.0.0.0/8 or 2001:db8::/32."
        raise Invalid(message) from error
    first = found.network_address
    if isinstance(first, ipaddress.IPv6Address) and (first.ipv4_mapped or first.scope_id):
        message = f"No caller is seen with an address in {text[:60]!r}. Write the plain network."
        raise Invalid(message)
    return str(first) if found.prefixlen == found.max_prefixlen else str(found)


def _texts(recipe: Recipe, _: Surroundings) -> Iterator[str]:
    if not slug(recipe.name) or len(recipe.name) > MAX_NAME or _DECEPTIVE.search(recipe.name):
        yield f"A name has 1 to {MAX_NAME} visible characters, a letter or digit among them."
    message = recipe.deny_message
    if message is None:
        return
    if recipe.effect is not Effect.FORBID:
        yield "Only a forbid has a deny message. Leave it out, or forbid."
    if not 1 <= len(message) <= MAX_MESSAGE or _DECEPTIVE.search(message):
        yield f"A deny message has 1 to {MAX_MESSAGE} visible characters. Shorten or correct it."


def _lists(recipe: Recipe, _: Surroundings) -> Iterator[str]:
    lists: Mapping[str, Sequence[object] | None] = {
        "tools": recipe.tools,
        "tiers": recipe.tiers,
        "members": recipe.members,
        "groups": recipe.groups,
        "days": recipe.days,
        "targets": recipe.targets,
        "ips": recipe.ips,
    }
    for name, values in lists.items():
        if values is not None and not 1 <= len(values) <= MAX_ITEMS:
            yield f"The list of {name} has 1 to {MAX_ITEMS} entries. Leave it out not to restrict."
    for group in recipe.groups or ():
        if not LABEL.fullmatch(group):
            yield f"{group[:80]!r} is no group: 1 to 64 of A-Z, a-z, 0-9, _, dot and -. Correct it."
    for member in recipe.members or ():
        if not member or len(member) > 254 or _DECEPTIVE.search(member):
            yield f"{member[:80]!r} is no member. Give an e-mail address or a local name."
    for one in recipe.ips or ():
        network(one)


def _times(recipe: Recipe, _: Surroundings) -> Iterator[str]:
    for day in recipe.days or ():
        if not 0 <= day <= 6:
            yield f"{day} is no day. Days go from 0, Sunday, to 6, Saturday."
    for hour in (recipe.hours_from, recipe.hours_to):
        if hour is not None and not 0 <= hour <= 23:
            yield f"{hour} is no hour. Hours go from 0 to 23."
    since, until = recipe.active_from, recipe.active_to
    for one in (since, until):
        if one is not None and not FIRST_DAY <= one <= LAST_DAY:
            yield f"{one} is out of range. Give a day from {FIRST_DAY} to {LAST_DAY}."
    if since is not None and until is not None and until < since:
        yield f"The window ends on {until}, before it begins on {since}. Swap the two days."


def _limits(recipe: Recipe, _: Surroundings) -> Iterator[str]:
    for limit in (recipe.max_denials, recipe.max_calls):
        if limit is not None and not 1 <= limit <= MAX_LIMIT:
            yield f"{limit} is no limit. A limit goes from 1 to {MAX_LIMIT}."
        if limit is not None and recipe.match is Match.OUTSIDE:
            yield "A limit has no outside. Leave `match` out, or the limit."


def _service(recipe: Recipe, around: Surroundings) -> Iterator[str]:
    if recipe.tools is not None and recipe.tiers is not None:
        yield "A recipe names tools or tiers, not both. Leave one of them out."
    if recipe.service is None:
        if recipe.tools is not None or recipe.targets is not None:
            yield "Tools and targets belong to a service. Name the service."
        return
    if recipe.service not in around.views:
        yield f"The agent has no service {recipe.service[:40]!r}. Enable it, or correct the key."
        return
    known = {one.name for one in around.shapes(recipe.service)}
    for tool in recipe.tools or ():
        if tool not in known:
            yield f"{recipe.service} has no tool {tool[:120]!r}. List its tools to see their names."


def _targets(recipe: Recipe, around: Surroundings) -> Iterator[str]:
    if recipe.targets is None or recipe.service is None:
        return
    rules = around.views[recipe.service].targets
    known = {rule.entity for rule in rules} | {kind for rule in rules for kind, _ in rule.parents}
    for target in recipe.targets:
        if target.type not in known:
            named = ", ".join(sorted(known)) or "none"
            yield f"{recipe.service} has no target type {target.type[:60]!r}. It has: {named}."
    namespace = around.views[recipe.service].namespace
    named_types = {f"{namespace}::{rule.entity}" for rule in rules}
    chosen = around.chosen(recipe)
    if chosen and not any(named_types & set(one.types) for one in chosen):
        yield "None of these tools works on a target. Leave the targets out, or name other tools."
