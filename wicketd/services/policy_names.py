"""What an agent's policies can name: its schema, members, labels, and the targets of late calls.

Counterpart of `policy.names`, which makes the tree of a catalogue. Nothing is stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from wicketd.domain.agents import Agent
from wicketd.policy import lexer
from wicketd.policy.names import Names, tree
from wicketd.policy.schema import CedarSchema, render
from wicketd.services import find
from wicketd.services.desk import Desk
from wicketd.services.policy_sets import PolicySets
from wicketd.storage import audit, members

TARGETS_MAX: Final = 200
_SEEN_MS: Final = 7 * 86_400_000
_ROWS: Final = 10_000
"""Of the audit that are looked at for targets: some 30 ms of a reader."""


@dataclass(frozen=True, slots=True)
class Nameable:
    """A schema and what it names; `members`: ids as principals, `groups`, `tags`: their labels.

    `targets`: (entity type, id) of calls of the last 7 days and of their parents, newest first.
    """

    schema: CedarSchema
    names: Names
    members: tuple[str, ...]
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    targets: tuple[tuple[str, str], ...] = ()


class PolicyNames:
    """The use case of names."""

    def __init__(self, desk: Desk, sets: PolicySets) -> None:
        self._desk = desk
        self._sets = sets

    async def of(self, agent: str) -> Nameable:
        """The agent's Cedar schema, as saves are checked against it, and what it names.

        Raises:
            NotFound: there is no such agent.
        """
        owner = await find.read_agent(self._desk.db, agent)
        views = await self._sets.views_now(owner.id)
        schema = render(list(views.values()))
        names = tree(schema, list(views.values()))
        everyone = await self._desk.db.all(members.of_agent(owner.id))
        return Nameable(
            schema=schema,
            names=names,
            members=tuple(sorted(one.principal for one in everyone)),
            groups=tuple(sorted({group for one in everyone for group in one.groups})),
            tags=tuple(sorted({tag for one in everyone for tag in one.tags})),
            targets=await self._targets(owner, {one.name for one in names.types}),
        )

    async def _targets(self, owner: Agent, types: set[str]) -> tuple[tuple[str, str], ...]:
        since_ms = self._desk.clock.now_ms() - _SEEN_MS
        rows = await self._desk.db.all(audit.targets(owner.id, since_ms, _ROWS, TARGETS_MAX))
        seen = (one for resource, parents in rows for one in _named([resource, *parents]))
        known = (one for one in seen if one[0] in types and not one[0].startswith("Wicket::"))
        return tuple(dict.fromkeys(known))[:TARGETS_MAX]


def _named(literals: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Type and id of entities as the audit writes them."""
    for literal in literals:
        for one in lexer.paths(literal):
            yield one.type, one.id
