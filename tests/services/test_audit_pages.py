"""Page indexes agree with the pages that are read by key, whatever is asked and written between."""

from typing import Any

import pytest

from tests.services.test_audit import append, log_of
from tests.support.state import State
from wicketd.domain.audit import Entry, PolicyHit
from wicketd.domain.ids import CallId, call_ref
from wicketd.services.audit_pages import KEPT, PageIndexes
from wicketd.storage.audit import AuditFilters

HIT = PolicyHit("policy-1", 1, 1, "forbid", "enforce", "no-wiping")
FILTERS = (
    AuditFilters(),
    AuditFilters(agent_id="a"),
    AuditFilters(agent_id="a", decision="DENY"),
    AuditFilters(agent_id="a", tools=("look",)),
    AuditFilters(agent_id="a", kind="call.outcome"),
    AuditFilters(agent_id="a", policy_id="policy-1"),
    AuditFilters(agent_id="a", outcome="ok"),
)


def calls(number: int, count: int) -> list[Entry]:
    """Every third is denied by two statements of one policy; the others end well."""
    made: list[Entry] = []
    for at in range(number, number + count):
        call = CallId(f"018f0000-0000-7000-8000-{at:012x}")
        columns: dict[str, Any] = {
            "agent_id": "a" if at % 4 else "b",
            "tool": "look" if at % 2 else "wipe",
        }
        if at % 3 == 0:
            hits = (HIT, PolicyHit("policy-1", 1, 2, "forbid", "enforce", "no-wiping"))
            made.append(
                Entry("call.denied", call_id=call, decision="DENY", policies=hits, **columns)
            )
        else:
            made.append(
                Entry("call.intent", call_id=call, ref=call_ref(call), decision="ALLOW", **columns)
            )
            made.append(Entry("call.outcome", call_id=call, fields={"outcome": "ok"}, **columns))
    return made


async def by_key(state: State, filters: AuditFilters) -> list[int]:
    """Every entry, oldest first, as pages give them."""
    return [row.seq for row, _ in await log_of(state).page(filters, after=0, limit=10_000)]


@pytest.mark.parametrize("size", [1, 3, 7])
async def test_an_index_names_the_first_entry_of_each_page_while_the_log_grows(
    state: State, size: int
) -> None:
    pages, number = PageIndexes(state.db), 1
    for count in (0, 1, 9, 0, 2, 25):
        await append(state, *calls(number, count))
        number += count
        for filters in FILTERS:
            seqs = await by_key(state, filters)
            found = await pages.of(filters, size)
            assert found.total == len(seqs)
            assert list(found.starts) == seqs[::size]
            assert found.upto == len(await state.rows())


async def test_an_outcome_that_comes_later_is_counted(state: State) -> None:
    ended, pages = AuditFilters(outcome="ok"), PageIndexes(state.db)
    intent, outcome = calls(1, 1)
    await append(state, intent)
    assert (await pages.of(ended, 5)).total == 0
    await append(state, outcome)
    assert (await pages.of(ended, 5)).starts == (1,)


async def test_only_the_indexes_used_last_are_remembered(state: State) -> None:
    await append(state, *calls(1, 3))
    pages = PageIndexes(state.db)
    first = await pages.of(AuditFilters(), 1)
    assert await pages.of(AuditFilters(), 1) is first
    for size in range(2, KEPT + 2):
        await pages.of(AuditFilters(), size)
    assert await pages.of(AuditFilters(), 1) is not first
