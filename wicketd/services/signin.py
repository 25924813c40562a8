"""Signing in to the portal: a mailed code, an admin's link, or address and second factor.

Whatever address is given, the answers, their number and their time are the same: rows and locks of
addresses that nobody has exist like those of others, and letters leave after the answer.
Source: security specification, section 7; product specification, section 8 (P16).
"""

import hmac
from dataclasses import dataclass, replace
from typing import Final

from wicketd.domain import codes
from wicketd.domain import email as addresses
from wicketd.domain.accounts import LINK_EDGES, Account, AccountStatus, LinkState
from wicketd.domain.actor import SYSTEM
from wicketd.domain.audit import Entry
from wicketd.domain.errors import Conflict, Gone, Invalid, Locked
from wicketd.domain.json import JsonObject
from wicketd.domain.lifecycle import take
from wicketd.domain.ports import Mail, Random, Tx
from wicketd.services import letters
from wicketd.services.authenticator import Authenticator, Verdict
from wicketd.services.decoys import HOUR_MS, KEPT, Decoys, IpFailures
from wicketd.services.desk import Desk, Unit
from wicketd.services.links import SigninLinks
from wicketd.services.post import PostOffice
from wicketd.services.web_sessions import NewSession, WebSessions
from wicketd.storage import accounts, second_factors, signin, web_sessions
from wicketd.storage.signin import MAX_ATTEMPTS, CodeCounts, SigninCode
from wicketd.vault.sealing import Sealer
from wicketd.vault.secret import Secret

CODE_LENGTH: Final = 8
CODE_MS: Final = 10 * 60_000
NONCE_BYTES: Final = 16
PER_ADDRESS: Final = 5
PER_IP: Final = 20
IN_ALL: Final = 200
"""Codes an hour."""
_REFUSED: Final = "account.signin_refused"
_CODE: Final = "login-code"
_PRELOGIN: Final = "pre-login"


@dataclass(frozen=True, slots=True)
class Doors:
    """The parts that signing in is made of."""

    sealer: Sealer
    random: Random
    sessions: WebSessions
    authenticator: Authenticator
    links: SigninLinks
    post: PostOffice
    url: str
    """The portal's."""


@dataclass(frozen=True, slots=True)
class _Missed:
    """A wrong code. `left`: guesses that this one still takes; None: ask for a new one."""

    left: int | None


