"""The filter words of the audit."""

import pytest

from wicket_tui.headless.filters import parsed
from wicket_tui.headless.stdin import InputFailed
from wicketd.api.types.audit import AuditExport, AuditList


def test_words_become_filters() -> None:
    words = ["tool:delete", "decision:deny", "member:ann", "since:1h", "revision:3", "flip:yes"]

    assert parsed(AuditList, words, limit=5, before=None) == AuditList(
        tool="delete",
        decision="DENY",
        member="ann",
        since="1h",
        revision=3,
        shadow_flip=True,
        limit=5,
    )


def test_a_value_may_hold_a_colon() -> None:
    assert parsed(AuditExport, ["until:2026-01-31T12:00:00Z"]).until == "2026-01-31T12:00:00Z"


@pytest.mark.parametrize(
    "word", ["delete", "colour:red", "decision:maybe", "revision:x", ":x", "limit:3"]
)
def test_anything_else_is_refused_with_the_names(word: str) -> None:
    with pytest.raises(InputFailed):
        parsed(AuditList, [word])
