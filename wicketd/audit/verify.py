"""Recomputes the whole log from its bodies and holds it against signed checkpoints. Pure.

Invariant: no hash is taken from the table, nothing is written, memory stays constant, and what
could not be checked is never called whole. Counterparts: `journal`, which wrote the rows, `report`,
which words the result. Source: security spec, section 10.
"""

import heapq
import itertools
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from wicketd.audit import checkpoint
from wicketd.audit.chain import GENESIS, Frontier, row_hash
from wicketd.audit.checkpoint import Note, NoteMalformed, Trust
from wicketd.audit.journal import PROJECTIONS
from wicketd.audit.report import Finding, Problem, Report
from wicketd.domain.audit import AuditRow
from wicketd.domain.json import JsonObject

T = TypeVar("T")

MAX_FINDINGS: Final = 100
MAX_OPEN: Final = 65_536
_FIRST_EPOCH: Final = 1


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the rows begin after pruning: what the anchor says of rows 1 to `to_seq`."""

    to_seq: int
    count: int
    last_hash: bytes
    root: bytes
    frontier: bytes
    export_sha256: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the log is held against. `publics`: audit keys; `notes`: checkpoints kept off the box.

    `install_id` None: the log names itself, as an export does.
    """

    publics: tuple[bytes, ...]
    notes: tuple[str, ...] = ()
    install_id: bytes | None = None


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """One row of `audit_policies`."""

    seq: int
    policy_id: str
    version: int
    statement: int
    effect: str
    mode: str


