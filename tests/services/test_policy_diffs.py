"""What two versions of a policy differ in."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.policies import make_record
from wicketd.domain.policies import Mode
from wicketd.services import policy_diffs

OLD = replace(make_record("permit (principal, action, resource);\n", "some"), version=1)


def test_texts_differ_as_a_unified_diff_and_facts_by_name() -> None:
    new = replace(
        OLD, version=4, text="forbid (principal, action, resource);", name="N", mode=Mode.SHADOW
    )
    found = policy_diffs.between(OLD, new)
    assert found.fields == {"name": (OLD.name, "N"), "mode": ("enforce", "shadow")}
    assert found.text == (
        "--- some@1\n"
        "+++ some@4\n"
        "@@ -1 +1 @@\n"
        "-permit (principal, action, resource);\n"
        "+forbid (principal, action, resource);\n"
        "\\ No newline at end of file\n"
    )


def test_equal_versions_differ_in_nothing() -> None:
    found = policy_diffs.between(OLD, replace(OLD, version=2))
    assert (found.fields, found.text) == ({}, "")


def test_turning_off_is_said_in_words() -> None:
    found = policy_diffs.between(OLD, replace(OLD, enabled=False))
    assert found.fields == {"enabled": ("enabled", "disabled")}


@given(st.lists(st.sampled_from(["a\n", "b\n", "\r\n", "\x0c", "c"]), max_size=8).map("".join))
@pytest.mark.parametrize("other", ["", "a\nb\n", "c"])
def test_both_texts_can_be_read_off_a_diff(other: str, text: str) -> None:
    said = policy_diffs.unified(text, other, "x", "y")
    if text == other:
        assert said == ""
        return
    removed = [line for line in said.split("\n")[3:] if line.startswith("-")]
    added = [line for line in said.split("\n")[3:] if line.startswith("+")]
    assert removed or added
    assert all(line[1:] in text for line in removed)
    assert all(line[1:] in other for line in added)
