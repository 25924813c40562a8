"""What verification found: findings, notes, and the exit code that follows from them. Pure.

Counterpart of `verify`. Source: security spec, section 10, the table of `wicketd audit verify`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from wicketd.domain.json import JsonObject

OK = 0
TAMPERED = 1
CANNOT_VERIFY = 2


class Problem(StrEnum):
    """What is wrong. The last four say that something is not proven, which is never "ok"."""

    ALTERED = "altered"
    COLUMN_DIFFERS = "column_differs"
    GAP_OR_REORDER = "gap_or_reorder"
    TRUNCATED = "truncated"
    OTHER_ROOT = "other_root"
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_SIGNATURE = "unknown_signature"
    ANCHOR_MISMATCH = "anchor_mismatch"
    ARGS_DIFFER = "args_differ"
    SET_DIFFERS = "set_differs"
    DECISION_DIFFERS = "decision_differs"
    NOT_SHOWN = "not_shown"
    NO_KEY = "no_key"
    NO_CHECKPOINT = "no_checkpoint"
    UNREADABLE = "unreadable"


UNPROVEN = frozenset({Problem.NOT_SHOWN, Problem.NO_KEY, Problem.NO_CHECKPOINT, Problem.UNREADABLE})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `seq`: the row, or the size of the checkpoint, that shows it."""

    problem: Problem
    message: str
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The result. `findings`: the first ones, in the order of rows; `more`: how many others.

    `signed`: rows under the newest good checkpoint; `tail`: rows behind it. `open_intents`: calls
    without outcome. `restores`: rows that declare a restored backup; `anchors`: pruned rows' ends.
    """

    findings: tuple[Finding, ...]
    more: int
    rows: int
    last_seq: int
    root: bytes
    signed: int
    open_intents: int
    restores: tuple[int, ...]
    anchors: tuple[int, ...]

    @property
    def tail(self) -> int:
        """Rows that no checkpoint covers yet."""
        return max(0, self.last_seq - self.signed)

    @property
    def first_bad_seq(self) -> int | None:
        """The first row that shows tampering."""
        seqs = [
            finding.seq
            for finding in self.findings
            if finding.seq is not None and finding.problem not in UNPROVEN
        ]
        return min(seqs, default=None)

    def exit_code(self, *, strict: bool = False) -> int:
        """0 whole, 1 tampering, 2 could not verify.

        `strict`: a tail, an open intent or a declared restore counts as tampering.
        """
        found = judged(self.findings)
        is_loose = self.tail or self.open_intents or self.restores
        return TAMPERED if found == OK and strict and is_loose else found

    def lines(self, *, strict: bool = False) -> tuple[str, ...]:
        """The report for people."""
        verdict = {OK: "The log is whole.", TAMPERED: "The log is NOT whole."}.get(
            self.exit_code(strict=strict), "The log could not be verified."
        )
        said = [finding.message for finding in self.findings]
        if self.more:
            said.append(f"{self.more} more findings.")
        said.append(f"Rows {self.rows}, last seq {self.last_seq}, root {self.root.hex()}.")
        said.append(f"Unsigned tail: {self.tail}. Calls without outcome: {self.open_intents}.")
        said += [f"Rows up to {seq} were pruned under a signed anchor." for seq in self.anchors]
        said += [f"Row {seq} declares a restored backup." for seq in self.restores]
        return verdict, *said

    def facts(self, *, strict: bool = False) -> JsonObject:
        """The report for programs."""
        return {
            "exit": self.exit_code(strict=strict),
            "findings": [
                {"problem": one.problem.value, "message": one.message, "seq": one.seq}
                for one in self.findings
            ],
            "more": self.more,
            "rows": self.rows,
            "lastSeq": self.last_seq,
            "firstBadSeq": self.first_bad_seq,
            "root": self.root.hex(),
            "tail": self.tail,
            "openIntents": self.open_intents,
            "restores": list(self.restores),
            "anchors": list(self.anchors),
        }


def judged(findings: Iterable[Finding]) -> int:
    """0 whole, 1 tampering, 2 could not verify."""
    problems = {finding.problem for finding in findings}
    if problems - UNPROVEN:
        return TAMPERED
    return CANNOT_VERIFY if problems else OK


def unreadable(message: str) -> Report:
    """The report where nothing could be read. `message`: a sentence that says what to do."""
    finding = Finding(Problem.UNREADABLE, message)
    return Report((finding,), 0, 0, 0, b"", 0, 0, (), ())
