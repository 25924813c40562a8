"""Judges the codes of a second factor inside a transaction: TOTP, backup codes, locks.

Five wrong codes in a row lock for 15 minutes; where the second factor is the only proof, each
further lock doubles, up to a day. Counterparts: `vault.totp` (which code fits), `storage
.second_factors` (a step and a backup code count once). Source: security specification, section 7.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wicketd.domain import codes
from wicketd.domain.accounts import Account
from wicketd.domain.errors import Invalid, Locked
from wicketd.domain.ids import AccountId
from wicketd.domain.ports import Ids, Random, Tx
from wicketd.storage import second_factors
from wicketd.storage.second_factors import BackupCode, SecondFactorRow
from wicketd.vault import totp
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.sealing import Sealer
from wicketd.vault.secret import Secret

TRIES: Final = 5
LOCK_MS: Final = 15 * 60_000
LONGEST_LOCK_MS: Final = 24 * 3_600_000
BACKUP_CODES: Final = 10
BACKUP_LENGTH: Final = 10
_BACKUP: Final = "backup-code"
_NOBODY: Final = AccountId("")


class Proof(StrEnum):
    """What proved it."""

    TOTP = "totp"
    BACKUP_CODE = "backup_code"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`proof`: the code was right. `locked_until`: codes are not looked at before.

    `is_counted`: the code was looked at and wrong; a code that meets a lock is neither.
    """

    proof: Proof | None = None
    locked_until: int | None = None
    is_counted: bool = False

    def require(self) -> Proof:
        """The proof of a right code.

        Raises:
            Locked: codes are not looked at now.
            Invalid: the code is wrong.
        """
        if self.proof is not None:
            return self.proof
        if self.locked_until is not None:
            raise Locked(
                "Too many wrong codes. Wait until the time that is shown, then try again.",
                until_ms=self.locked_until,
            )
        raise Invalid("This code is wrong or was used before. Wait for the next one and enter it.")


def lock_until(failures: int, now_ms: int, *, is_doubling: bool) -> int | None:
    """Until when the `failures`th wrong code in a row locks; None if it does not."""
    if failures % TRIES:
        return None
    doublings = failures // TRIES - 1 if is_doubling else 0
    return now_ms + min(LOCK_MS << min(doublings, 16), LONGEST_LOCK_MS)


