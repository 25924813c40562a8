"""What a 401 says about where to sign in, and that a broken header says nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.oauth.challenge import NOTHING, bearer, scopes

META = "https://mcp.test/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(
    "header",
    [
        f'Bearer resource_metadata="{META}"',
        f'bearer realm="x", resource_metadata="{META}"',
        f'Basic dXNlcjpwYXNz==, Bearer error="invalid_token", resource_metadata="{META}"',
        f'Negotiate, Bearer resource_metadata="{META}" , scope="a b"',
        f'Digest realm="a, Bearer b", nonce=abc, Bearer resource_metadata="{META}",',
    ],
)
def test_the_bearer_challenge_is_found_among_others(header: str) -> None:
    assert bearer([header]).resource_metadata == META


def test_a_later_header_may_hold_the_bearer_challenge() -> None:
    assert bearer(["Basic realm=x", f'Bearer resource_metadata="{META}"']).resource_metadata == META


def test_scopes_and_error_are_read() -> None:
    found = bearer(['Bearer error="insufficient_scope", scope="repo read:org repo"'])
    assert (found.error, found.scope) == ("insufficient_scope", ("repo", "read:org"))


def test_escapes_in_a_quoted_value_are_undone() -> None:
    assert bearer([r'Bearer error="a\"b\\c"']).error == r'a"b\c'


def test_a_parameter_that_stands_twice_makes_the_challenge_say_nothing() -> None:
    twice = f'Bearer resource_metadata="{META}", resource_metadata="https://evil.test/"'
    assert bearer([twice]) == NOTHING


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", 'Basic realm="Bearer resource_metadata=x"', "Bearer resource_metadata=", '"'],
)
def test_without_a_usable_challenge_there_is_nothing(header: str) -> None:
    assert bearer([header]) == NOTHING


def test_an_endless_header_says_nothing() -> None:
    assert bearer([f'Bearer resource_metadata="{META}", x="{"a" * 9000}"']) == NOTHING


def test_what_is_no_scope_is_left_out() -> None:
    assert scopes('repo  a"b \x07 read:user') == ("repo", "read:user")
    assert len(scopes(" ".join(f"s{n}" for n in range(1000)))) == 100


@given(st.text(max_size=200))
def test_no_header_breaks_the_parser(header: str) -> None:
    bearer([header, f"Bearer {header}"])