class Verifier:
    """Takes rows in order, then `finish`. Notes may come at any time before the row behind them."""

    def __init__(self, evidence: Evidence, start: Anchor | None = None) -> None:
        self._evidence = evidence
        self._start = start
        self._findings: list[Finding] = []
        self._more = 0
        self._rows = 0
        self._seq = 0
        self._prev = GENESIS
        self._epoch = _FIRST_EPOCH
        self._frontier = Frontier()
        self._notes: list[tuple[int, int, Note]] = []
        self._count = itertools.count()
        self._signed = 0
        self._open: set[str] = set()
        self._restores: list[int] = []
        self._is_anchor_met = start is None
        self._said: set[Problem] = set()
        if start is not None:
            self._begin(start)
        for note in evidence.notes:
            self.note(note)

    def _begin(self, start: Anchor) -> None:
        self._seq, self._prev = start.to_seq, start.last_hash
        try:
            self._frontier = Frontier.from_bytes(start.to_seq, start.frontier)
        except ValueError:
            self._anchor_mismatch(start.to_seq)
            return
        if self._frontier.root != start.root:
            self._anchor_mismatch(start.to_seq)

    def note(self, text: str) -> None:
        """Takes a checkpoint, from the table or from outside; its signature is checked at once."""
        try:
            note = checkpoint.parse(text)
        except NoteMalformed:
            self._find(Problem.BAD_SIGNATURE, "A checkpoint is malformed.")
            return
        if not self._evidence.publics:
            return
        install_id = self._evidence.install_id
        trust = note.trust(self._evidence.publics)
        if install_id is not None and note.install_id != install_id:
            trust = Trust.UNKNOWN
        if trust is Trust.BAD:
            message = f"Checkpoint {note.size} has a bad signature."
            self._find(Problem.BAD_SIGNATURE, message, note.size)
        elif trust is Trust.UNKNOWN:
            message = f"Checkpoint {note.size} is signed by an unknown key or for another log."
            self._find(Problem.UNKNOWN_SIGNATURE, message, note.size)
        elif note.size == self._seq:
            self._compare(note)
        elif note.size > self._seq:
            # The count decides ties, as notes have no order.
            heapq.heappush(self._notes, (note.size, next(self._count), note))
        elif self._start is None or note.size > self._start.to_seq:
            message = f"Checkpoint {note.size} stands out of order in its table."
            self._find(Problem.GAP_OR_REORDER, message, note.size)

    def row(self, row: AuditRow, hits: Iterable[Hit] | None = None) -> None:
        """Takes the next row. `hits`: its rows of `audit_policies`; None: they are not checked."""
        self._rows += 1
        if row.seq != self._seq + 1:
            message = f"Row {row.seq} stands where row {self._seq + 1} belongs: gap or reorder."
            self._find(Problem.GAP_OR_REORDER, message, row.seq)
            if row.seq <= self._seq:
                return
        self._seq = row.seq
        self._link(row)
        body = self._columns(row)
        self._meaning(row, body)
        if hits is not None:
            self._policies(row.seq, body, hits)
        while self._notes and self._notes[0][0] <= self._seq:
            self._compare(heapq.heappop(self._notes)[2])

    def finish(self) -> Report:
        """The result over everything taken."""
        for size, _, note in sorted(self._notes):
            if note.epoch >= self._epoch:
                message = f"The log is truncated below checkpoint {size}: it ends at {self._seq}."
                self._find(Problem.TRUNCATED, message, size)
        if self._start is not None and not self._is_anchor_met:
            self._anchor_mismatch(self._start.to_seq)
        if not self._evidence.publics:
            self._find(Problem.NO_KEY, "There is no public key. Give --key audit.pub.")
        elif not self._signed:
            message = "No good checkpoint covers this log. Give --checkpoint, kept off this host."
            self._find(Problem.NO_CHECKPOINT, message)
        return Report(
            findings=tuple(self._findings),
            more=self._more,
            rows=self._rows,
            last_seq=self._seq,
            root=self._frontier.root,
            signed=self._signed,
            open_intents=len(self._open),
            restores=tuple(self._restores),
            anchors=() if self._start is None else (self._start.to_seq,),
        )

    def _link(self, row: AuditRow) -> None:
        computed = row_hash(self._prev, row.body)
        if row.prev != self._prev and row.hash == row_hash(row.prev, row.body):
            # The row is true to itself, so the one before it is not what it continued.
            message = f"Row {row.seq - 1} was altered: row {row.seq} continues another one."
            self._find(Problem.ALTERED, message, max(1, row.seq - 1))
        elif row.prev != self._prev or row.hash != computed:
            self._find(Problem.ALTERED, f"Row {row.seq} was altered.", row.seq)
        self._frontier = self._frontier.append(computed)
        # From here on with the row's own hash: each further alteration is named, not its wake.
        self._prev = row.hash

    def _columns(self, row: AuditRow) -> JsonObject:
        try:
            body = msgspec.json.decode(row.body, type=dict)
        except (msgspec.DecodeError, UnicodeEncodeError):
            self._find(Problem.COLUMN_DIFFERS, f"The body of row {row.seq} is no JSON.", row.seq)
            return {}
        for column, name in PROJECTIONS:
            if body.get(name) != getattr(row, column):
                message = f"Column {column} of row {row.seq} differs from its body."
                self._find(Problem.COLUMN_DIFFERS, message, row.seq)
        return body

    def _meaning(self, row: AuditRow, body: JsonObject) -> None:
        if self._rows == 1 and self._start is not None:
            # Pruned rows took the epochs before with them.
            self._epoch = row.epoch - (row.kind == "audit.restored")
        if row.kind == "audit.restored":
            self._restores.append(row.seq)
            self._epoch += 1
        if row.epoch != self._epoch:
            message = f"Row {row.seq} is of epoch {row.epoch}, where {self._epoch} runs: reorder."
            self._find(Problem.GAP_OR_REORDER, message, row.seq)
            self._epoch = row.epoch
        if row.kind == "call.intent" and row.call_id is not None and len(self._open) < MAX_OPEN:
            self._open.add(row.call_id)
        elif row.kind == "call.outcome" and row.call_id is not None:
            self._open.discard(row.call_id)
        elif row.kind == "audit.anchor" and self._start is not None:
            self._anchor_row(row.seq, body, self._start)

    def _anchor_row(self, seq: int, body: JsonObject, start: Anchor) -> None:
        if body.get("to") != start.to_seq:
            return
        self._is_anchor_met = True
        expected = {
            "count": start.count,
            "last_hash": start.last_hash.hex(),
            "root": start.root.hex(),
            "frontier": start.frontier.hex(),
            "export_sha256": start.export_sha256.hex(),
        }
        if any(body.get(name) != value for name, value in expected.items()):
            self._anchor_mismatch(seq)

    def _policies(self, seq: int, body: JsonObject, hits: Iterable[Hit]) -> None:
        determining = _statements(body.get("determining"))
        shadow = body.get("shadow")
        possible = determining | _statements(
            shadow.get("determining") if isinstance(shadow, dict) else None
        )
        stored = {(hit.policy_id, hit.version, hit.statement, hit.effect) for hit in hits}
        if not determining <= stored <= possible:
            message = f"The policies stored for row {seq} differ from its body."
            self._find(Problem.COLUMN_DIFFERS, message, seq)

    def _compare(self, note: Note) -> None:
        if note.size != self._seq or note.epoch < self._epoch:
            # Passed by a gap, which is named already; or of rows that a declared restore replaced.
            return
        if note.root == self._frontier.root:
            self._signed = max(self._signed, note.size)
        elif Problem.OTHER_ROOT not in self._said:
            # Once: every later checkpoint would say the same.
            self._said.add(Problem.OTHER_ROOT)
            message = f"Checkpoint {note.size} was signed over other rows: same size, other root."
            self._find(Problem.OTHER_ROOT, message, note.size)

    def _anchor_mismatch(self, seq: int) -> None:
        if Problem.ANCHOR_MISMATCH not in self._said:
            self._said.add(Problem.ANCHOR_MISMATCH)
            message = "The anchor of the pruned rows does not agree with the log."
            self._find(Problem.ANCHOR_MISMATCH, message, seq)

    def _find(self, problem: Problem, message: str, seq: int | None = None) -> None:
        if len(self._findings) < MAX_FINDINGS:
            self._findings.append(Finding(problem, message, seq))
        else:
            self._more += 1


