"""Where the pages of a filtered log begin: what a reader needs to jump into the middle of it.

Counterparts: `audit.page`, which reads one page by key, `services.audit_pages`, which remembers.
Only indexes are walked where the filters have one.
"""

from typing import Final

from wicketd.domain.ports import Query, SqlValue
from wicketd.storage.audit import NO_OUTCOME, AuditFilters, conditions

_NO_OUTCOME_AT_ALL: Final = (
    "a.seq NOT IN (SELECT o.seq FROM audit AS o "
    "WHERE o.kind = 'call.outcome' AND o.call_id IS NOT NULL)"
)
"""The same as `NO_OUTCOME` from the index of call ids: no row of the log is read for it."""


def starts(filters: AuditFilters, size: int, first: int, last: int) -> Query[int]:
    """The seq of every `size`-th entry of the filters, oldest first, from seq `first` to `last`."""
    entries, values = _entries(filters, first, last)
    return Query(
        "SELECT seq FROM (SELECT a.seq AS seq, row_number() OVER (ORDER BY a.seq) - 1 AS n "
        f"FROM {entries}) WHERE n % ? = 0 ORDER BY seq",
        (*values, size),
        lambda row: int(row[0]),
    )


def count(filters: AuditFilters, first: int, last: int) -> Query[int]:
    """How many entries of the filters lie from seq `first` to `last`."""
    entries, values = _entries(filters, first, last)
    return Query(f"SELECT count(*) FROM {entries}", values, lambda row: int(row[0]))


def _entries(filters: AuditFilters, first: int, last: int) -> tuple[str, tuple[SqlValue, ...]]:
    """What to read from under which conditions, and their values."""
    asked = [("a.seq BETWEEN ? AND ?", (first, last)), *conditions(filters)]
    if filters.policy_id is not None:
        hits = "SELECT seq FROM audit_policies WHERE policy_id = ? AND seq BETWEEN ? AND ?"
        asked.append((f"a.seq IN ({hits})", (filters.policy_id, first, last)))
    where = " AND ".join(_cheap(text, filters, first) for text, _ in asked)
    return f"audit AS a WHERE {where}", tuple(value for _, given in asked for value in given)


def _cheap(condition: str, filters: AuditFilters, first: int) -> str:
    """The condition in the form that costs least over this range."""
    if condition != NO_OUTCOME:
        return condition
    if filters.decision is not None or filters.session_id is not None:
        return "TRUE"  # outcome rows have neither
    return _NO_OUTCOME_AT_ALL if first <= 1 else NO_OUTCOME
