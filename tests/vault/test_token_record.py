"""Token records: what is sealed, and that nothing else is read as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.vault import token_record
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.secret import Secret
from wicketd.vault.token_record import TokenRecord

visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)


@given(access=visible, refresh=visible | st.none(), at=st.integers(0, 2**50))
def test_a_record_reads_back_as_written(access: str, refresh: str | None, at: int) -> None:
    record = TokenRecord(
        access_token=Secret(access.encode()),
        token_type="Bearer",
        obtained_at=at,
        resource="https://x.example/mcp",
        refresh_token=Secret(refresh.encode()) if refresh else None,
        expires_at=at + 1,
        issuer="https://as.example",
        scope="a b",
    )
    assert token_record.decode(token_record.encode(record)) == record


def test_a_static_token_needs_no_more_than_itself() -> None:
    record = TokenRecord(Secret(b"t"), "static", 1, "https://x.example/mcp")
    assert (
        token_record.encode(record) == b'{"v":1,"access_token":"t","token_type":"static",'
        b'"obtained_at":1,"resource":"https://x.example/mcp"}'
    )


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"canary",
        b"{}",
        b'{"v":2,"access_token":"t","token_type":"static","obtained_at":1,"resource":"r"}',
        b'{"v":1,"access_token":1,"token_type":"static","obtained_at":1,"resource":"r"}',
        b'{"v":1,"access_token":"t","token_type":"static","obtained_at":1,"resource":"r","x":1}',
        b'{"v":1,"access_token":"\xff","token_type":"static","obtained_at":1,"resource":"r"}',
    ],
)
def test_anything_else_is_no_record_and_is_not_quoted(plaintext: bytes) -> None:
    with pytest.raises(DecryptFailed, match="does not open"):
        token_record.decode(plaintext)


def test_a_record_prints_no_token() -> None:
    assert "canary" not in repr(TokenRecord(Secret(b"canary"), "static", 1, "r"))