class SignIn:
    """The use cases of a visitor who is nobody yet."""

    def __init__(self, desk: Desk, doors: Doors) -> None:
        self._desk = desk
        self._doors = doors
        self._decoys = Decoys()
        self._failures = IpFailures()
        self._throttled: dict[str, int] = {}

    @property
    def mail_off(self) -> bool:
        """Whether codes are not mailed: then links and second factors sign in."""
        return self._doors.post.is_off

    async def request_code(self, email: str, prelogin: Secret, ip: str) -> None:
        """Mails a code if the address has an active account; tells nobody whether.

        Raises:
            Invalid: this is no address.
            Conflict: mail is off.
            ClockBackwards: the host's clock was set back.
        """
        if self.mail_off:
            raise Conflict("No mail is sent here. Sign in with your authenticator app.")
        address = addresses.normalise(email)
        now = await self._desk.guard.check()
        code = codes.draw(self._doors.random.bytes(codes.entropy_bytes(CODE_LENGTH)), CODE_LENGTH)
        row = self._new_code(address, code, prelogin, ip, now)

        def work(tx: Tx) -> bool:
            account = tx.one(accounts.by_email(address))
            counts = tx.one(signin.code_counts(address, ip, now - HOUR_MS))
            tx.run(signin.insert_code(row))
            if counts is None or _is_throttled(counts):
                tx.run(signin.drop_code(row.id))  # written all the same: it takes as long
                self._note_throttled(ip)
                return False
            return account is not None and account.status is AccountStatus.ACTIVE

        is_welcome = await self._desk.db.write(work)

        def letter() -> Mail | None:
            return letters.sign_in_code(address, code, self._doors.url) if is_welcome else None

        self._doors.post.post(letter)

    async def redeem_code(
        self, email: str, code: str, prelogin: Secret, ip: str, user_agent: str
    ) -> NewSession:
        """Signs in with a mailed code, in the browser that asked for it.

        Raises:
            Invalid: the code is wrong; `details` holds the tries that are left.
            Gone: there is none that works: ask for a new one.
            ClockBackwards: the host's clock was set back.
        """
        address = addresses.normalise(email)
        typed = codes.fold(code, CODE_LENGTH)
        if typed is None:
            raise Invalid("A code has 8 letters and digits, like 4D2P-F2DB. Enter all of them.")
        now = await self._desk.guard.check()

        def work(unit: Unit) -> NewSession | _Missed:
            row = unit.tx.one(signin.newest_code(address))
            if row is None or not self._is_open(row, prelogin, now):
                return _Missed(None)
            account = unit.tx.one(accounts.by_email(address))
            is_right = self._is_code(row, typed)
            if not is_right or account is None or account.status is not AccountStatus.ACTIVE:
                return self._miss(unit, row, ip)
            if not unit.tx.run(signin.use_code(row.id, now)):
                return _Missed(None)
            return self._enter(unit, account, "code", ip, user_agent)

        outcome = await self._desk.change(SYSTEM, work)
        if isinstance(outcome, NewSession):
            return outcome
        if outcome.left:
            tries = "1 try" if outcome.left == 1 else f"{outcome.left} tries"
            raise Invalid(
                f"This code is wrong; {tries} left. Compare it with the mail.",
                details=({"triesLeft": outcome.left},),
            )
        raise Gone("This code does not work any more. Ask for a new one.")

    async def show_link(self, token: str) -> str:
        """The address that a sign-in link is for; it is not used up by looking.

        Raises:
            NotFound: there is no such link.
            Gone: it was used or replaced, or its time is over.
            ClockBackwards: the host's clock was set back.
        """
        now = await self._desk.guard.check()
        self._refuse_links_with_mail()
        return await self._doors.links.address_of(token, now)

    async def redeem_link(self, token: str, ip: str, user_agent: str) -> NewSession:
        """Signs in once; the second factor is to be enrolled anew before anything else.

        Raises:
            NotFound: there is no such link.
            Gone: it was used or replaced, its time is over, or the account is blocked.
            ClockBackwards: the host's clock was set back.
        """
        now = await self._desk.guard.check()
        self._refuse_links_with_mail()

        def work(unit: Unit) -> NewSession:
            link, account = self._doors.links.require_open(unit.tx, token, now)
            edge = take(LINK_EDGES, LinkState.OPEN, "use", "link")
            is_blocked = account.status is not AccountStatus.ACTIVE
            if is_blocked or not unit.tx.run(signin.use_link(link.id, now)):
                raise Gone("This sign-in link does not work. Ask your administrator for a new one.")
            for statement in second_factors.clear(account.id):
                unit.tx.run(statement)
            unit.tx.run(web_sessions.revoke_all(account.id, now))
            bare = unit.tx.one(accounts.by_ref(account.id)) or account
            new = self._enter(unit, bare, "link", ip, user_agent)
            facts: JsonObject = {"link": link.id, "callerIp": ip}
            Unit(unit.desk, unit.tx, new.visitor).audit(edge.audit, account.email, after=facts)
            return new

        return await self._desk.change(SYSTEM, work)

    async def sign_in_with_totp(
        self, email: str, code: str, ip: str, user_agent: str
    ) -> NewSession:
        """Signs in with address and second factor, where no mail is sent.

        Raises:
            Invalid: no such address, or the code is wrong: the same for both.
            Locked: too many wrong codes, whether the address exists or not.
            Conflict: mail is on, so the mailbox has to be proven.
            ClockBackwards: the host's clock was set back.
        """
        if not self.mail_off:
            raise Conflict("Sign in with the code that is mailed to you.")
        address = addresses.normalise(email)
        now = await self._desk.guard.check()
        self._refuse_busy_ip(ip, now)

        def work(unit: Unit) -> NewSession | Verdict:
            account = unit.tx.one(accounts.by_email(address))
            if (
                account is None
                or not account.has_totp
                or account.status is not AccountStatus.ACTIVE
            ):
                verdict = self._judge_nobody(unit.tx, address, code, now)
            else:
                verdict = self._doors.authenticator.prove(unit.tx, account, code, now)
            if account is None or verdict.proof is None:
                if verdict.is_counted:
                    self._refused(unit.tx, address, "wrong_second_factor", ip)
                return verdict
            return self._enter(unit, account, verdict.proof, ip, user_agent, mfa_at=now)

        outcome = await self._desk.change(SYSTEM, work)
        if isinstance(outcome, NewSession):
            return outcome
        self._failures.fail(ip, now)
        outcome.require()
        raise Invalid("This code is wrong. Enter the one that your app shows now.")

    async def sweep(self) -> int:
        """Deletes codes that no throttle counts any more, records throttled requests; how many."""
        before = self._desk.clock.now_ms() - HOUR_MS
        counted, self._throttled = self._throttled, {}

        def work(tx: Tx) -> int:
            for ip, count in counted.items():
                fields: JsonObject = {"reason": "throttled", "callerIp": ip, "count": count}
                self._desk.journal.append(tx, Entry(kind=_REFUSED, fields=fields))
            return tx.run(signin.sweep_codes(before))

        return await self._desk.db.write(work)

    def _note_throttled(self, ip: str) -> None:
        """Floods must not fill the log: one row an IP and sweep."""
        if ip in self._throttled or len(self._throttled) < KEPT:
            self._throttled[ip] = self._throttled.get(ip, 0) + 1

    def _new_code(self, address: str, code: str, prelogin: Secret, ip: str, now: int) -> SigninCode:
        nonce = self._doors.random.bytes(NONCE_BYTES)
        kid, mac = self._doors.sealer.kid_digest(_CODE, _code_data(address, nonce, code))
        return SigninCode(
            id=self._desk.ids.uuid7(),
            email=address,
            nonce=nonce,
            code_mac=mac,
            kid=kid,
            prelogin_mac=self._doors.sealer.digest(_PRELOGIN, prelogin.reveal()),
            ip=ip,
            attempts=0,
            created_at=now,
            expires_at=now + CODE_MS,
            used_at=None,
        )

    def _is_open(self, row: SigninCode, prelogin: Secret, now: int) -> bool:
        """Whether guesses at this code count: another browser's never do, right or wrong."""
        is_over = row.used_at is not None or now >= row.expires_at or row.attempts >= MAX_ATTEMPTS
        macs = self._doors.sealer.digests(_PRELOGIN, prelogin.reveal())
        is_browser = hmac.compare_digest(macs.get(row.kid, b""), row.prelogin_mac)
        return is_browser and not is_over

    def _is_code(self, row: SigninCode, typed: str) -> bool:
        macs = self._doors.sealer.digests(_CODE, _code_data(row.email, row.nonce, typed))
        return hmac.compare_digest(macs.get(row.kid, b""), row.code_mac)

    def _miss(self, unit: Unit, row: SigninCode, ip: str) -> _Missed:
        unit.tx.run(signin.miss_code(row.id))
        self._refused(unit.tx, row.email, "wrong_code", ip)
        return _Missed(MAX_ATTEMPTS - row.attempts - 1)

    def _judge_nobody(self, tx: Tx, address: str, code: str, now: int) -> Verdict:
        locked = self._decoys.locked_until(address, now)
        if locked is not None:
            self._doors.authenticator.look_at_nobody(tx)
            return Verdict(locked_until=locked)
        counted = self._doors.authenticator.prove_nobody(tx, code, now)
        return replace(counted, locked_until=self._decoys.fail(address, now))

    def _enter(
        self,
        unit: Unit,
        account: Account,
        method: str,
        ip: str,
        user_agent: str,
        mfa_at: int | None = None,
    ) -> NewSession:
        new = self._doors.sessions.open_in(unit, account, mfa_at=mfa_at, ip=ip, agent=user_agent)
        unit.tx.run(accounts.signed_in(account.id, unit.desk.clock.now_ms()))
        Unit(unit.desk, unit.tx, new.visitor).audit(
            "account.signed_in", account.email, after={"method": method, "callerIp": ip}
        )
        return new

    def _refused(self, tx: Tx, email: str, reason: str, ip: str) -> None:
        fields: JsonObject = {"target": email, "reason": reason, "callerIp": ip}
        self._desk.journal.append(tx, Entry(kind=_REFUSED, fields=fields))

    def _refuse_links_with_mail(self) -> None:
        if not self.mail_off:
            raise Gone("Sign-in links are off here. Sign in with the code that is mailed to you.")

    def _refuse_busy_ip(self, ip: str, now: int) -> None:
        until = self._failures.full_until(ip, now)
        if until is not None:
            message = "Too many wrong codes came from your network. Wait, then try again."
            raise Locked(message, until_ms=until)


def _is_throttled(counts: CodeCounts) -> bool:
    return counts.email >= PER_ADDRESS or counts.ip >= PER_IP or counts.all >= IN_ALL


def _code_data(email: str, nonce: bytes, code: str) -> bytes:
    return email.encode() + b"\0" + nonce + code.encode()
