"""How rows leave the log: JSONL that can be verified alone, CSV for a spreadsheet. Pure.

Counterparts: `services.audit` pages through the rows, `verify` reads the JSONL back. Invariant: a
JSONL line holds the very bytes that were hashed. Source: product spec, sections 4 and 9; security
spec, section 10.
"""

import csv
import heapq
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from wicketd.audit.chain import HASH_BYTES
from wicketd.audit.journal import PROJECTIONS
from wicketd.domain.audit import AuditRow
from wicketd.domain.json import Json, JsonObject

HOSTED: Final = (
    *("id", "timestamp", "agentId", "agentName", "memberId", "memberName", "memberKeyId"),
    *("sessionId", "service", "tool", "action", "resource", "callerIp", "toolArgs", "decision"),
    *("reason", "matchedPolicyIds", "matchedPolicyNames", "durationMs", "principal"),
)
"""The fields of the hosted product, in its order; they come first in CSV."""
ADDED: Final = (
    *("seq", "kind", "callId", "ref", "parentCallId", "method", "keySuffix", "reasonCode"),
    *("policyRevision", "policySetSha256", "schemaSha256", "determining", "denyMessages"),
    *("evaluationErrors", "shadow", "tier", "toolHash", "evalUs", "context", "role", "groups"),
    *("tags", "argsCommit", "argsDigest", "argsState", "requestId", "protocolVersion"),
    *("clientName", "clientVersion", "userAgent", "connectionId", "generation", "outcome"),
    *("upstreamStatus", "upstreamMs", "bytesIn", "bytesOut", "resultDigest", "actor"),
    *("accountId", "target", "before", "after", "prev", "hash"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_MAX_WAITING: Final = 65_536


class ExportUnreadable(ValueError):
    """A line of the file is no exported row. `line` counts from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(f"Line {line} is no row of an audit export. Export it again as jsonl.")
        self.line = line


class Jsonl:
    """Raw chained rows, one a line; an outcome follows its intent."""

    head = ""

    def lines(self, row: AuditRow, outcome: AuditRow | None) -> str:
        """The lines of one entry."""
        return jsonl_line(row) + ("" if outcome is None else jsonl_line(outcome))


class Csv:
    """Entries joined with their outcomes, hosted fields first."""

    head = ",".join((*HOSTED, *ADDED)) + "\r\n"

    def lines(self, row: AuditRow, outcome: AuditRow | None) -> str:
        """The line of one entry."""
        fields = entry(row, outcome)
        out = io.StringIO()
        csv.writer(out).writerow([_cell(fields.get(name)) for name in (*HOSTED, *ADDED)])
        return out.getvalue()


def jsonl_line(row: AuditRow) -> str:
    """One row with its end of line. The columns are not repeated: the body says them all."""
    return f'{{"prev":"{row.prev.hex()}","hash":"{row.hash.hex()}","body":{row.body}}}\n'


def entry(row: AuditRow, outcome: AuditRow | None) -> JsonObject:
    """An intent, denial or other row as one mapping, with what its outcome adds."""
    fields: JsonObject = {}
    if outcome is not None:
        fields |= msgspec.json.decode(outcome.body, type=dict)
    # What both rows say, such as id, kind and bytesIn, is the entry's own.
    fields |= msgspec.json.decode(row.body, type=dict)
    at = datetime.fromtimestamp(row.ts / 1000, UTC).isoformat(timespec="milliseconds")
    fields["timestamp"] = at.replace("+00:00", "Z")
    determining = fields.get("determining")
    if isinstance(determining, list):
        keys = [one.get("key") for one in determining if isinstance(one, dict)]
        fields["matchedPolicyIds"] = list(dict.fromkeys(keys))
    fields |= {"prev": row.prev.hex(), "hash": row.hash.hex()}
    return fields


def _cell(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        return msgspec.json.encode(value, order="deterministic").decode()
    text = str(value)
    # A spreadsheet would run such a cell as a formula.
    return "'" + text if text.startswith(_FORMULA) else text


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    prev: str
    hash: str
    body: msgspec.Raw


def read_jsonl(lines: Iterable[bytes]) -> Iterator[AuditRow]:
    """The rows of an export, in the order of the file.

    Raises:
        ExportUnreadable: a line is no exported row.
    """
    for number, line in enumerate(lines, 1):
        try:
            yield _row(msgspec.json.decode(line, type=_Line))
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, ValueError):
            raise ExportUnreadable(number) from None


def _row(line: _Line) -> AuditRow:
    text = bytes(line.body).decode()
    body = msgspec.json.decode(text, type=dict)
    prev, own = bytes.fromhex(line.prev), bytes.fromhex(line.hash)
    if len(prev) != HASH_BYTES or len(own) != HASH_BYTES:
        raise ValueError("hash")
    if not all(isinstance(body[name], int) for name in ("seq", "ts", "epoch")):
        raise ValueError("body")
    columns: dict[str, Any] = {column: body.get(name) for column, name in PROJECTIONS}
    return AuditRow(body=text, prev=prev, hash=own, **columns)


def in_order(rows: Iterable[AuditRow]) -> Iterator[AuditRow]:
    """The rows by seq: an outcome, which follows its intent in the file, waits for its turn."""
    waiting: list[tuple[int, int, AuditRow]] = []
    due = 1
    for count, row in enumerate(rows):
        heapq.heappush(waiting, (row.seq, count, row))
        while waiting and (waiting[0][0] <= due or len(waiting) > _MAX_WAITING):
            seq, _, ready = heapq.heappop(waiting)
            yield ready
            due = max(due, seq + 1)
    while waiting:
        yield heapq.heappop(waiting)[2]
