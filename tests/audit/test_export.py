"""Rows outside: JSONL that holds the hashed bytes, CSV that runs no formula."""

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audit.logs import call, chain, evidence, log, note
from wicketd.audit import export
from wicketd.audit.chain import row_hash
from wicketd.audit.export import HOSTED, Csv, ExportUnreadable, Jsonl
from wicketd.audit.verify import verify
from wicketd.domain.audit import AuditRow, Entry


def cells(row: AuditRow, outcome: AuditRow | None = None) -> dict[str, str]:
    form = Csv()
    return next(csv.DictReader(io.StringIO(form.head + form.lines(row, outcome), newline="")))


def jsonl(rows: list[AuditRow]) -> list[bytes]:
    return [export.jsonl_line(row).encode() for row in rows]


def test_a_line_reads_back_as_the_row_it_was() -> None:
    rows = log()
    assert list(export.read_jsonl(jsonl(rows))) == rows


def test_an_export_verifies_alone_though_outcomes_stand_behind_their_intents() -> None:
    first, second = call(1), call(2)
    rows = chain(first[0], second[0], second[1], first[1])
    form = Jsonl()
    text = form.head + form.lines(rows[0], rows[3]) + form.lines(rows[1], rows[2])
    lines = text.encode().splitlines(keepends=True)
    assert [row.seq for row in export.read_jsonl(lines)] == [1, 4, 2, 3]
    read = export.in_order(export.read_jsonl(lines))
    assert verify(read, evidence(note(rows))).exit_code() == 0


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"x",
        b"[]",
        b'{"prev":"00","hash":"00","body":{}}',
        b'{"body":{}}',
        b"\xff",
    ],
)
def test_a_line_that_is_no_row_is_named(line: bytes) -> None:
    lines = [*jsonl(log(1)), line]
    with pytest.raises(ExportUnreadable, match="Line 3"):
        list(export.read_jsonl(lines))


@pytest.mark.parametrize("name", [b'"seq"', b'"ts"', b'"epoch"'])
def test_a_line_without_its_numbers_is_no_row(name: bytes) -> None:
    with pytest.raises(ExportUnreadable):
        list(export.read_jsonl([jsonl(log(1))[0].replace(name, b'"other"')]))
    with pytest.raises(ExportUnreadable):
        list(export.read_jsonl([jsonl(log(1))[0].replace(name + b":", name + b':null,"x":')]))


@given(st.permutations(range(12)))
def test_rows_come_out_by_seq_whatever_their_order(order: list[int]) -> None:
    rows = log(6)
    assert list(export.in_order(rows[index] for index in order)) == rows


def test_a_part_of_a_log_comes_out_by_seq_too() -> None:
    rows = log(6)
    assert list(export.in_order([rows[7], rows[5], rows[9]])) == [rows[5], rows[7], rows[9]]


def test_csv_has_the_hosted_fields_first() -> None:
    assert Csv().head.startswith(",".join(HOSTED) + ",seq,kind,")
    assert HOSTED[:3] == ("id", "timestamp", "agentId")


def test_a_csv_line_joins_an_intent_with_its_outcome() -> None:
    intent, outcome = chain(*call(3))
    shown = cells(intent, outcome)
    assert (shown["id"], shown["kind"], shown["seq"]) == (intent.id, "call.intent", "1")
    assert (shown["outcome"], shown["durationMs"], shown["decision"]) == ("ok", "5", "ALLOW")
    assert shown["timestamp"] == "2027-01-15T08:00:00.002Z"
    assert shown["matchedPolicyIds"] == '["reads"]'
    assert shown["hash"] == intent.hash.hex()
    assert shown["memberId"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_quoted(start: str) -> None:
    row = chain(Entry("call.denied", tool=f"{start}1+1"))[0]
    assert cells(row)["tool"] == f"'{start}1+1"


@given(st.text(max_size=50))
def test_any_text_stays_one_cell(text: str) -> None:
    row = chain(Entry("call.denied", {"reason": text}))[0]
    assert cells(row)["reason"].removeprefix("'") in {text, text[1:]}


def test_nested_values_are_json_in_one_cell() -> None:
    row = chain(Entry("agent.updated", {"actor": {"uid": 1}, "after": {"b": 1, "a": [2]}}))[0]
    assert cells(row)["after"] == '{"a":[2],"b":1}'


def test_a_forged_line_shows_in_verification() -> None:
    rows = log()
    body = rows[3].body.replace('"ok"', '"no"')
    forged = replace(rows[3], body=body, hash=row_hash(rows[3].prev, body))
    read = export.read_jsonl(jsonl([*rows[:3], forged, *rows[4:]]))
    report = verify(read, evidence(note(rows)))
    assert (report.exit_code(), report.first_bad_seq) == (1, 4)
