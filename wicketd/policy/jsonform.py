"""Cedar's JSON policy form: what the engine exports of a text, and what is written back to it.

Counterpart of `policy.engine`, which converts between text and form. Invariant: pure; statements
keep their order, which is how the engine numbers them.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from wicketd.domain.json import JsonObject
from wicketd.domain.policies import Effect, StatementFacts
from wicketd.policy.entities import Uid, uid_json
from wicketd.policy.lexer import Span

_ANYTHING: Final[JsonObject] = {"op": "All"}


class JsonStatement(msgspec.Struct, frozen=True):
    """One statement; scopes and conditions as the engine writes them."""

    effect: str
    principal: dict[str, Any]
    action: dict[str, Any]
    resource: dict[str, Any]
    conditions: msgspec.Raw
    annotations: dict[str, str | None] = {}


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    static_policies: dict[str, JsonStatement]
    templates: dict[str, Any] = {}
    template_links: list[Any] = []


def read(document: str) -> list[JsonStatement]:
    """The statements of a document, in order."""
    found = msgspec.json.decode(document, type=_Document).static_policies
    return [found[f"policy{number}"] for number in range(len(found))]


def facts(document: str, spans: Sequence[Span]) -> list[StatementFacts]:
    """What slicing and labelling need of each statement; `spans`: where they stand in the text.

    Raises:
        ValueError: there are more or fewer spans than statements.
    """
    return [
        StatementFacts(
            effect=Effect(one.effect),
            principal=one.principal,
            action=one.action,
            resource=one.resource,
            annotations={name: value or "" for name, value in one.annotations.items()},
            start=span.start,
            end=span.end,
        )
        for one, span in zip(read(document), spans, strict=True)
    ]


def write(statements: Sequence[JsonStatement]) -> str:
    """The document of statements, numbered in order."""
    numbered = {f"policy{number}": one for number, one in enumerate(statements)}
    return msgspec.json.encode(_Document(numbered)).decode()


def naming(uid: Uid) -> str:
    """The document of a statement that names a uid, so that the engine writes it out."""
    principal: JsonObject = {"op": "==", "entity": uid_json(uid)}
    return write([JsonStatement("permit", principal, _ANYTHING, _ANYTHING, msgspec.Raw(b"[]"))])
