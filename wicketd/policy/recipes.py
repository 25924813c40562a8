"""Recipes: a typed form becomes the Cedar text of one statement (policy spec, section 6).

Counterpart of `policy.recipe_form`, which says what a form is and refuses what none can mean.
Invariant: pure; no value of a form can bend the text, names are quoted and numbers are numbers.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from wicketd.domain.catalogue import TargetRule, Tier
from wicketd.domain.errors import Invalid
from wicketd.domain.ids import slug
from wicketd.domain.policies import Effect
from wicketd.policy import lexer, recipe_form
from wicketd.policy.recipe_form import Match, Recipe, Surroundings, TargetName
from wicketd.policy.schema import quote

_TIERS: Final = (Tier.READ, Tier.WRITE, Tier.DESTRUCTIVE)
_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Written:
    """A statement's text, not yet formatted, and what its author should know."""

    text: str
    warnings: tuple[str, ...]


def compile(recipe: Recipe, around: Surroundings) -> Written:  # noqa: A001  # the specification's name
    """The statement that a form means.

    Raises:
        Invalid: a field has a value that it cannot have, names what does not exist, or does not go
            with another one.
    """
    recipe_form.require(recipe, around)
    principal, who = _principal(recipe)
    restrictions = _restrictions(recipe, around)
    if recipe.match is Match.OUTSIDE:
        principal, conditions = _outside(principal, who, restrictions)
    else:
        every = [*who, *restrictions]
        conditions = [f"when {{ {_all(every)} }}"] if every else []
    head = f"{recipe.effect.value} ({principal}, {_action(recipe, around)}, {_resource(recipe)})"
    text = " ".join([*_annotations(recipe), head, *conditions]) + ";"
    return Written(text, tuple(_warnings(recipe, around)))


def _annotations(recipe: Recipe) -> list[str]:
    found = [f"@id({quote(slug(recipe.name))})"]
    if recipe.deny_message is not None:
        found.append(f"@deny_message({quote(recipe.deny_message)})")
    return found


def _principal(recipe: Recipe) -> tuple[str, list[str]]:
    """The principal scope, and what has to be said of the principal in a condition."""
    members = [_uid("Wicket::Member", one) for one in sorted(set(recipe.members or ()))]
    groups = [_uid("Wicket::Group", one) for one in sorted(set(recipe.groups or ()))]
    if len(members) + len(groups) == 1:
        return (f"principal == {members[0]}" if members else f"principal in {groups[0]}"), []
    said = [f"principal in {_list(uids)}" for uids in (members, groups) if uids]
    return "principal", [_any(said)] if said else []


def _action(recipe: Recipe, around: Surroundings) -> str:
    if recipe.tools is not None:
        namespace = around.views[recipe.service or ""].namespace
        names = [_uid(f"{namespace}::Action", one) for one in sorted(set(recipe.tools))]
        return f"action in [{', '.join(names)}]"
    if recipe.tiers is not None:
        tiers = [_uid("Wicket::Action", one) for one in _TIERS if one in recipe.tiers]
        return f"action in {_list(tiers)}"
    return "action"


def _resource(recipe: Recipe) -> str:
    """Tools belong to their service anyway; tiers and everything have to be held to it."""
    if recipe.service is None or recipe.tools is not None:
        return "resource"
    return f"resource in {_uid('Wicket::Service', recipe.service)}"


def _outside(principal: str, who: Sequence[str], others: Sequence[str]) -> tuple[str, list[str]]:
    """Everywhere but there. Alone, the members are the restriction; else they stay who is meant."""
    if len(others) > 1:
        raise Invalid("Outside needs one restriction. Write one recipe for each of them.")
    if others:
        found = [f"when {{ {_all(who)} }}"] if who else []
        return principal, [*found, f"unless {{ {others[0]} }}"]
    meant = who[0] if who else principal
    if meant == "principal":
        raise Invalid("Outside needs a restriction. Name hours, targets, networks or members.")
    return "principal", [f"unless {{ {meant} }}"]


def _restrictions(recipe: Recipe, around: Surroundings) -> list[str]:
    """One condition for each restriction that the form names, in the order of its fields."""
    found = [
        _days(recipe.days),
        _hours(recipe.hours_from, recipe.hours_to),
        _dates(recipe, around.tz),
        _targets(recipe, around),
        _networks(recipe.ips),
        _limit("denials", recipe.max_denials, recipe.effect),
        _limit("calls", recipe.max_calls, recipe.effect),
    ]
    return [one for one in found if one]


def _days(days: Sequence[int] | None) -> str:
    if days is None:
        return ""
    listed = sorted(set(days))
    if len(listed) == 1:
        return f"context.time.weekday == {listed[0]}"
    return f"[{', '.join(map(str, listed))}].contains(context.time.weekday)"


