"""The catalogue of connector files: found, checked, merged, compared.

Counterpart of `connector_file`. No API or portal field reaches a command or URL: files are the only
source, and a file that somebody else could have written is refused.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wicketd.connectors.connector_file import parse_connector
from wicketd.domain.catalogue import Connector, CredentialKind, HttpTransport
from wicketd.domain.connections import Destination
from wicketd.domain.errors import ConfigInvalid

__all__ = ["Catalogue", "CatalogueDiff", "destination", "diff", "load", "parse_connector"]

BUNDLED: Final = "bundled"
_FILE_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every connector by key. `replaced`: bundled keys that a file of the admin replaces whole."""

    connectors: Mapping[str, Connector] = field(default_factory=dict)
    replaced: tuple[str, ...] = ()

    def get(self, key: str) -> Connector | None:
        """The connector under `key`."""
        return self.connectors.get(key)

    def all(self) -> list[Connector]:
        """Every connector, by key."""
        return [self.connectors[key] for key in sorted(self.connectors)]


@dataclass(frozen=True, slots=True)
class CatalogueDiff:
    """What a reload changes, as keys. `moved`: changed so that stored credentials no longer fit."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    moved: tuple[str, ...]


def load(bundled: bool, directory: Path | None) -> Catalogue:  # noqa: FBT001 - the interface others call
    """Reads the bundled files and the admin's `*.toml` of `directory`, if that exists.

    Raises:
        ConfigInvalid: a file is refused; the message names file and field.
    """
    connectors: dict[str, Connector] = {}
    if bundled:
        for entry in sorted(resources.files(__package__).iterdir(), key=lambda each: each.name):
            if entry.name.endswith(".toml"):
                connector = parse_connector(entry.read_bytes(), BUNDLED)
                connectors[connector.key] = connector
    own = _of_directory(directory) if directory is not None else {}
    replaced = tuple(sorted(connectors.keys() & own.keys()))
    connectors.update(own)
    _require_distinct_namespaces(connectors)
    return Catalogue(connectors, replaced)


def diff(old: Catalogue, new: Catalogue) -> CatalogueDiff:
    """Compares two catalogues; an admin reads `moved` before a reload breaks connections."""
    shared = sorted(old.connectors.keys() & new.connectors.keys())
    changed = [key for key in shared if old.connectors[key].sha256 != new.connectors[key].sha256]
    return CatalogueDiff(
        added=tuple(sorted(new.connectors.keys() - old.connectors.keys())),
        removed=tuple(sorted(old.connectors.keys() - new.connectors.keys())),
        changed=tuple(changed),
        moved=tuple(
            key
            for key in changed
            if destination(old.connectors[key]) != destination(new.connectors[key])
        ),
    )


def destination(connector: Connector) -> Destination | None:
    """What a credential of this connector is bound to; None for a service without credential.

    Source: security spec, section 2 (destination binding).
    """
    rule = connector.credential
    if rule.kind is CredentialKind.NONE:
        return None
    if isinstance(connector.transport, HttpTransport):
        return Destination(
            _origin(connector.transport.url), f"header:{(rule.header or '').lower()}"
        )
    argv = list(connector.transport.command)
    process = msgspec.json.encode(argv) if argv else (connector.transport.socket or "").encode()
    return Destination(f"stdio:{hashlib.sha256(process).hexdigest()}", f"env:{rule.env}")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host.encode("idna").decode() if host else host
    port = parts.port if parts.port is not None else {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host.lower()}:{port}"


def _of_directory(directory: Path) -> dict[str, Connector]:
    try:
        _require_trusted(directory, directory.lstat())
        paths = sorted(path for path in directory.iterdir() if path.name.endswith(".toml"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigInvalid(f"Cannot read {directory}: {error.strerror}.") from error
    connectors: dict[str, Connector] = {}
    for path in paths:
        connector = parse_connector(_read_trusted(path), str(path))
        if connector.key in connectors:
            other = connectors[connector.key].source
            raise ConfigInvalid(f"Connector file {path}: key: {other} has the same key.")
        connectors[connector.key] = connector
    return connectors


def _read_trusted(path: Path) -> bytes:
    """Reads a file; owner and mode are those of the open descriptor, so no swap comes between."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise ConfigInvalid(f"Connector file {path}: file: must be a regular file.")
            _require_trusted(path, facts)
            data = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigInvalid(
            f"Connector file {path}: file: cannot be opened: {error.strerror}.",
            hint="A symbolic link is refused: put the file itself there.",
        ) from error
    if len(data) > _FILE_BYTES_MAX:
        raise ConfigInvalid(f"Connector file {path}: file: is larger than 1 MiB.")
    return data


def _require_trusted(path: Path, facts: os.stat_result) -> None:
    if facts.st_uid not in (0, os.geteuid()) or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigInvalid(
            f"{path} could have been written by somebody else: its owner or mode is refused.",
            hint=f'Run "sudo chown root {path} && sudo chmod go-w {path}", then try again.',
        )


def _require_distinct_namespaces(connectors: Mapping[str, Connector]) -> None:
    seen: dict[str, Connector] = {}
    for connector in connectors.values():
        other = seen.setdefault(connector.namespace, connector)
        if other is not connector:
            raise ConfigInvalid(
                f"Connector file {connector.source}: namespace: "
                f"{connector.namespace} is the namespace of {other.key!r} already."
            )
