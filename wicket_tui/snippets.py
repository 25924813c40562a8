"""Whole statements to begin with: recipes, filled in with what this agent has.

Pure. A snippet names only what the agent has; one that needs a service or a member is left out
where there is none. Each parses and validates as it stands.
Source: policy specification, section 6.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from wicketd.api.types.names import Names


@dataclass(frozen=True, slots=True)
class Snippet:
    """`name`: of the recipe; `text`: a statement; `help`: what it does, in one line."""

    name: str
    text: str
    help: str


def snippets(names: Names) -> Iterator[Snippet]:
    """The recipes that the agent's names can fill."""
    service = _literal("Wicket::Service", names.services[0].key) if names.services else None
    if service is not None:
        yield from _of_service(service)
    yield Snippet(
        "block-destructive",
        '@id("block-destructive")\n@deny_message("Destructive tools are blocked.")\n'
        'forbid (principal, action in Wicket::Action::"destructive", resource);',
        "Nobody calls a tool of the tier destructive.",
    )
    yield Snippet(
        "circuit-breaker",
        '@id("session-circuit-breaker")\n'
        '@deny_message("Too many denied calls in this session.")\n'
        "forbid (principal, action, resource)\nwhen { context.session.denials >= 3 };",
        "After three denied calls a tool session is over.",
    )
    yield Snippet(
        "network",
        '@id("office-network-only")\n@deny_message("Allowed from the office network only.")\n'
        "forbid (principal, action, resource)\n"
        'unless { context.network.ip.isInRange(ip("10.0.0.0/8")) };',
        "Calls come from one network only.",
    )
    if names.members and service is not None:
        yield _per_member(names.members[0], service)


def _of_service(service: str) -> Iterator[Snippet]:
    yield Snippet(
        "read-only",
        '@id("read-only")\npermit (principal, action in Wicket::Action::"read", '
        f"resource in {service});",
        "Every member may read, nothing more.",
    )
    yield Snippet(
        "business-hours",
        '@id("business-hours-writes")\npermit (principal, action in Wicket::Action::"write", '
        f"resource in {service})\n"
        "when {\n  [1, 2, 3, 4, 5].contains(context.time.weekday) &&\n"
        "  context.time.hour >= 9 && context.time.hour <= 17\n};",
        "Writing is allowed on working days from 9 to 18, in the agent's zone.",
    )
    yield Snippet(
        "date-window",
        '@id("december")\npermit (principal, action in Wicket::Action::"read", '
        f"resource in {service})\n"
        'when {\n  context.time.now >= datetime("2026-12-01T00:00:00+0000") &&\n'
        '  context.time.now < datetime("2027-01-01T00:00:00+0000")\n};',
        "Reading is allowed from one date to another.",
    )


def _per_member(member: str, service: str) -> Snippet:
    return Snippet(
        "per-member",
        '@id("writes-for-one-member")\npermit (principal, action in Wicket::Action::"write", '
        f"resource in {service})\nwhen {{ principal in [{_literal('Wicket::Member', member)}] }};",
        "Writing is allowed to the members of a list.",
    )


def _literal(of: str, name: str) -> str:
    return f"{of}::{quoted(name)}"


def quoted(value: str) -> str:
    """A Cedar string literal."""
    plain = "".join(
        "\\" + one if one in {'"', "\\"} else one if one.isprintable() else f"\\u{{{ord(one):x}}}"
        for one in value
    )
    return f'"{plain}"'
