"""What of arguments may be shown."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.audit import redact
from wicketd.domain.json import JsonObject


def test_secret_names_are_masked_whatever_their_spelling() -> None:
    shown = redact.masked({"API-Key": "x", "pin": "1", "pinned": "y", "apikeys": 3})
    assert shown == {
        "API-Key": "[redacted:name]",
        "pin": "[redacted:name]",
        "pinned": "y",
        "apikeys": 3,
    }


def test_secret_values_are_masked_inside_text() -> None:
    shown = str(redact.masked(["use ghp_abc123 please", "Bearer abc", "https://u:p@host"]))
    assert "ghp_" not in shown
    assert "abc" not in shown
    assert "u:p" not in shown


def test_long_strings_are_cut_and_floats_become_text() -> None:
    assert redact.masked(["a" * 300, 1.5]) == ["a" * 200 + "…", "1.5"]


def test_an_outline_shows_values_of_named_arguments_only() -> None:
    shown = redact.outline(
        {"repo": "site", "body": "hello", "n": 1, "x": [1], "o": None}, ("repo",)
    )
    assert shown == {
        "repo": "site",
        "body": "string(5)",
        "n": "number",
        "x": "array(1)",
        "o": "null",
    }


NAMES = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
    "cookie",
    "credential",
    "bearer",
    "jwt",
    "cvv",
    "cardnumber",
    "connectionstring",
    "otp",
    "pin",
    "ssn",
    "dsn",
    "signature",
]


@pytest.mark.parametrize("name", NAMES)
def test_each_secret_name_of_the_specification_is_masked(name: str) -> None:
    spelled = f"{name[:2].upper()}-{name[2:]}_"
    assert redact.masked({spelled: "canary"}) == {spelled: "[redacted:name]"}


@pytest.mark.parametrize("name", NAMES[:16])
def test_a_name_that_contains_one_is_masked_too(name: str) -> None:
    assert redact.masked({f"my_{name}s": "canary"}) == {f"my_{name}s": "[redacted:name]"}


@pytest.mark.parametrize("name", NAMES[16:])
def test_short_names_count_only_alone(name: str) -> None:
    assert redact.masked({f"my{name}s": "plain"}) == {f"my{name}s": "plain"}


VALUES = {
    "member_key": "wkt_UTJ58rYrgZIquWVfkfbxYLgUC62ZqGtExHZJdPsKoCF_Zx81Kq0A2VnYuQ",
    "bearer": "bEaReR abc.def-ghi",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "github": "ghp_canary1",
    "slack": "xoxb-canary-1",
    "stripe": "sk_live_canary1",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "google": "AIzaSyCanary1_-x",
    "gitlab": "glpat-canary_1",
    "userinfo": "user:can@ary",
}


@pytest.mark.parametrize(("why", "value"), VALUES.items())
def test_each_secret_value_is_replaced_inside_a_text(why: str, value: str) -> None:
    before, after = ("https://", "@host/x") if why == "userinfo" else ("see ", ", please")
    assert redact.text(before + value + after) == f"{before}[redacted:{why}]{after}"


@pytest.mark.parametrize("value", ["gho_canary1", "ghs_canary1", "github_pat_canary1"])
def test_every_kind_of_github_token_is_replaced(value: str) -> None:
    assert redact.text(value) == "[redacted:github]"


def test_a_key_block_without_end_is_replaced_to_the_end() -> None:
    assert redact.text("x -----BEGIN PRIVATE KEY-----\ncanary") == "x [redacted:pem]"


def test_plain_texts_and_addresses_stay() -> None:
    for text in ("mail ann@example.com", "https://host:8080/a@b", "the bearer", "a.b.c", ""):
        assert redact.text(text) == text


def test_what_lies_under_a_secret_name_is_masked_at_every_depth() -> None:
    shown = redact.masked({"credentials": {"user": "canary", "n": 3, "list": ["canary", True]}})
    assert shown == {
        "credentials": {
            "user": "[redacted:name]",
            "n": 3,
            "list": ["[redacted:name]", True],
        }
    }


def test_a_secret_at_the_cut_is_not_shown_by_half() -> None:
    shown = redact.masked("x" * 195 + " ghp_canary1canary")
    assert shown == "x" * 195 + " [red…"


def test_an_endless_text_is_cut_and_names_are_cut_to_what_a_body_holds() -> None:
    assert redact.masked("a " * 100_000) == "a " * 100 + "…"
    assert redact.masked({"n" * 300: 1}) == {"n" * 255 + "…": 1}


def test_an_outline_masks_what_it_shows() -> None:
    shown = redact.outline({"token": "canary", "note": "ghp_canary1"}, ("token", "note"))
    assert shown == {"token": "[redacted:name]", "note": "[redacted:github]"}


def test_an_outline_shows_names_and_types_inside_objects_and_is_bounded() -> None:
    deep: JsonObject = {"a": {"b": {"c": {"d": {"e": "canary"}}}}, "f": True}
    assert redact.outline(deep, ()) == {"a": {"b": {"c": {"d": "object(1)"}}}, "f": "boolean"}
    many: JsonObject = {f"n{number}": 1 for number in range(100)}
    assert redact.outline({"m": many}, ()) == {"m": "object(100)"}
    assert len(redact.outline(many, ())) == 64


def test_an_admin_adds_names_and_patterns_and_removes_none() -> None:
    rules = redact.Rules(keys=("Kunden-Nr",), patterns=(re.compile(r"C-\d+"),))
    shown = redact.masked({"kundennr": "x", "a": "C-123", "token": "x", "b": "ghp_aaaa"}, rules)
    assert shown == {
        "kundennr": "[redacted:name]",
        "a": "[redacted:pattern]",
        "token": "[redacted:name]",
        "b": "[redacted:github]",
    }


@given(st.text(max_size=200))
def test_no_text_crashes_and_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact.text(text)
    assert redact.text(once) == once


def test_recorded_arguments_read_back_with_their_salt() -> None:
    plain = redact.recorded(b'{"b":1.5,"a":[]}', bytes(range(32)))
    assert plain.startswith(b'{"arguments":{"b":1.5,"a":[]},"salt":"AAECAwQ')
    assert len(plain.split(b'"')[-2]) == 43
    assert redact.read_recorded(plain) == (b'{"b":1.5,"a":[]}', bytes(range(32)))


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"{}",
        b'{"arguments":{},"salt":"AAAA"}',
        b'{"arguments":{},"salt":"!"}',
        b'{"arguments":{}}',
    ],
)
def test_anything_else_is_no_record_of_arguments(plain: bytes) -> None:
    with pytest.raises(ValueError, match="recorded arguments"):
        redact.read_recorded(plain)
