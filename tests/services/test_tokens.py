"""Token records: what may stand in a header, and what never prints."""

import msgspec
import pytest

from tests.support.state import NOTES
from wicketd.connectors.catalogue import parse_connector
from wicketd.domain.connections import Destination
from wicketd.domain.errors import Invalid
from wicketd.services.tokens import (
    TOKEN_MAX_BYTES,
    TokenRecord,
    header_value,
    placed_header,
    static_record,
    static_token,
)

CANARY = b"canary-77aa"


def test_a_record_holds_the_token_its_time_and_its_resource() -> None:
    record = static_record(static_token(CANARY), 5, "https://notes.example.test:443")
    assert msgspec.json.decode(record.reveal()) == {
        "v": 1,
        "access_token": CANARY.decode(),
        "token_type": "static",
        "scope": "",
        "expires_at": None,
        "obtained_at": 5,
        "issuer": None,
        "resource": "https://notes.example.test:443",
    }


def test_nothing_that_holds_a_token_prints_it() -> None:
    record = static_record(static_token(CANARY), 5, "x")
    decoded = msgspec.json.decode(record.reveal(), type=TokenRecord)
    value = header_value(parse_connector(NOTES.encode(), "test"), static_token(CANARY))
    for shown in (record, decoded, value):
        assert CANARY.decode() not in f"{shown} {shown!r}"
    assert value.reveal() == b"Bearer " + CANARY


@pytest.mark.parametrize("token", [b"a\tb", b"a\n", b"\x7f", b"\xff", b" a", b"a "])
def test_what_would_bend_a_header_is_refused(token: bytes) -> None:
    with pytest.raises(Invalid):
        static_token(token)


def test_the_longest_token_passes() -> None:
    assert static_token(b"x" * TOKEN_MAX_BYTES).reveal() == b"x" * TOKEN_MAX_BYTES


def test_only_a_header_placement_names_a_header() -> None:
    assert placed_header(Destination("https://a:443", "header:x-key")) == "x-key"
    assert placed_header(Destination("stdio:00", "env:TOKEN")) is None
