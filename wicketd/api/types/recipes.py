"""Recipes on the wire: a form that becomes Cedar text. Field names are those of the hosted form."""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

from wicketd.api.types.policies import PolicyName, Problem

Preset = Literal[
    "read-only",
    "block-destructive",
    "business-hours",
    "only-targets",
    "circuit-breaker",
    "per-member",
    "date-window",
    "network",
]
Name = Annotated[str, Meta(max_length=512)]
Names = Annotated[tuple[Name, ...], Meta(max_length=200)]
Tiers = Annotated[tuple[Literal["read", "write", "destructive"], ...], Meta(max_length=3)]
Days = Annotated[tuple[int, ...], Meta(max_length=7)]


class RecipeTarget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A resource that tools work on. `type`: its entity type without the service's namespace."""

    type: Name
    id: Name


class RecipePrincipal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a statement is about; members by e-mail or local name."""

    type: Literal["all_members", "specific_members"] = "all_members"
    members: Names | None = None
    groups: Names | None = None


class RecipeWrite(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A form. Without `preset` it needs `name` and `effect`; what is absent does not restrict.

    `daysOfWeek`: 0 is Sunday; `hoursTo`, `activeTo`: inclusive, in the agent's zone; `scope`: the
    member whose record it is to be, on an untrusted agent.
    """

    agent: str
    preset: Preset | None = None
    name: PolicyName | None = None
    effect: Literal["permit", "forbid"] | None = None
    service: Name | None = None
    tools: Names | None = None
    tiers: Tiers | None = None
    principal: RecipePrincipal | None = None
    days_of_week: Days | None = None
    hours_from: int | None = None
    hours_to: int | None = None
    active_from: date | None = None
    active_to: date | None = None
    targets: Annotated[tuple[RecipeTarget, ...], Meta(max_length=200)] | None = None
    ips: Names | None = None
    max_denials: int | None = None
    max_calls: int | None = None
    deny_message: Annotated[str, Meta(max_length=1000)] | None = None
    match: Literal["inside", "outside"] | None = None
    scope: str | None = None


class RecipeText(Struct, frozen=True, kw_only=True):
    """The Cedar text, formatted and checked; nothing is stored.

    `warnings`: what an author should know; `problems`: what a save would find.
    """

    name: str
    text: str
    warnings: tuple[str, ...]
    problems: tuple[Problem, ...]
