"""A secret never prints, copies or compares byte by byte."""

import copy
import logging
import pickle
from dataclasses import dataclass

import pytest

from wicketd.domain.secret import SecretBytes
from wicketd.vault.secret import Secret

VALUE = b"canary-4711"


def test_no_way_of_printing_shows_the_value() -> None:
    secret = Secret(VALUE)

    @dataclass
    class Holder:
        held: Secret

    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>40}",
        f"{secret!r}",
        f"{secret}",
    ]
    shown += [repr(Holder(secret)), repr([secret]), repr({"k": secret})]
    assert not [text for text in shown if "canary" in text]
    assert shown[0] == "<secret>"


def test_a_log_record_shows_no_value(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("t").warning("got %s and %r", Secret(VALUE), Secret(VALUE))
    assert "canary" not in caplog.text


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_secret_is_not_copied_or_pickled(copier: object) -> None:
    with pytest.raises(TypeError):
        copier(Secret(VALUE))  # type: ignore[operator]  # a list of functions has no common type


def test_its_state_is_not_handed_out() -> None:
    with pytest.raises(TypeError):
        Secret(VALUE).__getstate__()


def test_it_equals_only_a_secret_of_the_same_bytes() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret(VALUE + b"x")
    assert Secret(VALUE) != VALUE


def test_it_has_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(Secret(VALUE))


def test_it_reveals_its_bytes_as_the_domain_asks() -> None:
    value: SecretBytes = Secret(VALUE)
    assert value.reveal() == VALUE
