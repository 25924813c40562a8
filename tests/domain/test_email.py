"""One address has one spelling, and nothing that could forge a header is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.domain import email
from wicketd.domain.errors import Invalid


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ann@example.org", "ann@example.org"),
        ("  Ann@Example.ORG\n", "ann@example.org"),
        ("A.B+c'd@Example.org", "a.b+c'd@example.org"),
        ("zo\u0065\u0308@example.org", "zo\u00eb@example.org"),
        ("ZO\u00cb@example.org", "zo\u00eb@example.org"),
        ("ann@B\u00dcCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
        ("ann@box", "ann@box"),
    ],
)
def test_spellings_of_one_address_are_one(typed: str, kept: str) -> None:
    assert email.normalise(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "@",
        "ann",
        "ann@",
        "@example.org",
        "ann@@example.org",
        "ann b@example.org",
        '"ann b"@example.org',
        "ann@example.org\r\nBcc: eve@example.org",
        "ann\u200b@example.org",
        "ann\u202e@example.org",
        "ann\ud800@example.org",
        "ann,eve@example.org",
        "<ann@example.org>",
        ".ann@example.org",
        "ann.@example.org",
        "a..n@example.org",
        "ann@example..org",
        "ann@example.org.",
        "ann@-example.org",
        "ann@exam_ple.org",
        "ann@[127.0.0.1]",
        "ann@exa mple.org",
        "ann@stra\u00dfe.example",
        "ann@\uff45xample.org",
        "ann@\u0661\u0627.example",
        "a" * 65 + "@example.org",
        "ann@" + "a" * 64 + ".org",
        "ann@" + ".".join(["a" * 63] * 4) + ".org",
        "a" * 2000,
    ],
)
def test_what_is_no_address_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(Invalid, match=r"ann@example\.org"):
        email.normalise(typed)


@given(st.text(max_size=80))
def test_every_accepted_address_is_its_own_spelling_and_fits_a_header(text: str) -> None:
    for typed in (text, f"{text}@example.org", f"ann@{text}"):
        try:
            kept = email.normalise(typed)
        except Invalid:
            continue
        assert email.normalise(kept) == kept
        assert 3 <= len(kept.encode()) <= email.MAX_BYTES
        assert not set(kept) & set(' ,;:<>()[]\\"\r\n\x00')
        assert kept == kept.lower()