class Authenticator:
    """Enrols and judges second factors. `is_only_proof`: locks double."""

    def __init__(self, sealer: Sealer, random: Random, ids: Ids, *, is_only_proof: bool) -> None:
        self._sealer = sealer
        self._random = random
        self._ids = ids
        self._is_only_proof = is_only_proof
        self._nobodys: bytes | None = None

    def prove(
        self, tx: Tx, account: Account, typed: str, now_ms: int, *, app_only: bool = False
    ) -> Verdict:
        """Judges a code and uses it up, or counts the failure; the caller commits either.

        `app_only`: a backup code does not count.
        """
        row = tx.one(second_factors.of(account.id))
        if row is None or row.confirmed_at is None:
            return self.prove_nobody(tx, typed, now_ms)
        if row.locked_until is not None and now_ms < row.locked_until:
            return Verdict(locked_until=row.locked_until)
        proof = self._totp(tx, account.id, row, typed, now_ms)
        if proof is None and not app_only:
            proof = self._backup_code(tx, account.id, typed, now_ms)
        if proof is not None:
            return Verdict(proof)
        until = lock_until(row.failures + 1, now_ms, is_doubling=self._is_only_proof)
        tx.run(second_factors.fail(account.id, until))
        return Verdict(locked_until=until, is_counted=True)

    def prove_nobody(self, tx: Tx, typed: str, now_ms: int) -> Verdict:
        """The same work for an address that proves nothing, so that it takes as long."""
        self.look_at_nobody(tx)
        if self._nobodys is None:
            secret = Secret(self._random.bytes(totp.SECRET_BYTES))
            self._nobodys = self._sealer.seal_totp(_NOBODY, secret)[1]
        secret = self._sealer.open_totp(_NOBODY, self._nobodys)
        totp.accepted_step(secret, _digits(typed), now_ms, None)
        self._matching(tx.all(second_factors.nobodys_codes(BACKUP_CODES)), _NOBODY, typed)
        tx.run(second_factors.fail_nobody())
        return Verdict(is_counted=True)

    def look_at_nobody(self, tx: Tx) -> None:
        """The read that finds out that an account is locked, for an address without one."""
        tx.one(second_factors.of(_NOBODY))

    def begin(self, tx: Tx, account_id: AccountId) -> Secret | None:
        """Stores a new secret that awaits its first code; None when one is enrolled."""
        secret = Secret(self._random.bytes(totp.SECRET_BYTES))
        kid, sealed = self._sealer.seal_totp(account_id, secret)
        return secret if tx.run(second_factors.begin(account_id, kid, sealed)) else None

    def begun(self, tx: Tx, account_id: AccountId) -> Secret | None:
        """The secret that awaits its first code."""
        row = tx.one(second_factors.of(account_id))
        if row is None or row.confirmed_at is not None:
            return None
        return self._open(account_id, row)

    def confirm(self, tx: Tx, account_id: AccountId, typed: str, now_ms: int) -> bool:
        """Enrols the begun secret if this is one of its codes."""
        secret = self.begun(tx, account_id)
        if secret is None:
            return False
        step = totp.accepted_step(secret, _digits(typed), now_ms, None)
        return step is not None and bool(tx.run(second_factors.confirm(account_id, now_ms, step)))

    def new_codes(self, tx: Tx, account_id: AccountId) -> list[Secret]:
        """Replaces the backup codes; gives the new ones as they are shown, once."""
        tx.run(second_factors.drop_codes(account_id))
        shown: list[Secret] = []
        for _ in range(BACKUP_CODES):
            code = codes.draw(self._random.bytes(codes.entropy_bytes(BACKUP_LENGTH)), BACKUP_LENGTH)
            kid, mac = self._sealer.kid_digest(_BACKUP, _backup_data(account_id, code))
            tx.run(second_factors.insert_code(BackupCode(self._ids.uuid7(), mac, kid), account_id))
            shown.append(Secret(codes.grouped(code).encode()))
        return shown

    def _totp(
        self, tx: Tx, account_id: AccountId, row: SecondFactorRow, typed: str, now_ms: int
    ) -> Proof | None:
        secret = self._open(account_id, row)
        if secret is None:
            return None
        step = totp.accepted_step(secret, _digits(typed), now_ms, row.last_step)
        if step is None or not tx.run(second_factors.use_step(account_id, step)):
            return None
        return Proof.TOTP

    def _backup_code(self, tx: Tx, account_id: AccountId, typed: str, now_ms: int) -> Proof | None:
        found = self._matching(tx.all(second_factors.unused_codes(account_id)), account_id, typed)
        if found is None or not tx.run(second_factors.use_code(found.id, now_ms)):
            return None
        tx.run(second_factors.forgive(account_id))
        return Proof.BACKUP_CODE

    def _matching(
        self, unused: Sequence[BackupCode], account_id: AccountId, typed: str
    ) -> BackupCode | None:
        """The code that was typed; every one is compared, whichever it is."""
        code = codes.fold(typed, BACKUP_LENGTH)
        macs = self._sealer.digests(_BACKUP, _backup_data(account_id, code or ""))
        found: BackupCode | None = None
        for one in unused:
            if hmac.compare_digest(macs.get(one.kid, b""), one.code_mac) and code is not None:
                found = one
        return found

    def _open(self, account_id: AccountId, row: SecondFactorRow) -> Secret | None:
        """The secret; None if the ciphertext does not open: then no code of it is right."""
        try:
            return self._sealer.open_totp(account_id, row.totp_ct)
        except DecryptFailed:
            return None


def _digits(typed: str) -> str:
    return typed.strip().replace(" ", "")[:16]


def _backup_data(account_id: AccountId, code: str) -> bytes:
    return account_id.encode() + b"\0" + code.encode()
