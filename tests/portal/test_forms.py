"""`portal.forms`: strict reading of what a browser sends."""

import pytest

from wicketd.domain.errors import BadRequest
from wicketd.portal import forms


def test_a_form_gives_its_fields() -> None:
    assert forms.fields(b"a=1&b=x+y&c=%C3%A4&d=") == {"a": "1", "b": "x y", "c": "ä", "d": ""}
    assert forms.fields(b"") == {}


@pytest.mark.parametrize(
    "body",
    [
        b"a=1&a=2",
        b"a=%FF",
        b"a=\xc3\xa4",
        b"a",
        b"&".join(b"f%d=1" % n for n in range(33)),
    ],
)
def test_a_form_that_two_readers_could_read_differently_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        forms.fields(body)
    assert forms.lenient(body) == {}


@pytest.mark.parametrize(
    ("content_type", "is_form"),
    [
        (b"application/x-www-form-urlencoded", True),
        (b"Application/X-WWW-Form-Urlencoded; charset=UTF-8", True),
        (b"application/x-www-form-urlencoded; charset=utf-7", False),
        (b"multipart/form-data; boundary=x", False),
        (b"text/plain", False),
        (b"application/json", False),
        (None, False),
    ],
)
def test_only_an_urlencoded_form_is_read(content_type: bytes | None, is_form: bool) -> None:
    assert forms.is_form(content_type) is is_form


@pytest.mark.parametrize(
    "text",
    ["/agents", "/agents/018f0000-0000-7000-8000-00000000000a/key", "/join/a.b_c-d", "/account"],
)
def test_a_place_of_ours_is_where_one_goes_on(text: str) -> None:
    assert forms.own_path(text, "/agents") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/agents/../mcp",
        "/agents//evil.example",
        "/agents?x=1",
        "/agents\r\nSet-Cookie: a=b",
        "/agents/%2e%2e",
        "/signin",
        "/mcp",
        "javascript:alert(1)",
        "/agents/" + "a" * 400,
        "/agents\n",
    ],
)
def test_any_other_target_is_not_followed(text: str) -> None:
    assert forms.own_path(text, "/elsewhere") == "/elsewhere"