def verify(
    rows: Iterable[AuditRow],
    evidence: Evidence,
    *,
    stored: Iterable[str] = (),
    hits: Iterable[Hit] | None = None,
    start: Anchor | None = None,
) -> Report:
    """Verifies a log from streams.

    `rows` by seq; `stored`: the table's notes by size, read as the rows go by; `hits` by seq.
    """
    verifier = Verifier(evidence, start)
    notes = _Peekable(stored)
    side = None if hits is None else _Peekable(hits)
    for row in rows:
        for note in _due(notes, row.seq):
            verifier.note(note)
        verifier.row(row, None if side is None else _of(side, row.seq))
    for note in _due(notes, sys.maxsize):
        verifier.note(note)
    return verifier.finish()


class _Peekable(Generic[T]):
    """An iterator whose next item can be looked at."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._next = next(self._items, None)

    def peek(self) -> T | None:
        """The next item, or None at the end."""
        return self._next

    def take(self) -> T | None:
        """Goes one on."""
        item, self._next = self._next, next(self._items, None)
        return item


def _due(notes: _Peekable[str], seq: int) -> Iterator[str]:
    while (note := notes.peek()) is not None and _size(note) <= seq:
        notes.take()
        yield note


def _size(note: str) -> int:
    try:
        return checkpoint.parse(note).size
    except NoteMalformed:
        return 0


def _of(hits: _Peekable[Hit], seq: int) -> list[Hit]:
    mine = []
    while (hit := hits.peek()) is not None and hit.seq <= seq:
        mine.append(hit)
        hits.take()
    return mine


def _statements(value: object) -> set[tuple[object, ...]]:
    if not isinstance(value, list):
        return set()
    names = ("policyId", "version", "statement", "effect")
    found = [[item.get(name) for name in names] for item in value if isinstance(item, dict)]
    return {tuple(row) for row in found if all(isinstance(cell, str | int) for cell in row)}
