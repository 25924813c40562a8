"""The cases of the bundled connector files: each server's tool list, and what is expected of it.

A case names where its list was read (repository, commit, files, SHA-256 of their bytes in the order
of their names; or a page) and keeps the hash of the list itself, so that neither can be edited
quietly.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from wicketd.connectors import catalogue
from wicketd.domain.catalogue import Tier


class Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No resource: the JSON Pointer of the argument that names none."""

    refused: str


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments and the resource they name: `Type::id`, None for the tool itself."""

    arguments: dict[str, Any]
    target: str | Refused | None


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"origin": "from"}):
    """The tier of a tool, where it comes from, and what its calls act on."""

    tier: Tier
    origin: str
    calls: list[Call]


class Resource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Attributes and parents (`Type::id`) of a resource."""

    attrs: dict[str, str]
    parents: list[str]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a list was read: files of a repository at a commit, or a page."""

    sha256: str
    dated: str | None
    """The commit's day, ISO 8601; None where a page does not say."""
    repository: str | None = None
    commit: str | None = None
    files: list[str] = []
    page: str | None = None
    part: str | None = None
    """What of the page was hashed."""


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `cases/<key>.json`. `unmapped`: why a tool with a target's arguments has no target."""

    read: str
    sources: list[Source]
    tools_sha256: str
    tools: list[dict[str, Any]]
    expected: dict[str, Expected]
    resources: dict[str, Resource]
    unmapped: dict[str, str]


DIRECTORY: Final = Path(__file__).parents[1] / "connectors" / "cases"
LOADED: Final = catalogue.load(True, None)
CASES: Final = {
    path.stem: msgspec.json.decode(path.read_bytes(), type=Case)
    for path in sorted(DIRECTORY.glob("*.json"))
}
