"""Turns members, tools and targets into Cedar entities, and one call's facts into its context.

Counterpart of `policy.schema`, whose types these fill (policy spec, 1.3). Invariant: pure; ids come
from stored facts and mapped targets only, never from arguments as they came.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from wicketd.domain.catalogue import Target
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.members import Member
from wicketd.domain.sessions import SessionFacts
from wicketd.policy.encode import Encoded
from wicketd.policy.schema import ToolShape

Uid = tuple[str, str]
"""Full entity type and id."""


class Kind(StrEnum):
    """What a request asks for."""

    TOOL = "tool"
    PROMPT = "prompt"
    RESOURCE = "resource"


ACTIONS: Final = {
    Kind.PROMPT: ("Wicket::Action", "get_prompt"),
    Kind.RESOURCE: ("Wicket::Action", "read_resource"),
}
"""Actions of requests that no tool answers; they have no ancestors."""
RESOURCES: Final = {Kind.PROMPT: "Wicket::Prompt", Kind.RESOURCE: "Wicket::Resource"}
"""The types of what they ask for."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a call is about before its target is known.

    Action, its ancestors, and the unmapped resource.
    """

    action: Uid
    groups: tuple[Uid, ...]
    resource: Uid
    attrs: JsonObject
    service: str
    types: tuple[str, ...]
    """Every resource type of the action."""
    actions: frozenset[Uid]
    """The action and its ancestors: what an action scope may name to match."""


class ActionAt(msgspec.Struct, frozen=True):
    """What statements can match the calls of an action in a service by; travels to the child."""

    action: Uid
    groups: tuple[Uid, ...]
    service: str
    types: tuple[str, ...]

    @classmethod
    def of(cls, shape: ToolShape) -> "ActionAt":
        """A tool of a schema."""
        return cls(shape.action, shape.groups, shape.service, shape.types)

    @classmethod
    def other(cls, kind: Kind, service: str) -> "ActionAt":
        """The prompts or the resources of a service."""
        return cls(ACTIONS[kind], (), service, (RESOURCES[kind],))

    def subject(self) -> Subject:
        """The subject of its calls, which no question about actions asks for attributes."""
        actions = frozenset((self.action, *self.groups))
        nothing = ("Wicket::Tool", "")
        return Subject(self.action, self.groups, nothing, {}, self.service, self.types, actions)


def tool_subject(shape: ToolShape) -> Subject:
    """The subject of a tool call, with the hints that policies read on `Wicket::Tool`."""
    hints = shape.hints
    attrs: JsonObject = {
        "name": shape.name,
        "tier": shape.tier.value,
        "readOnly": hints.read_only,
        "destructive": hints.destructive,
        "idempotent": hints.idempotent,
        "openWorld": hints.open_world,
        "annotated": hints.annotated,
    }
    resource = ("Wicket::Tool", shape.front_name)
    actions = frozenset((shape.action, *shape.groups))
    return Subject(shape.action, shape.groups, resource, attrs, shape.service, shape.types, actions)


def other_subject(kind: Kind, service: str, name: str) -> Subject:
    """The subject of a prompt (`name`) or resource (`name`: its URI as the upstream knows it)."""
    if kind is Kind.PROMPT:
        uid, attrs = (RESOURCES[kind], f"{service}__{name}"), {"name": name}
    else:
        uid, attrs = (RESOURCES[kind], f"{service}+{name}"), {"uri": name}
    action = ACTIONS[kind]
    return Subject(action, (), uid, dict(attrs), service, (uid[0],), frozenset((action,)))


def kind_of(resource: str | None) -> Kind:
    """What a call asked for, by the resource that its row recorded."""
    for kind, name in ((Kind.PROMPT, "Prompt"), (Kind.RESOURCE, "Resource")):
        if resource is not None and resource.startswith(f'Wicket::{name}::"'):
            return kind
    return Kind.TOOL


def subject_of(
    tools: Mapping[tuple[str, str], Subject], kind: Kind, service: str, name: str
) -> Subject | None:
    """The subject of a request; None for a tool that the catalogue does not hold."""
    if kind is not Kind.TOOL:
        return other_subject(kind, service, name)
    return tools.get((service, name))


def member_uid(member: Member) -> Uid:
    """The principal of a member's calls."""
    return ("Wicket::Member", member.principal)


def facts(member: Member) -> tuple[object, ...]:
    """Everything of a member that its entity shows; equal for equal entities."""
    return (member.email, member.local_name, member.role, member.groups, member.tags)


