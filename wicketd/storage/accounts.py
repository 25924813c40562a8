"""Accounts: table `accounts`, without the columns of the second factor (`second_factors`)."""

from collections.abc import Sequence
from typing import Any, Final

from wicketd.domain.accounts import Account, AccountStatus
from wicketd.domain.ids import AccountId, Revision
from wicketd.domain.members import Member
from wicketd.domain.ports import Query, Statement
from wicketd.storage import members

COLUMNS: Final = (
    "id, email, verified_at, status, totp_confirmed_at, mfa_locked_until, created_at, "
    "last_signin_at, rev"
)
WIDTH: Final = 9
_SELECT: Final = f"SELECT {COLUMNS} FROM accounts"


def read(row: Sequence[Any]) -> Account:
    """The account of a row that begins with `COLUMNS`."""
    return Account(
        id=AccountId(row[0]),
        email=row[1],
        verified_at=row[2],
        status=AccountStatus(row[3]),
        totp_confirmed_at=row[4],
        mfa_locked_until=row[5],
        created_at=row[6],
        last_signin_at=row[7],
        rev=Revision(row[8]),
    )


def by_ref(ref: str) -> Query[Account]:
    """The account with this id or normalised address."""
    return Query(f"{_SELECT} WHERE id = ? OR email = ?", (ref, ref), read)


def by_email(email: str) -> Query[Account]:
    """The account with this normalised address."""
    return Query(f"{_SELECT} WHERE email = ?", (email,), read)


def all() -> Query[Account]:  # noqa: A001  # read as `accounts.all()`
    """Every account, by address."""
    return Query(f"{_SELECT} ORDER BY email", (), read)


def memberships(account_id: AccountId) -> Query[Member]:
    """Every membership of the account, ended ones too, oldest first."""
    return Query(
        f"SELECT {members.COLUMNS} FROM members AS m {members.ACCOUNT} "
        "WHERE m.agent_id IN (SELECT id FROM agents) AND m.account_id = ? ORDER BY m.id",
        (account_id,),
        members.read,
    )


def insert(account: Account) -> Statement:
    """Adds an account without second factor; `Conflict` when the address has one."""
    return Statement(
        "INSERT INTO accounts (id, email, verified_at, status, mfa_failures, created_at, "
        "last_signin_at, rev) VALUES (?, ?, ?, ?, 0, ?, ?, ?)",
        (
            account.id,
            account.email,
            account.verified_at,
            account.status,
            account.created_at,
            account.last_signin_at,
            account.rev,
        ),
    )


def set_status(account_id: AccountId, status: AccountStatus, rev: Revision) -> Statement:
    """Blocks or unblocks; `rev`: as read."""
    return Statement(
        "UPDATE accounts SET status = ?, rev = rev + 1 WHERE id = ? AND rev = ?",
        (status, account_id, rev),
    )


def signed_in(account_id: AccountId, at_ms: int) -> Statement:
    """Notes a sign-in, the first of which verifies the address."""
    return Statement(
        "UPDATE accounts SET last_signin_at = ?, verified_at = coalesce(verified_at, ?) "
        "WHERE id = ?",
        (at_ms, at_ms, account_id),
    )
