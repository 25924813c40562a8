"""Token records of providers: made from a token answer, renewed by a refresh, due or not. Pure.

Counterparts: `oauth.token`, which reads answers, and `tokens`, which seals records.
Source: security spec, sections 2 and 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from wicketd.domain.connections import Connection
from wicketd.oauth.token import TokenAnswer
from wicketd.services.tokens import TokenRecord
from wicketd.vault.secret import Secret

BEARER: Final = "Bearer"
MARGIN_MS: Final = 120_000
"""A refresh is due when this much life remains, or a quarter of the lifetime if that is less."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where tokens come from, and who we were there. `auth_method`: of `oauth.token.AuthMethod`.

    `scopes`: what was asked for, which holds where the answer names none (RFC 6749, 5.1).
    """

    issuer: str
    token_endpoint: str
    client_id: str
    auth_method: str
    resource: str
    scopes: str


def first(answer: TokenAnswer, source: Source, at_ms: int) -> TokenRecord:
    """The record of a redeemed code."""
    return TokenRecord(
        v=1,
        access_token=_text(answer.access_token.reveal()),
        refresh_token=None
        if answer.refresh_token is None
        else _text(answer.refresh_token.reveal()),
        token_type=BEARER,
        scope=source.scopes if answer.scope is None else answer.scope,
        expires_at=_expires_at(answer, at_ms),
        obtained_at=at_ms,
        issuer=source.issuer,
        resource=source.resource,
        token_endpoint=source.token_endpoint,
        client_id=source.client_id,
        auth_method=source.auth_method,
    )


def renewed(record: TokenRecord, answer: TokenAnswer, at_ms: int) -> TokenRecord:
    """The record after a refresh: what the answer leaves out stays as it was (RFC 6749, 6)."""
    rotated = answer.refresh_token
    return msgspec.structs.replace(
        record,
        access_token=_text(answer.access_token.reveal()),
        refresh_token=record.refresh_token if rotated is None else _text(rotated.reveal()),
        scope=record.scope if answer.scope is None else answer.scope,
        expires_at=_expires_at(answer, at_ms),
        obtained_at=at_ms,
    )


def sealable(record: TokenRecord) -> Secret:
    """The record as it is sealed."""
    return Secret(msgspec.json.encode(record))


def described(connection: Connection, record: TokenRecord) -> Connection:
    """The row with the facts that it shows of a record."""
    return replace(
        connection,
        issuer=record.issuer,
        scopes=record.scope or None,
        access_expires_at=record.expires_at,
        refreshable=record.refresh_token is not None,
    )


def is_due(connection: Connection, record: TokenRecord, at_ms: int) -> bool:
    """Whether the access token must be renewed before it is used."""
    if record.refresh_token is None:
        return False
    return connection.refresh_due or is_old(record, at_ms)


def is_old(record: TokenRecord, at_ms: int) -> bool:
    """Whether little of the access token's life remains; unknown lives last."""
    if record.expires_at is None:
        return False
    lifetime_ms = record.expires_at - record.obtained_at
    return record.expires_at - at_ms < min(MARGIN_MS, lifetime_ms // 4)


def union(held: str | None, lacking: Sequence[str]) -> str:
    """Scopes of a next sign-in: what there is, then what was asked for, each once."""
    return " ".join(dict.fromkeys([*(held or "").split(), *lacking]))


def _expires_at(answer: TokenAnswer, at_ms: int) -> int | None:
    return None if answer.expires_in is None else at_ms + answer.expires_in * 1000


def _text(token: bytes) -> str:
    return token.decode("ascii")
