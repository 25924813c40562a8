"""Puts proposed connectors where the catalogue reads them: each whole or not at all.

Invariant: nothing is overwritten, and no file is written with which the catalogue would not load.
Counterpart of `connector_files`, which reads them. Source: product spec, section 6.
"""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wicketd.connectors import catalogue
from wicketd.connectors.catalogue import Catalogue
from wicketd.connectors.connector_file import parse_connector
from wicketd.connectors.draft import key_beside
from wicketd.domain.catalogue import Connector, HttpTransport
from wicketd.domain.errors import ConfigInvalid, Conflict, StorageBroken

_FILE_MODE: Final = 0o644
"""No secret is in it, and a daemon with a uid of its own reads it."""
_DIRECTORY_MODE: Final = 0o755


@dataclass(frozen=True, slots=True)
class Shelf:
    """The admin's directory of connector files. `known`: the catalogue as it is now."""

    directory: Path
    known: Catalogue

    @classmethod
    def of(cls, directory: Path) -> "Shelf":
        """Reads the catalogue.

        Raises:
            ConfigInvalid: a file that is there already is refused.
        """
        return cls(directory, catalogue.load(bundled=True, directory=directory))

    def path(self, key: str) -> Path:
        """Where the connector of this key goes."""
        return self.directory / f"{key}.toml"

    def bundled_for(self, url: str) -> Connector | None:
        """The connector that Wicket brings for the server at this address."""
        for one in self.known.all():
            is_it = isinstance(one.transport, HttpTransport) and _same(one.transport.url, url)
            if is_it and one.source == catalogue.BUNDLED:
                return one
        return None

    def free_key(self, key: str, taken: Iterable[str] = ()) -> str:
        """The key, or one beside it where a bundled connector has it: that is never replaced.

        Raises:
            Conflict: the administrator has one of this key, or it was just given away.
        """
        known = self.known.get(key)
        if known is not None and known.source == catalogue.BUNDLED:
            key = key_beside(key)
            known = self.known.get(key)
        if known is not None or key in set(taken) or os.path.lexists(self.path(key)):
            raise Conflict(
                f"There is a connector {key} already, and nothing is overwritten.",
                hint=f"Remove {self.path(key)}, or give this one another name.",
            )
        return key

    def parsed(self, key: str, text: str) -> Connector:
        """The connector as the daemon will read it.

        Raises:
            ConfigInvalid: it breaks a rule, or another one has its namespace.
        """
        connector = parse_connector(text.encode(), str(self.path(key)))
        for other in self.known.all():
            if other.namespace == connector.namespace:
                raise ConfigInvalid(
                    f"{connector.namespace} is the namespace of {other.key} already.",
                    hint="Give this one another name.",
                )
        return connector

    def put(self, key: str, text: str) -> Path:
        """Writes one connector under its final name, complete and synced; gives the path.

        Raises:
            ConfigInvalid: it would not load.
            Conflict: there is such a file.
            StorageBroken: the directory cannot be written; nothing is left there.
        """
        self.parsed(key, text)
        path, half = self.path(key), self.directory / f".{key}.toml.new"
        try:
            self.directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            half.unlink(missing_ok=True)
            _write(half, text.encode())
            os.link(half, path)  # refuses to replace what came in between, unlike a rename
        except FileExistsError as error:
            raise Conflict(f"{path} is there already, and nothing is overwritten.") from error
        except OSError as error:
            raise StorageBroken(
                f"Cannot write {path}: {error.strerror}.",
                hint="Run the command as a user who may write there, with room on the disk.",
            ) from error
        finally:
            with contextlib.suppress(OSError):
                half.unlink(missing_ok=True)
        return path


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, _FILE_MODE)  # whatever the umask: the daemon has another uid
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")
