"""One-time codes: the vectors of RFC 6238, an independent implementation, no replay."""

import base64

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from hypothesis import given
from hypothesis import strategies as st

from wicketd.vault import totp
from wicketd.vault.secret import Secret

RFC_SECRET = Secret(b"12345678901234567890")


@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_codes_are_those_of_rfc_6238(at_s: int, code: str) -> None:
    assert totp.code_of(RFC_SECRET, totp.step_at(at_s * 1000)) == code[-6:]


@given(secret=st.binary(min_size=20, max_size=20), at_s=st.integers(0, 2**40))
def test_the_codes_are_those_of_another_implementation(secret: bytes, at_s: int) -> None:
    sha1 = SHA1()  # noqa: S303  # what RFC 6238 and every app use
    oracle = TOTP(secret, 6, sha1, 30).generate(at_s).decode()
    assert totp.code_of(Secret(secret), totp.step_at(at_s * 1000)) == oracle


@pytest.mark.parametrize(
    ("drift", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_code_fits_one_step_to_either_side(drift: int, fits: bool) -> None:
    now_ms = 1_800_000_015_000
    step = totp.step_at(now_ms) + drift
    code = totp.code_of(RFC_SECRET, step)
    assert totp.accepted_step(RFC_SECRET, code, now_ms, None) == (step if fits else None)


def test_an_accepted_step_and_older_ones_are_not_accepted_again() -> None:
    now_ms = 1_800_000_015_000
    step = totp.step_at(now_ms)
    for last, code_step, fits in (
        (step, step, False),
        (step, step - 1, False),
        (step, step + 1, True),
    ):
        code = totp.code_of(RFC_SECRET, code_step)
        assert (totp.accepted_step(RFC_SECRET, code, now_ms, last) is not None) is fits


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666"]
)
def test_what_is_no_code_does_not_fit(code: str) -> None:
    assert totp.accepted_step(RFC_SECRET, code, 1_800_000_000_000, None) is None


def test_the_uri_is_what_apps_read_and_never_prints() -> None:
    uri = totp.uri(RFC_SECRET, "ann+x@example.org")
    assert uri.reveal() == (
        b"otpauth://totp/Wicket:ann%2Bx%40example.org"
        b"?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Wicket&algorithm=SHA1&digits=6&period=30"
    )
    assert base64.b32decode(totp.base32(RFC_SECRET).reveal()) == RFC_SECRET.reveal()
    assert "GEZD" not in f"{uri} {uri!r}"
