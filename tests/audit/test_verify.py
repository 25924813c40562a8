"""The tamper battery: given one checkpoint kept off the box, every change is named."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audit.logs import KEY, Key, call, chain, evidence, log, note, rechained
from wicketd.audit.chain import Frontier
from wicketd.audit.report import Problem, Report
from wicketd.audit.verify import MAX_FINDINGS, Anchor, Evidence, Hit, Verifier, verify
from wicketd.domain.audit import AuditRow, Entry
from wicketd.domain.json import JsonObject

ROWS = log(5)
NOTE = note(ROWS)


def problems(report: Report) -> set[Problem]:
    return {finding.problem for finding in report.findings}


def check(rows: list[AuditRow], *notes: str) -> Report:
    return verify(rows, evidence(*(notes or (NOTE,))))


def test_an_untouched_log_is_whole() -> None:
    report = check(ROWS)
    assert report.findings == ()
    assert (report.rows, report.last_seq, report.signed, report.tail) == (10, 10, 10, 0)
    assert report.exit_code() == report.exit_code(strict=True) == 0
    assert report.lines()[0] == "The log is whole."


def test_an_edited_body_is_named() -> None:
    rows = [*ROWS]
    rows[4] = replace(rows[4], body=rows[4].body.replace("ALLOW", "DENY"))
    report = check(rows)
    # The root is made of what was recomputed, so it differs though the table kept the old hash.
    assert {Problem.ALTERED, Problem.OTHER_ROOT} <= problems(report)
    assert (report.first_bad_seq, report.exit_code()) == (5, 1)


def test_an_edited_row_with_a_new_hash_is_named_by_its_successor() -> None:
    rows = [*ROWS]
    rows[4] = replace(rows[4], body=rows[4].body.replace("reads", "wrote"))
    rows[4] = rechained(rows[:5], 4)[4]
    report = check(rows)
    assert {Problem.ALTERED, Problem.OTHER_ROOT} <= problems(report)
    assert report.first_bad_seq == 5


@pytest.mark.parametrize("column", ["call_id", "agent_id", "tool", "decision", "ts", "kind", "id"])
def test_an_edited_column_is_named(column: str) -> None:
    rows = [*ROWS]
    value: object = 5 if column == "ts" else "other"
    rows[4] = replace(rows[4], **{column: value})  # type: ignore[arg-type]  # columns by name
    report = check(rows)
    assert Problem.COLUMN_DIFFERS in problems(report)
    assert (report.first_bad_seq, report.exit_code()) == (5, 1)
    assert column in report.findings[0].message


def test_a_column_filled_where_the_body_has_none_is_named() -> None:
    rows = [*ROWS]
    rows[4] = replace(rows[4], member_id="other")
    assert problems(check(rows)) == {Problem.COLUMN_DIFFERS}


def test_a_body_that_is_no_json_is_named() -> None:
    forged = rechained([*ROWS[:9], replace(ROWS[9], body="x")], 9)
    assert Problem.COLUMN_DIFFERS in problems(check(forged))


def test_a_deleted_row_is_named() -> None:
    report = check([*ROWS[:4], *ROWS[5:]])
    assert Problem.GAP_OR_REORDER in problems(report)
    assert (report.first_bad_seq, report.exit_code()) == (5, 1)


def test_a_deleted_first_row_is_named() -> None:
    report = check(ROWS[1:])
    assert Problem.GAP_OR_REORDER in problems(report)
    assert report.exit_code() == 1


def test_a_cut_middle_that_is_renumbered_and_rechained_is_named() -> None:
    kept = [*ROWS[:4], *ROWS[6:]]
    rows = rechained([replace(row, seq=seq) for seq, row in enumerate(kept, 1)], 4)
    report = check(rows)
    assert {Problem.COLUMN_DIFFERS, Problem.TRUNCATED} <= problems(report)


def test_a_cut_tail_is_named_with_its_checkpoint() -> None:
    report = check(ROWS[:7])
    assert problems(report) == {Problem.TRUNCATED, Problem.NO_CHECKPOINT}
    assert "truncated below checkpoint 10" in report.findings[0].message
    assert report.exit_code() == 1


def test_an_emptied_log_is_named() -> None:
    assert Problem.TRUNCATED in problems(check([]))


def test_swapped_rows_are_named() -> None:
    rows = [*ROWS]
    rows[3], rows[5] = rows[5], rows[3]
    assert Problem.GAP_OR_REORDER in problems(check(rows))
    # The same with the numbers swapped back, as a query by seq would give them.
    rows[3], rows[5] = replace(rows[3], seq=4), replace(rows[5], seq=6)
    report = check(rows)
    assert {Problem.ALTERED, Problem.COLUMN_DIFFERS} <= problems(report)
    assert report.first_bad_seq == 3 or report.first_bad_seq == 4


def test_a_repeated_row_is_named() -> None:
    assert problems(check([*ROWS[:5], ROWS[4], *ROWS[5:]])) == {Problem.GAP_OR_REORDER}


def test_a_rewrite_of_the_same_length_is_named_by_its_root() -> None:
    rows = [*ROWS]
    rows[4] = replace(rows[4], body=rows[4].body.replace("reads", "wrote"))
    report = check(rechained(rows, 4))
    assert problems(report) == {Problem.OTHER_ROOT, Problem.NO_CHECKPOINT}
    assert (report.first_bad_seq, report.exit_code()) == (10, 1)


def test_an_other_root_is_named_once_by_the_first_checkpoint_that_shows_it() -> None:
    rows = rechained([replace(ROWS[0], body=ROWS[0].body.replace("reads", "wrote")), *ROWS[1:]], 0)
    report = check(rows, NOTE, note(ROWS[:6]), note(ROWS[:8]))
    roots = [one.seq for one in report.findings if one.problem is Problem.OTHER_ROOT]
    assert roots == [6]


def test_an_older_copy_of_the_log_is_named() -> None:
    assert Problem.TRUNCATED in problems(check(ROWS[:4], note(ROWS[:4]), NOTE))


@given(data=st.data())
@settings(max_examples=150)
def test_any_single_change_of_a_row_is_found(data: st.DataObject) -> None:
    rows = [*ROWS]
    index = data.draw(st.integers(0, len(rows) - 1))
    at = data.draw(st.integers(0, len(rows[index].body) - 1))
    body = rows[index].body
    changed = body[:at] + data.draw(st.sampled_from('0aZ"}')) + body[at + 1 :]
    rows[index] = replace(rows[index], body=changed)
    if data.draw(st.booleans()):
        rows = rechained(rows, index)
    assert check(rows).exit_code() == (0 if changed == body else 1)


def test_every_alteration_is_named_but_not_its_wake() -> None:
    rows = [*ROWS]
    for index in (2, 6):
        rows[index] = replace(rows[index], body=rows[index].body.replace("reads", "wrote"))
    altered = [one.seq for one in check(rows).findings if one.problem is Problem.ALTERED]
    assert altered == [3, 7]


def test_findings_are_bounded_and_the_rest_is_counted() -> None:
    rows = [replace(row, agent_id="other") for row in log(100)]
    report = verify(rows, evidence())
    assert len(report.findings) == MAX_FINDINGS
    assert report.more > 0
    assert f"{report.more} more findings." in report.lines()


def test_without_a_key_nothing_is_proven() -> None:
    report = verify(ROWS, Evidence((), (NOTE,)))
    assert problems(report) == {Problem.NO_KEY}
    assert report.exit_code() == 2
    assert report.lines()[0] == "The log could not be verified."


@pytest.mark.requirement("FC20")
def test_without_a_checkpoint_nothing_is_proven() -> None:
    for notes in ((), (note([]),)):
        report = verify(ROWS, evidence(*notes))
        assert problems(report) == {Problem.NO_CHECKPOINT}
        assert report.exit_code() == 2


def test_tampering_is_reported_as_such_even_without_a_key() -> None:
    assert verify(ROWS[1:], Evidence(())).exit_code() == 1


def test_a_bad_or_unknown_signature_is_named() -> None:
    bad = NOTE.replace("\n10\n", "\n11\n")
    assert Problem.BAD_SIGNATURE in problems(check(ROWS, NOTE, bad))
    assert Problem.BAD_SIGNATURE in problems(check(ROWS, NOTE, "x"))
    assert problems(check(ROWS, NOTE, note(ROWS, Key(8)))) == {Problem.UNKNOWN_SIGNATURE}
    foreign = Evidence((KEY.public,), (NOTE,), bytes(16))
    assert Problem.UNKNOWN_SIGNATURE in problems(verify(ROWS, foreign))


def test_a_log_that_names_itself_is_held_against_its_own_name() -> None:
    assert verify(ROWS, Evidence((KEY.public,), (NOTE,))).exit_code() == 0


def test_stored_checkpoints_are_compared_as_the_rows_go_by() -> None:
    stored = [note(ROWS[:size]) for size in (2, 4, 8)]
    report = verify(ROWS, evidence(), stored=stored)
    assert (report.findings, report.signed, report.tail) == ((), 8, 2)
    assert report.exit_code() == 0
    assert report.exit_code(strict=True) == 1
    cut = verify(ROWS[:5], evidence(), stored=stored)
    assert problems(cut) == {Problem.TRUNCATED}


def test_a_stored_checkpoint_out_of_order_or_malformed_is_named() -> None:
    late = verify(ROWS, evidence(), stored=[note(ROWS[:8]), note(ROWS[:4])])
    assert problems(late) == {Problem.GAP_OR_REORDER}
    assert problems(verify(ROWS, evidence(NOTE), stored=["x"])) == {Problem.BAD_SIGNATURE}


def test_two_checkpoints_of_one_size_are_both_compared() -> None:
    forged = [*ROWS[:9], replace(ROWS[9], hash=bytes(32))]
    assert problems(check(ROWS, NOTE, NOTE, note(forged))) == {Problem.OTHER_ROOT}


def test_open_intents_are_counted_and_strict_refuses_them() -> None:
    rows = chain(*call(1), call(2)[0])
    report = check(rows, note(rows))
    assert (report.open_intents, report.exit_code(), report.exit_code(strict=True)) == (1, 0, 1)


def test_a_declared_restore_is_printed_and_strict_refuses_it() -> None:
    older = chain(*call(1), *call(2), *call(3), *call(4))
    rows = chain(*call(1), Entry("audit.restored"), *call(3))
    lost = note(older[:4]), note(older)
    report = check(rows, note(rows[:2]), *lost, note(rows))
    assert (report.findings, report.restores) == ((), (3,))
    assert (report.exit_code(), report.exit_code(strict=True)) == (0, 1)
    assert "Row 3 declares a restored backup." in report.lines()


def test_an_epoch_that_changes_without_a_restore_is_named() -> None:
    rows = [*ROWS]
    rows[4] = replace(rows[4], epoch=2)
    assert {Problem.COLUMN_DIFFERS, Problem.GAP_OR_REORDER} <= problems(check(rows))


def pruned(**changes: object) -> tuple[Anchor, list[AuditRow]]:
    frontier = Frontier()
    for row in ROWS[:6]:
        frontier = frontier.append(row.hash)
    anchor = Anchor(6, 6, ROWS[5].hash, frontier.root, frontier.to_bytes(), bytes(32))
    fields = {
        "from": 1,
        "to": 6,
        "count": 6,
        "last_hash": anchor.last_hash.hex(),
        "root": anchor.root.hex(),
        "frontier": anchor.frontier.hex(),
        "export_sha256": bytes(32).hex(),
    } | changes
    entries = [entry for number in range(5) for entry in call(number)]
    rows = chain(*entries, Entry("audit.anchor", fields))  # type: ignore[arg-type]  # JSON
    return anchor, rows


def test_a_pruned_log_is_verified_from_its_anchor_on() -> None:
    anchor, rows = pruned()
    report = verify(rows[6:], evidence(note(rows[:4]), note(rows)), start=anchor)
    assert (report.findings, report.anchors, report.exit_code()) == ((), (6,), 0)
    assert report.last_seq == 11


def test_a_pruned_log_may_begin_in_a_later_epoch() -> None:
    anchor = pruned()[0]
    rows = chain(Entry("audit.restored"), *(Entry("system.started") for _ in range(7)))
    frontier = Frontier()
    for row in rows[:6]:
        frontier = frontier.append(row.hash)
    anchor = replace(
        anchor, last_hash=rows[5].hash, root=frontier.root, frontier=frontier.to_bytes()
    )
    report = verify(rows[6:], evidence(note(rows)), start=anchor)
    assert problems(report) == {Problem.ANCHOR_MISMATCH}, "only its anchor row is missing"


@pytest.mark.parametrize("field", ["count", "last_hash", "root", "frontier", "export_sha256"])
def test_an_anchor_row_that_says_otherwise_is_named(field: str) -> None:
    anchor, rows = pruned(**{field: "other"})
    report = verify(rows[6:], evidence(note(rows)), start=anchor)
    assert problems(report) == {Problem.ANCHOR_MISMATCH}


def test_an_anchor_without_row_or_with_another_frontier_is_named() -> None:
    anchor, rows = pruned()
    assert Problem.ANCHOR_MISMATCH in problems(
        verify(rows[6:10], evidence(note(rows[:10])), start=anchor)
    )
    for frontier in (bytes(64), b""):
        wrong = replace(anchor, frontier=frontier)
        report = verify(rows[6:], evidence(note(rows)), start=wrong)
        assert Problem.ANCHOR_MISMATCH in problems(report)


def test_an_anchor_whose_root_its_own_frontier_does_not_give_is_named() -> None:
    anchor, rows = pruned(root=bytes(32).hex())
    report = verify(rows[6:], evidence(note(rows)), start=replace(anchor, root=bytes(32)))
    assert problems(report) == {Problem.ANCHOR_MISMATCH}


def test_the_row_of_an_older_anchor_may_still_be_there() -> None:
    anchor, rows = pruned()
    older = Entry("audit.anchor", {"from": 1, "to": 2})
    entries = [entry for number in range(5) for entry in call(number)]
    newest = Entry("audit.anchor", {**_body(rows[-1])})
    rows = chain(*entries, older, newest)
    assert verify(rows[6:], evidence(note(rows)), start=anchor).findings == ()


def _body(row: AuditRow) -> JsonObject:
    body: JsonObject = msgspec.json.decode(row.body)
    for name in ("id", "seq", "ts", "kind", "epoch"):
        del body[name]
    return body


def hits(rows: list[AuditRow]) -> list[Hit]:
    return [Hit(row.seq, "p", 3, 1, "permit", "enforce") for row in rows if row.ref]


def test_stored_policies_that_agree_are_fine() -> None:
    assert verify(ROWS, evidence(NOTE), hits=hits(ROWS)).findings == ()


@pytest.mark.parametrize("change", [{"version": 2}, {"effect": "forbid"}, {"policy_id": "q"}])
def test_stored_policies_that_differ_from_the_body_are_named(change: dict[str, str]) -> None:
    forged = [replace(hit, **change) if hit.seq == 5 else hit for hit in hits(ROWS)]  # type: ignore[arg-type]  # by name
    report = verify(ROWS, evidence(NOTE), hits=forged)
    assert (problems(report), report.first_bad_seq) == ({Problem.COLUMN_DIFFERS}, 5)


def test_a_missing_or_added_stored_policy_is_named() -> None:
    for forged in (
        [hit for hit in hits(ROWS) if hit.seq != 5],
        sorted([*hits(ROWS), Hit(5, "extra", 1, 1, "permit", "enforce")]),
        sorted([*hits(ROWS), Hit(6, "p", 3, 1, "permit", "enforce")]),
    ):
        report = verify(ROWS, evidence(NOTE), hits=forged)
        assert problems(report) == {Problem.COLUMN_DIFFERS}


def test_shadow_statements_may_be_stored_too() -> None:
    one = {"policyId": "s", "version": 1, "statement": 2, "effect": "forbid"}
    rows = chain(*call(1, shadow={"determining": [one]}))
    stored = [*hits(rows), Hit(1, "s", 1, 2, "forbid", "shadow")]
    assert verify(rows, evidence(note(rows)), hits=stored).findings == ()


def test_a_verifier_holds_no_rows() -> None:
    verifier = Verifier(evidence(NOTE))
    for row in ROWS:
        verifier.row(row)
    held = [getattr(verifier, name) for name in vars(verifier)]
    assert not [value for value in held if isinstance(value, AuditRow)]
    assert not [value for value in held if isinstance(value, list | set) and len(value) > 1]
