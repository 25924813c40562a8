"""Rules of the values that admins give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.domain.errors import Invalid, RevisionMoved, RevisionRequired
from wicketd.services import rules


def test_a_text_is_trimmed_and_kept() -> None:
    assert rules.text("  Grüße, 世界 ", "name", 80) == "Grüße, 世界"


@pytest.mark.parametrize("hostile", ["\x00", "\x1b[2J", "\u200b", "\u202e", "\u2066", "\ufeff"])
def test_what_does_not_show_is_refused(hostile: str) -> None:
    with pytest.raises(Invalid, match="visible characters"):
        rules.text(f"a{hostile}b", "name", 80)


@given(st.text())
def test_a_text_that_passes_is_printable_and_short(value: str) -> None:
    try:
        kept = rules.text(value, "name", 20)
    except Invalid:
        return
    assert 0 < len(kept) <= 20
    assert not any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in kept)


def test_an_empty_note_is_no_note() -> None:
    assert rules.note(None) is None
    assert rules.note("   ") is None
    assert rules.note(" why ") == "why"


def test_labels_are_each_kept_once_in_order() -> None:
    assert rules.labels(["b", "a", "b"], "tag") == ("a", "b")
    with pytest.raises(Invalid, match="64 tags"):
        rules.labels([f"t{number}" for number in range(65)], "tag")


@pytest.mark.parametrize("key", ["a", "0", "a-b", "x" * 63])
def test_a_policy_key_is_a_slug(key: str) -> None:
    assert rules.policy_key(key) == key


def test_a_revision_must_be_given_and_be_the_current_one() -> None:
    rules.revision(3, 3)
    with pytest.raises(RevisionRequired):
        rules.revision(3, None)
    with pytest.raises(RevisionMoved) as refused:
        rules.revision(3, 2)
    assert refused.value.details == ({"current": 3},)
