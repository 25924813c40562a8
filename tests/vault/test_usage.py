"""Encryptions are handed out from granted blocks and refused at the limit."""

import pytest

from wicketd.vault.usage import BLOCK, REFUSE_AT, WARN_AT, KeyExhausted, Reservations, uncounted


def test_nothing_is_handed_out_before_a_block_is_granted() -> None:
    with pytest.raises(KeyExhausted):
        Reservations()("k1", "outer-wrap")


def test_a_block_gives_1024_encryptions_of_its_own_label() -> None:
    usage = Reservations()
    usage.grant("k1", "outer-wrap", BLOCK)
    for _ in range(BLOCK):
        usage("k1", "outer-wrap")
    for subkey in (("k1", "outer-wrap"), ("k1", "audit-args"), ("k2", "outer-wrap")):
        with pytest.raises(KeyExhausted):
            usage(*subkey)


def test_a_subkey_runs_low_at_half_a_block() -> None:
    usage = Reservations()
    usage.grant("k1", "outer-wrap", BLOCK)
    for _ in range(BLOCK // 2):
        usage("k1", "outer-wrap")
    assert usage.low() == ()
    usage("k1", "outer-wrap")
    assert usage.low() == (("k1", "outer-wrap"),)


def test_a_key_is_refused_past_2_32_and_warned_about_from_2_30() -> None:
    usage = Reservations()
    usage.grant("k1", "outer-wrap", WARN_AT - 1)
    assert usage.worn() == ()
    usage.grant("k1", "outer-wrap", WARN_AT)
    assert usage.worn() == ("k1",)
    usage.grant("k1", "outer-wrap", REFUSE_AT)
    with pytest.raises(KeyExhausted, match="k1"):
        usage.grant("k1", "outer-wrap", REFUSE_AT + 1)


def test_the_uncounted_port_refuses_nothing() -> None:
    uncounted("k1", "outer-wrap")
