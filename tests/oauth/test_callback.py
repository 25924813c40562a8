"""What a callback must look like, and whose answer it must be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.domain.errors import Invalid
from wicketd.oauth import callback
from wicketd.oauth.callback import CallbackRefused, Parameters

ISSUER = "https://as.test/tenant"


def reason(query: bytes) -> str:
    """Why a query is refused."""
    with pytest.raises(CallbackRefused) as refused:
        callback.parse(query)
    return refused.value.reason


def answer(
    code: str | None = "c0de", error: str | None = None, iss: str | None = None
) -> Parameters:
    """What a provider's redirect said."""
    return Parameters("s", code, error, iss)


def test_code_state_and_issuer_are_read_and_unknown_parameters_ignored() -> None:
    found = callback.parse(b"code=a%2Bb&state=s1&iss=https%3A%2F%2Fas.test&session_state=x+y")
    assert (found.code, found.state, found.iss, found.error) == (
        "a+b",
        "s1",
        "https://as.test",
        None,
    )
    assert "a+b" not in repr(found)


@pytest.mark.parametrize("name", ["code", "state", "iss", "error", "foreign"])
def test_each_parameter_stands_at_most_once(name: str) -> None:
    query = f"code=c&state=s&iss=i&{name}=1&{name}=1"
    assert reason(query.encode()) == "parameter_twice"


def test_a_parameter_does_not_come_twice_under_another_spelling() -> None:
    assert reason(b"code=c&state=s&%63ode=d") == "parameter_twice"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (b"", "state_missing"),
        (b"code=c", "state_missing"),
        (b"code=c&state=", "state_missing"),
        (b"code=%ff&state=s", "query_malformed"),
        (b"state=s&code=" + b"c" * 4096, "query_too_large"),
        (b"state=s&" + b"&".join(b"p%d=1" % n for n in range(40)), "query_malformed"),
    ],
)
def test_what_is_no_callback_is_refused(query: bytes, why: str) -> None:
    assert reason(query) == why


@pytest.mark.parametrize(
    ("iss", "sends_iss", "why"),
    [
        (None, True, "issuer_missing"),
        ("https://evil.test", True, "issuer_mismatch"),
        ("https://evil.test", False, "issuer_mismatch"),
        (ISSUER + "/", False, "issuer_mismatch"),
        ("", False, "issuer_mismatch"),
    ],
)
def test_an_answer_of_another_issuer_or_none_is_refused(
    iss: str | None, sends_iss: bool, why: str
) -> None:
    for each in (answer(iss=iss), answer(None, "access_denied", iss)):
        with pytest.raises(CallbackRefused) as refused:
            callback.code_of(each, ISSUER, sends_iss=sends_iss)
        assert refused.value.reason == why


@pytest.mark.parametrize(("iss", "sends_iss"), [(None, False), (ISSUER, True), (ISSUER, False)])
def test_the_recorded_issuers_answer_gives_its_code(iss: str | None, sends_iss: bool) -> None:
    assert callback.code_of(answer(iss=iss), ISSUER, sends_iss=sends_iss) == "c0de"


@pytest.mark.parametrize("code", [None, "", "a b", "a\x00b", "é"])
def test_a_code_that_is_none_is_refused(code: str | None) -> None:
    with pytest.raises(CallbackRefused, match="code_missing"):
        callback.code_of(answer(code), ISSUER, sends_iss=False)


def test_an_error_is_told_in_our_own_words() -> None:
    for error in ("access_denied", "server_error", "<b>pay here</b>"):
        with pytest.raises(Invalid) as told:
            callback.code_of(answer(None, error), ISSUER, sends_iss=False)
        assert "Nothing was connected." in told.value.message
        assert error not in told.value.message
    assert callback.word("<b>") == "other"
    assert callback.word("access_denied") == "access_denied"


@given(st.binary(max_size=200))
def test_no_query_breaks_the_parser(query: bytes) -> None:
    try:
        callback.parse(query)
    except CallbackRefused:
        return
