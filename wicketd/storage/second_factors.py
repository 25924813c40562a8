"""Second factors: the sealed secret and its failures in `accounts`, table `backup_codes`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wicketd.domain.ids import AccountId
from wicketd.domain.ports import Query, Statement


@dataclass(frozen=True, slots=True)
class SecondFactorRow:
    """What is stored of an account's authenticator; without confirmation it proves nothing.

    `failures` counts wrong codes since the last right one.
    """

    totp_ct: bytes
    confirmed_at: int | None
    last_step: int | None
    failures: int
    locked_until: int | None


@dataclass(frozen=True, slots=True)
class BackupCode:
    """A one-way code that stands in for the authenticator once."""

    id: str
    code_mac: bytes
    kid: str


def of(account_id: AccountId) -> Query[SecondFactorRow]:
    """The account's authenticator, confirmed or not; none if it never began."""
    return Query(
        "SELECT totp_ct, totp_confirmed_at, totp_last_step, mfa_failures, mfa_locked_until "
        "FROM accounts WHERE id = ? AND totp_ct IS NOT NULL",
        (account_id,),
        _read,
    )


def begin(account_id: AccountId, kid: str, ciphertext: bytes) -> Statement:
    """Stores a new secret that awaits its first code; 0 rows when one is confirmed."""
    return Statement(
        "UPDATE accounts SET totp_ct = ?, totp_kid = ?, totp_last_step = NULL "
        "WHERE id = ? AND totp_confirmed_at IS NULL",
        (ciphertext, kid, account_id),
    )


def confirm(account_id: AccountId, at_ms: int, step: int) -> Statement:
    """Enrols the stored secret by its first code, of `step`; 0 rows when one is enrolled."""
    return Statement(
        "UPDATE accounts SET totp_confirmed_at = ?, totp_last_step = ?, mfa_failures = 0, "
        "mfa_locked_until = NULL, rev = rev + 1 "
        "WHERE id = ? AND totp_ct IS NOT NULL AND totp_confirmed_at IS NULL",
        (at_ms, step, account_id),
    )


def use_step(account_id: AccountId, step: int) -> Statement:
    """Accepts a code; 0 rows when its step or a later one was accepted before."""
    return Statement(
        "UPDATE accounts SET totp_last_step = ?, mfa_failures = 0, mfa_locked_until = NULL "
        "WHERE id = ? AND totp_confirmed_at IS NOT NULL "
        "AND (totp_last_step IS NULL OR totp_last_step < ?)",
        (step, account_id, step),
    )


def fail(account_id: AccountId, locked_until: int | None) -> Statement:
    """Counts a wrong code; `locked_until`: no further one is looked at before."""
    return Statement(
        "UPDATE accounts SET mfa_failures = mfa_failures + 1, "
        "mfa_locked_until = coalesce(?, mfa_locked_until) WHERE id = ?",
        (locked_until, account_id),
    )


def forgive(account_id: AccountId) -> Statement:
    """Forgets failures after a right backup code."""
    return Statement(
        "UPDATE accounts SET mfa_failures = 0, mfa_locked_until = NULL WHERE id = ?",
        (account_id,),
    )


def clear(account_id: AccountId) -> Sequence[Statement]:
    """Forgets authenticator, failures and backup codes."""
    return (
        Statement(
            "UPDATE accounts SET totp_ct = NULL, totp_kid = NULL, totp_confirmed_at = NULL, "
            "totp_last_step = NULL, mfa_failures = 0, mfa_locked_until = NULL, rev = rev + 1 "
            "WHERE id = ?",
            (account_id,),
        ),
        drop_codes(account_id),
    )


def unused_codes(account_id: AccountId) -> Query[BackupCode]:
    """The codes that still work."""
    return Query(
        "SELECT id, code_mac, kid FROM backup_codes WHERE account_id = ? AND used_at IS NULL "
        "ORDER BY id",
        (account_id,),
        lambda row: BackupCode(row[0], row[1], row[2]),
    )


def nobodys_codes(count: int) -> Query[BackupCode]:
    """As many rows as an account has codes, of nobody: reading them takes as long."""
    return Query(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "SELECT '', zeroblob(32), '' FROM n",
        (count,),
        lambda row: BackupCode(row[0], row[1], row[2]),
    )


def fail_nobody() -> Statement:
    """Writes as much as `fail` and changes nothing."""
    return Statement(
        "UPDATE accounts SET mfa_failures = mfa_failures WHERE id = (SELECT min(id) FROM accounts)",
        (),
    )


def insert_code(code: BackupCode, account_id: AccountId) -> Statement:
    """Adds one code."""
    return Statement(
        "INSERT INTO backup_codes (id, account_id, code_mac, kid) VALUES (?, ?, ?, ?)",
        (code.id, account_id, code.code_mac, code.kid),
    )


def use_code(code_id: str, at_ms: int) -> Statement:
    """Uses a code up; 0 rows when it was."""
    return Statement(
        "UPDATE backup_codes SET used_at = ? WHERE id = ? AND used_at IS NULL", (at_ms, code_id)
    )


def drop_codes(account_id: AccountId) -> Statement:
    """Deletes every code of the account."""
    return Statement("DELETE FROM backup_codes WHERE account_id = ?", (account_id,))


def _read(row: Sequence[Any]) -> SecondFactorRow:
    return SecondFactorRow(row[0], row[1], row[2], int(row[3]), row[4])
