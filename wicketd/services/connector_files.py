"""The connector catalogue in force, and how a reload replaces it.

Counterpart: `connectors.catalogue`.

Invariant: a set of files that does not load, or that would silently take the ground from under live
policies, never replaces the one in force.
"""

from collections.abc import Callable, Iterable

from wicketd.connectors.catalogue import Catalogue, CatalogueDiff, diff
from wicketd.domain.catalogue import Connector
from wicketd.domain.errors import Conflict
from wicketd.domain.policies import PolicyVersion
from wicketd.services.views import named_types


class ConnectorFiles:
    """Holds the catalogue; called, it gives the one in force."""

    def __init__(self, load: Callable[[], Catalogue]) -> None:
        """Reads the files for the first time.

        Raises:
            ConfigInvalid: a file is refused; the message names file and field.
        """
        self._load = load
        self._in_force = load()

    def __call__(self) -> Catalogue:
        """The catalogue in force."""
        return self._in_force

    def read(self) -> Catalogue:
        """The files as they are now; nothing changes.

        Raises:
            ConfigInvalid: a file is refused.
        """
        return self._load()

    def put(self, catalogue: Catalogue) -> CatalogueDiff:
        """Puts a catalogue in force and gives what changed."""
        before, self._in_force = self._in_force, catalogue
        return diff(before, catalogue)


def refuse_renaming(old: Catalogue, new: Catalogue, records: Iterable[PolicyVersion]) -> None:
    """Lets a reload pass that keeps every namespace and entity which live policies name.

    Raises:
        Conflict: it renames one of them.
    """
    named = named_types(records)
    for connector in old.all():
        successor = new.get(connector.key)
        if successor is None:
            continue
        lost = sorted(_types(connector) - _types(successor))
        used = [
            name
            for name in lost
            if any(one == name or one.startswith(f"{name}::") for one in named)
        ]
        if used:
            message = (
                f"The connector {connector.key} no longer has {used[0]}, which live policies name. "
                "Change those policies first, then reload."
            )
            raise Conflict(message)


def _types(connector: Connector) -> set[str]:
    entities = {rule.entity for rule in connector.targets}
    entities |= {entity for rule in connector.targets for entity, _ in rule.parents}
    return {f"{connector.namespace}::{entity}" for entity in entities} | {connector.namespace}
