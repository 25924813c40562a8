"""Typed codes: drawn evenly from 32 characters, read however they are typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.domain import codes


@given(st.integers(4, 16).flatmap(lambda n: st.tuples(
    st.just(n), st.binary(min_size=codes.entropy_bytes(n), max_size=codes.entropy_bytes(n))
)))  # fmt: skip
def test_a_drawn_code_is_read_back_however_it_is_typed(drawn: tuple[int, bytes]) -> None:
    length, entropy = drawn
    code = codes.draw(entropy, length)
    typed = codes.grouped(code).lower().replace("0", "o").replace("1", "I")
    assert len(code) == length
    assert codes.fold(typed, length) == codes.fold(f" {code} ", length) == code


def test_every_bit_of_a_code_comes_from_the_entropy() -> None:
    assert codes.draw(bytes(5), 8) == "00000000"
    assert codes.draw(b"\xff" * 5, 8) == "ZZZZZZZZ"
    assert codes.draw((1).to_bytes(5, "big"), 8) == "10000000"
    assert len({codes.draw(n.to_bytes(5, "big"), 8) for n in range(4096)}) == 4096


@pytest.mark.parametrize(
    "typed", ["", "1234567", "123456789", "1234-567U", "1234_5678", "\u0661" * 8, "x" * 100]
)
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert codes.fold(typed, 8) is None
