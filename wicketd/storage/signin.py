"""What signs in once: mailed codes (`signin_codes`) and an admin's links (`signin_links`).

Both are redeemed by one UPDATE whose conditions are the rule, so of two that come at once one
wins. An hour of codes is kept, because the throttles count them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wicketd.domain.accounts import SigninLink
from wicketd.domain.ids import AccountId, InviteId, SigninLinkId
from wicketd.domain.ports import Query, Statement

MAX_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class SigninCode:
    """One mailed code, as a keyed MAC; rows of unknown addresses look the same."""

    id: str
    email: str
    nonce: bytes
    code_mac: bytes
    kid: str
    prelogin_mac: bytes
    ip: str
    attempts: int
    created_at: int
    expires_at: int
    used_at: int | None


@dataclass(frozen=True, slots=True)
class CodeCounts:
    """Codes asked for since a time: of one address, from one IP, in all."""

    email: int
    ip: int
    all: int


_CODE: Final = (
    "id, email, nonce, code_mac, kid, prelogin_mac, ip, attempts, created_at, expires_at, used_at"
)
_LINK: Final = "id, account_id, invite_id, created_by, created_at, expires_at, used_at, void_at"
_OPEN_LINK: Final = "used_at IS NULL AND void_at IS NULL"


def insert_code(code: SigninCode) -> Statement:
    """Adds a code."""
    return Statement(
        f"INSERT INTO signin_codes ({_CODE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            code.id,
            code.email,
            code.nonce,
            code.code_mac,
            code.kid,
            code.prelogin_mac,
            code.ip,
            code.attempts,
            code.created_at,
            code.expires_at,
            code.used_at,
        ),
    )


def newest_code(email: str) -> Query[SigninCode]:
    """The only code of an address that may still work: a newer one voids the older."""
    return Query(
        f"SELECT {_CODE} FROM signin_codes WHERE email = ? ORDER BY created_at DESC, id DESC "
        "LIMIT 1",
        (email,),
        lambda row: SigninCode(*row),
    )


def code_counts(email: str, ip: str, since_ms: int) -> Query[CodeCounts]:
    """How many codes were asked for since `since_ms`."""
    return Query(
        "SELECT count(*) FILTER (WHERE email = ?), count(*) FILTER (WHERE ip = ?), count(*) "
        "FROM signin_codes WHERE created_at > ?",
        (email, ip, since_ms),
        lambda row: CodeCounts(int(row[0]), int(row[1]), int(row[2])),
    )


def use_code(code_id: str, now_ms: int) -> Statement:
    """Redeems a code; 0 rows when it was redeemed, is over or was guessed at too often."""
    return Statement(
        "UPDATE signin_codes SET used_at = ? "
        "WHERE id = ? AND used_at IS NULL AND expires_at > ? AND attempts < ?",
        (now_ms, code_id, now_ms, MAX_ATTEMPTS),
    )


def miss_code(code_id: str) -> Statement:
    """Counts a wrong guess."""
    return Statement("UPDATE signin_codes SET attempts = attempts + 1 WHERE id = ?", (code_id,))


def drop_code(code_id: str) -> Statement:
    """Deletes one code."""
    return Statement("DELETE FROM signin_codes WHERE id = ?", (code_id,))


def sweep_codes(before_ms: int) -> Statement:
    """Deletes codes that were asked for before `before_ms`."""
    return Statement("DELETE FROM signin_codes WHERE created_at <= ?", (before_ms,))


def insert_link(link: SigninLink, token_mac: bytes, kid: str) -> Statement:
    """Adds a link; `Conflict` when the account has an open one."""
    return Statement(
        f"INSERT INTO signin_links (token_mac, kid, {_LINK}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            token_mac,
            kid,
            link.id,
            link.account_id,
            link.invite_id,
            link.created_by,
            link.created_at,
            link.expires_at,
            link.used_at,
            link.void_at,
        ),
    )


def link_by_macs(macs: Collection[bytes]) -> Query[SigninLink]:
    """The link with one of these MACs: its token's, one per server key."""
    marks = ", ".join("?" * len(macs))
    return Query(
        f"SELECT {_LINK} FROM signin_links WHERE token_mac IN ({marks})", tuple(macs), _read_link
    )


def open_link_of(account_id: AccountId) -> Query[SigninLink]:
    """The account's link that was neither used nor voided, over or not."""
    return Query(
        f"SELECT {_LINK} FROM signin_links WHERE account_id = ? AND {_OPEN_LINK}",
        (account_id,),
        _read_link,
    )


def links_over(now_ms: int) -> Query[SigninLink]:
    """Links whose time is over and that were not voided yet."""
    return Query(
        f"SELECT {_LINK} FROM signin_links "
        f"WHERE account_id > '' AND {_OPEN_LINK} AND expires_at <= ?",
        (now_ms,),
        _read_link,
    )


def use_link(link_id: SigninLinkId, now_ms: int) -> Statement:
    """Redeems a link; 0 rows when it was used or voided, or is over."""
    return Statement(
        f"UPDATE signin_links SET used_at = ? WHERE id = ? AND {_OPEN_LINK} AND expires_at > ?",
        (now_ms, link_id, now_ms),
    )


def void_link(link_id: SigninLinkId, now_ms: int) -> Statement:
    """Voids a link; 0 rows when it was used or voided."""
    return Statement(
        f"UPDATE signin_links SET void_at = ? WHERE id = ? AND {_OPEN_LINK}", (now_ms, link_id)
    )


def _read_link(row: Sequence[Any]) -> SigninLink:
    return SigninLink(
        id=SigninLinkId(row[0]),
        account_id=AccountId(row[1]),
        invite_id=None if row[2] is None else InviteId(row[2]),
        created_by=row[3],
        created_at=row[4],
        expires_at=row[5],
        used_at=row[6],
        void_at=row[7],
    )