def member_attrs(member: Member) -> JsonObject:
    """What policies read on the principal."""
    return {
        "email": member.email or "",
        "role": member.role.value,
        "tags": list(member.tags),
    }


def stable(agent_key: str, member: Member, subject: Subject) -> list[Json]:
    """The entities that all calls of one member and action share: one handle of a snapshot.

    The action comes with its ancestors; without them `action in <tier>` is false and a forbid is
    skipped (E14).
    """
    agent = ("Wicket::Agent", agent_key)
    service = ("Wicket::Service", subject.service)
    groups = [("Wicket::Group", group) for group in sorted(set(member.groups))]
    return [
        _entity(agent),
        *(_entity(group) for group in groups),
        _entity(member_uid(member), member_attrs(member), (agent, *groups)),
        _entity(service),
        _entity(subject.resource, subject.attrs, (service,)),
        *(_entity(group, parents=_above(group, subject.groups)) for group in subject.groups),
        _entity(subject.action, parents=subject.groups),
    ]


def of_action(subject: Subject) -> list[Json]:
    """The action of a subject with its ancestors, for questions about no member and no call."""
    return [
        *(_entity(group, parents=_above(group, subject.groups)) for group in subject.groups),
        _entity(subject.action, parents=subject.groups),
    ]


def _above(group: Uid, groups: tuple[Uid, ...]) -> tuple[Uid, ...]:
    """Each group action lies in `call_tool`, as the schema says."""
    root = ("Wicket::Action", "call_tool")
    return (root,) if group != root and root in groups else ()


def mapped(target: Target, service: str) -> list[Json]:
    """The entities of a mapped resource: itself and its parents, all of them in the service."""
    above = ("Wicket::Service", service)
    parents = tuple(dict.fromkeys(target.parents))
    return [
        _entity((target.type, target.id), dict(target.attrs), (*parents, above)),
        *(_entity(parent, parents=(above,)) for parent in parents),
    ]


def by_uid(made: Iterable[Json]) -> tuple[tuple[Uid, Json], ...]:
    """Entities with their uids; for putting those of several calls together."""
    return tuple((_uid(one), one) for one in made)


def _uid(entity: Json) -> Uid:
    uid = entity["uid"] if isinstance(entity, dict) else None
    if not isinstance(uid, dict):
        message = "The entity has an unknown form."
        raise TypeError(message)
    return str(uid["type"]), str(uid["id"])


def uid_json(uid: Uid) -> JsonObject:
    """A uid as the engine takes it without parsing text (E13)."""
    return {"type": uid[0], "id": uid[1]}


def _entity(uid: Uid, attrs: JsonObject | None = None, parents: tuple[Uid, ...] = ()) -> Json:
    return {
        "uid": uid_json(uid),
        "attrs": attrs or {},
        "parents": [uid_json(parent) for parent in parents],
    }


def address(text: str) -> str:
    """A caller's IP as policies compare it: IPv4-mapped IPv6 unwrapped, zone cut, never a range.

    Raises:
        ValueError: it is no single address.
    """
    found = ipaddress.ip_address(text.partition("%")[0])
    mapped_v4 = getattr(found, "ipv4_mapped", None)
    return str(mapped_v4 or found)


def context(
    encoded: Encoded, at_ms: int, tz: str, session: SessionFacts, ip: str
) -> dict[str, Json]:
    """`context` of a request; one clock reading gives all of `time`. `ip`: from `address`.

    Raises:
        ValueError, OverflowError, KeyError: the instant or the zone does not exist.
    """
    return {
        "input": encoded.input_json,
        "unmodelled": list(encoded.unmodelled),
        "time": _time(at_ms, tz),
        "session": session_json(session, session.tools),
        "network": {"ip": _extension("ip", ip)},
    }


def session_json(session: SessionFacts, tools: Sequence[str]) -> JsonObject:
    """`context.session`, with the tools that are to be seen."""
    return {
        "calls": session.calls,
        "denials": session.denials,
        "tools": list(tools),
        "ageSeconds": session.age_seconds,
    }


def _time(at_ms: int, tz: str) -> JsonObject:
    seconds, ms = divmod(at_ms, 1000)
    utc = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    local = datetime.fromtimestamp(seconds, ZoneInfo(tz))
    return {
        "now": _extension("datetime", f"{utc.isoformat()}.{ms:03d}Z"),
        "hour": local.hour,
        "minute": local.minute,
        "weekday": local.isoweekday() % 7,
        "date": local.date().isoformat(),
    }


def _extension(function: str, argument: str) -> JsonObject:
    return {"__extn": {"fn": function, "arg": argument}}
