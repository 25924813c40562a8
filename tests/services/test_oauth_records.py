"""Records of providers: what an answer makes of them, and when they are due."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.rows import connection
from wicketd.oauth.token import TokenAnswer
from wicketd.services import oauth_records
from wicketd.services.oauth_records import Source
from wicketd.services.tokens import TokenRecord
from wicketd.vault.secret import Secret

AT_MS = 1_000_000
SOURCE = Source(
    issuer="https://as.example",
    token_endpoint="https://as.example/token",
    client_id="c1",
    auth_method="none",
    resource="https://mcp.example/mcp",
    scopes="read write",
)
FULL = TokenAnswer(Secret(b"at1"), Secret(b"rt1"), "read", 3600)
BARE = TokenAnswer(Secret(b"at2"), None, None, None)


def record(answer: TokenAnswer = FULL) -> TokenRecord:
    return oauth_records.first(answer, SOURCE, AT_MS)


def test_a_first_record_holds_answer_and_source() -> None:
    assert msgspec.to_builtins(record()) == {
        "v": 1,
        "access_token": "at1",
        "refresh_token": "rt1",
        "token_type": "Bearer",
        "scope": "read",
        "expires_at": AT_MS + 3_600_000,
        "obtained_at": AT_MS,
        "issuer": "https://as.example",
        "resource": "https://mcp.example/mcp",
        "token_endpoint": "https://as.example/token",
        "client_id": "c1",
        "auth_method": "none",
    }


def test_scopes_that_an_answer_leaves_out_are_those_asked_for() -> None:
    assert record(BARE).scope == "read write"


def test_a_refresh_replaces_what_it_was_answered() -> None:
    after = oauth_records.renewed(record(), TokenAnswer(Secret(b"a"), Secret(b"r"), "x", 60), 5)
    assert (after.access_token, after.refresh_token, after.scope) == ("a", "r", "x")
    assert (after.expires_at, after.obtained_at) == (60_005, 5)


def test_a_refresh_keeps_what_the_answer_leaves_out() -> None:
    after = oauth_records.renewed(record(), BARE, 5)
    assert (after.access_token, after.refresh_token, after.scope) == ("at2", "rt1", "read")
    assert after.expires_at is None
    assert after.token_endpoint == SOURCE.token_endpoint


def test_a_record_survives_sealing() -> None:
    plain = oauth_records.sealable(record())
    assert "at1" not in repr(plain)
    assert msgspec.json.decode(plain.reveal(), type=TokenRecord) == record()


def test_a_row_shows_facts_and_no_token() -> None:
    row = oauth_records.described(connection(), record())
    assert (row.issuer, row.scopes) == (SOURCE.issuer, "read")
    assert (row.access_expires_at, row.refreshable) == (AT_MS + 3_600_000, True)
    assert not oauth_records.described(row, record(BARE)).refreshable


@pytest.mark.parametrize(
    ("lifetime_s", "left_s", "is_due"),
    [
        (3600, 121, False),
        (3600, 119, True),
        (3600, -5, True),
        (100, 26, False),
        (100, 24, True),
        (480, 121, False),
        (480, 119, True),
    ],
)
def test_a_refresh_is_due_at_two_minutes_or_a_quarter(
    lifetime_s: int, left_s: int, *, is_due: bool
) -> None:
    made = oauth_records.first(TokenAnswer(Secret(b"a"), Secret(b"r"), None, lifetime_s), SOURCE, 0)
    at_ms = (lifetime_s - left_s) * 1000
    assert oauth_records.is_due(connection(), made, at_ms) is is_due


def test_a_marked_row_is_due_whatever_its_life() -> None:
    assert oauth_records.is_due(replace(connection(), refresh_due=True), record(), AT_MS)


def test_a_token_without_a_known_life_is_never_old() -> None:
    endless = TokenAnswer(Secret(b"a"), Secret(b"r"), None, None)
    assert not oauth_records.is_due(connection(), record(endless), 10**15)


def test_without_a_refresh_token_nothing_is_due() -> None:
    lone = record(TokenAnswer(Secret(b"a"), None, None, 1))
    assert not oauth_records.is_due(replace(connection(), refresh_due=True), lone, 10**15)


_SCOPES = st.lists(st.sampled_from("abcde"), max_size=5)


@given(_SCOPES, _SCOPES)
def test_a_union_holds_each_scope_once_and_the_old_ones_first(
    held: list[str], more: list[str]
) -> None:
    found = oauth_records.union(" ".join(held) or None, more).split()
    assert set(found) == {*held, *more}
    assert len(found) == len(set(found))
    assert found[: len(set(held))] == list(dict.fromkeys(held))