def _hours(first: int | None, last: int | None) -> str:
    since = f"context.time.hour >= {first}" if first is not None else ""
    until = f"context.time.hour <= {last}" if last is not None else ""
    wraps = first is not None and last is not None and first > last
    return (" || " if wraps else " && ").join(one for one in (since, until) if one)


def _dates(recipe: Recipe, tz: str) -> str:
    since, until = recipe.active_from, recipe.active_to
    found = []
    if since is not None:
        found.append(f"context.time.now >= {_midnight(since, tz)}")
    if until is not None:
        found.append(f"context.time.now < {_midnight(until + timedelta(days=1), tz)}")
    return " && ".join(found)


def _midnight(day: date, tz: str) -> str:
    """The first instant of a day as a literal, with the zone's offset at that instant."""
    start = datetime.combine(day, time(), ZoneInfo(tz))
    return f'datetime("{start:%Y-%m-%dT%H:%M:%S%z}")'


def _targets(recipe: Recipe, around: Surroundings) -> str:
    if recipe.targets is None:
        return ""
    view = around.views[recipe.service or ""]
    kinds = [*dict.fromkeys(rule.entity for rule in view.targets), *_above(view.targets)]
    said = []
    for kind in dict.fromkeys(kinds):
        ids = {_target_id(one, view.targets) for one in recipe.targets if one.type == kind}
        uids = [_uid(f"{view.namespace}::{kind}", one) for one in sorted(ids)]
        if uids:
            said.append(f"resource in {_list(uids)}")
    return " || ".join(said)


def _above(rules: Iterable[TargetRule]) -> list[str]:
    return [entity for rule in rules for entity, _ in rule.parents]


def _target_id(target: TargetName, rules: Sequence[TargetRule]) -> str:
    """The id as calls give it: folded where their arguments are, and of a form that they can have.

    Raises:
        Invalid: no call can have it.
    """
    for rule in rules:
        templates = [rule.id] if rule.entity == target.type else []
        templates += [template for entity, template in rule.parents if entity == target.type]
        for template in templates:
            found = _folded(target.id, template, rule)
            if found is not None:
                return found
    message = (
        f"No call can have the {target.type} {target.id[:80]!r}. Write it as the service does."
    )
    raise Invalid(message)


def _folded(target_id: str, template: str, rule: TargetRule) -> str | None:
    """An id as the template gives it of arguments, None if it gives no such id."""
    literals = _PLACEHOLDER.split(template)
    pattern = re.escape(literals[0])
    for number, literal in enumerate(literals[1:]):
        pattern += f"(?P<part{number}>{rule.pattern}){re.escape(literal)}"
    folds = rule.fold == "lower"
    match = re.fullmatch(pattern, target_id, re.IGNORECASE if folds else re.NOFLAG)
    if match is None:
        return None
    parts = [match[f"part{number}"] for number in range(len(literals) - 1)]
    folded = [part.lower() if folds else part for part in parts]
    return literals[0] + "".join(p + s for p, s in zip(folded, literals[1:], strict=True))


def _networks(ips: Sequence[str] | None) -> str:
    listed = [*dict.fromkeys(recipe_form.network(one) for one in ips or ())]
    return " || ".join(f"context.network.ip.isInRange(ip({quote(one)}))" for one in listed)


def _limit(counter: str, limit: int | None, effect: Effect) -> str:
    """A session's counter: a permit holds below the limit, a forbid from it on."""
    if limit is None:
        return ""
    return f"context.session.{counter} {'<' if effect is Effect.PERMIT else '>='} {limit}"


def _all(conditions: Sequence[str]) -> str:
    """All of these; alternatives among several are bracketed."""
    if len(conditions) == 1:
        return conditions[0]
    return " && ".join(f"({one})" if " || " in _outer(one) else one for one in conditions)


def _outer(condition: str) -> str:
    """A condition without its string literals: a name may hold anything."""
    return "".join(token.text for token in lexer.lex(condition) if token.kind != "string")


def _any(conditions: Sequence[str]) -> str:
    return " || ".join(conditions)


def _uid(kind: str, name: str) -> str:
    return f"{kind}::{quote(name)}"


def _list(uids: Sequence[str]) -> str:
    return uids[0] if len(uids) == 1 else f"[{', '.join(uids)}]"


def _warnings(recipe: Recipe, around: Surroundings) -> list[str]:
    """What the text says besides, and an author may not have thought of."""
    found = []
    if recipe.active_from is not None or recipe.active_to is not None:
        found.append(
            f"The dates are written for {around.tz}. Write the recipe anew when the zone changes."
        )
    if recipe.targets is not None:
        without = [one for one in around.chosen(recipe) if not one.needs_target]
        if without:
            names = ", ".join(sorted(one.name for one in without)[:5])
            found.append(
                f"Calls without a target do not count as one of these targets: {names}"
                f"{' and others' if len(without) > 5 else ''}."
            )
    return found
