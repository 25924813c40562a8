"""What statements can tell two requests apart by: attributes they read, entities they name.

Counterparts: `policy.batches` and `policy.listing` ask the engine once for what reads alike,
`policy.engine` gives the JSON form that is read here. Invariant: pure, and never too little: an
expression of another form than those that are followed counts as reading everything it mentions.

Exact for two reasons. Cedar has no computed attribute access, so no decision depends on an
attribute that no statement names (policy spec, E11). And it cannot make up an entity, so a member,
group or target that no statement names decides like any other of its type.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from wicketd.domain.json import JsonObject
from wicketd.domain.members import Member
from wicketd.policy import entities
from wicketd.policy.decisions import PolicyRequest, Question
from wicketd.policy.entities import Subject, Uid

Path: TypeAlias = tuple[str, ...]
"""A variable and attributes below it: `("context", "input", "text")`."""

_LOOK_AT_UID: Final = frozenset({"==", "!=", "in", "is"})
"""Operators that ask which entity an operand is, and read none of its attributes."""
_ENTITIES: Final = frozenset({"principal", "action", "resource"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What some statements read. `paths`: none below another; `uids`: the entities they name."""

    paths: tuple[Path, ...]
    uids: frozenset[Uid]

    def joined(self, other: "Reading") -> "Reading":
        """What either reads."""
        return Reading(_topmost({*self.paths, *other.paths}), self.uids | other.uids)

    def digest(self, request: PolicyRequest, question: Question) -> bytes:
        """SHA-256 of what is read of a request, its action apart."""
        member, target = request.member, request.target
        attrs = question.subject.attrs if target is None else target.attrs
        values = self._values(member, attrs, question.context)
        known = self._known(member, (question.resource, *question.parents))
        return _sha256((question.resource[0], known, values))

    def digest_of_item(self, member: Member, subject: Subject) -> bytes:
        """The same of a tool, prompt or resource in a list, its service and types apart."""
        known = self._known(member, (*subject.actions, subject.resource))
        return _sha256((known, self._values(member, subject.attrs, {})))

    def _values(
        self, member: Member, resource: Mapping[str, Any], context: Mapping[str, Any]
    ) -> list[list[Any] | None]:
        """What stands at each path."""
        documents: dict[str, Mapping[str, Any]] = {
            "principal": entities.member_attrs(member),
            "resource": resource,
            "context": context,
        }
        return [_value(documents.get(path[0], {}), path) for path in self.paths]

    def _known(self, member: Member, uids: Iterable[Uid]) -> list[Uid]:
        """The entities of a request that the statements name, in one order."""
        groups = {("Wicket::Group", group) for group in member.groups}
        return sorted({entities.member_uid(member), *groups, *uids} & self.uids)


def of(form: str) -> Reading | None:
    """What statements in the JSON policy form read; None if they nest too deep to be followed."""
    try:
        document = msgspec.json.decode(form)
    except RecursionError:
        return None
    paths: set[Path] = set()
    uids: set[Uid] = set()
    for node in _nodes(document, paths):
        kind, name = node.get("type"), node.get("id")
        if isinstance(kind, str) and isinstance(name, str):
            uids.add((kind, name))
    return Reading(_topmost(paths), frozenset(uids))


def _sha256(seen: object) -> bytes:
    return hashlib.sha256(msgspec.json.encode(seen)).digest()


def _topmost(paths: Collection[Path]) -> tuple[Path, ...]:
    above = {path for path in paths if any(path[:n] in paths for n in range(1, len(path)))}
    return tuple(sorted(set(paths) - above))


def _nodes(document: Any, paths: set[Path]) -> Iterator[dict[str, Any]]:
    """Every object of the form; what variables are read goes into `paths`."""
    stack = [document]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            path = _path(node)
            if path is not None:
                paths.add(path)
                continue
            yield node
            for operator, below in node.items():
                stack += _operands(operator, below)


def _operands(operator: str, below: Any) -> list[Any]:
    """What is to be followed of an operator's operands."""
    if operator == "Record" and isinstance(below, dict):
        return [*below.values()]  # its keys are names, also where one is spelled like an operator
    if operator not in _LOOK_AT_UID or not isinstance(below, dict):
        return [below]
    return [one for one in below.values() if not _is_entity(one)]


def _is_entity(node: Any) -> bool:
    return isinstance(node, dict) and len(node) == 1 and node.get("Var") in _ENTITIES


def _path(node: dict[str, Any]) -> Path | None:
    """The path that an expression is; None if it is none. What `has` asks for is read whole."""
    steps: list[str] = []
    while len(node) == 1:
        ((operator, inner),) = node.items()
        if operator == "Var" and isinstance(inner, str):
            return (inner, *reversed(steps))
        if operator not in {".", "has"} or not isinstance(inner, dict) or "attr" not in inner:
            return None
        steps.append(inner["attr"])
        node = inner["left"]
    return None


def _value(document: Mapping[str, Any], path: Path) -> list[Any] | None:
    """What stands at a path, None if nothing does."""
    value: Any = document
    for step in path[1:]:
        if not isinstance(value, Mapping) or step not in value:
            return None
        value = value[step]
    return [value]


_Long = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Call(msgspec.Struct, forbid_unknown_fields=True):
    fn: str
    arg: str


class _Extension(msgspec.Struct, forbid_unknown_fields=True):
    call: _Call = msgspec.field(name="__extn")


class _Time(msgspec.Struct, forbid_unknown_fields=True):
    now: _Extension
    hour: _Long
    minute: _Long
    weekday: _Long
    date: str


class _Session(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    calls: _Long
    denials: _Long
    tools: list[str]
    age_seconds: _Long


class _Network(msgspec.Struct, forbid_unknown_fields=True):
    ip: _Extension


class _Context(msgspec.Struct, forbid_unknown_fields=True):
    input: dict[str, Any]
    unmodelled: list[str]
    time: _Time
    session: _Session
    network: _Network


_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


def is_typed(context: JsonObject, address: Callable[[str], str]) -> bool:
    """Whether a recorded context is surely of the schema's type, also where nobody reads it.

    The engine refuses a request for any part of its context, so what is not read counts too.
    `input` comes from `policy.encode`, which writes nothing that the schema does not accept;
    `address`: `entities.address` or a memory of it.
    """
    try:
        read = msgspec.convert(context, type=_Context)
        now, ip = read.time.now.call, read.network.ip.call
        datetime.fromisoformat(now.arg)
        is_instant = now.fn == "datetime" and _INSTANT.fullmatch(now.arg) is not None
        return is_instant and ip.fn == "ip" and address(ip.arg) == ip.arg
    except (ValueError, msgspec.ValidationError):
        return False
