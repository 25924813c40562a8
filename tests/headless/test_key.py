"""A pasted key never leaves this process: only its id does."""

import pytest

from wicket_tui.headless.key import key_id_in
from wicket_tui.headless.stdin import InputFailed

KEY = "wkt_UTJ58rYrgZIquWVfkfbxYLgUC62ZqGtExHZJdPsKoCF_Zx81Kq0A2VnYuQ"


@pytest.mark.parametrize(
    "text", [KEY, f"Authorization: Bearer {KEY}", f"{KEY}\nmore", "Zx81Kq0A", "_Zx81Kq0A"]
)
def test_the_id_is_found_in_what_people_paste(text: str) -> None:
    assert key_id_in(text) == "Zx81Kq0A"


@pytest.mark.parametrize("text", ["", "hello", KEY[:-1], "x" + KEY, "Zx81Kq0A9"])
def test_a_text_without_a_key_is_refused(text: str) -> None:
    with pytest.raises(InputFailed, match="no Wicket key"):
        key_id_in(text)
