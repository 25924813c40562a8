"""The second factor of a signed-in visitor: enrol, prove, renew backup codes.

Whoever enrols keeps it: only an admin's reset or link ends it (P17). A proof gives the session a
new id. Source: security specification, section 7.
"""

from dataclasses import dataclass

from wicketd.domain.accounts import Account, AccountStatus, Visitor
from wicketd.domain.audit import Entry
from wicketd.domain.errors import Conflict, Invalid, Unauthenticated
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Tx
from wicketd.services.authenticator import Authenticator, Proof, Verdict
from wicketd.services.desk import Desk, Unit
from wicketd.services.web_sessions import NewSession, WebSessions
from wicketd.storage import accounts
from wicketd.vault import totp
from wicketd.vault.secret import Secret


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app needs. `uri`: for the QR code; `secret_base32`: to be typed."""

    secret_base32: Secret
    uri: Secret


class SecondFactor:
    """The use cases of a visitor's own second factor."""

    def __init__(
        self,
        desk: Desk,
        sessions: WebSessions,
        authenticator: Authenticator,
    ) -> None:
        self._desk = desk
        self._sessions = sessions
        self._authenticator = authenticator
        self._begun: dict[str, str] = {}
        """Account to the session that began its enrolment: a secret that another session saw is
        never confirmed."""

    async def begin(self, visitor: Visitor) -> Enrolment:
        """A secret that awaits its first code: the same as long as this session enrols.

        Raises:
            Conflict: a second factor is enrolled; only an administrator ends it.
        """
        account = visitor.account

        def work(tx: Tx) -> Secret:
            secret = None
            if self._begun.get(account.id) == visitor.session.id:
                secret = self._authenticator.begun(tx, account.id)
            secret = secret or self._authenticator.begin(tx, account.id)
            if secret is None:
                message = (
                    "An authenticator app is set up already. "
                    "If it is lost, ask an administrator to reset it."
                )
                raise Conflict(message)
            return secret

        secret = await self._desk.db.write(work)
        self._begun[account.id] = visitor.session.id
        return Enrolment(totp.base32(secret), totp.uri(secret, account.email))

    async def confirm(
        self, visitor: Visitor, code: str, ip: str, user_agent: str
    ) -> tuple[NewSession, list[Secret]]:
        """Enrols by the first code; gives a new session and ten backup codes, shown once.

        Raises:
            Invalid: the code is wrong.
            Conflict: this session did not begin, or a second factor is enrolled.
            ClockBackwards: the host's clock was set back.
        """
        now = await self._desk.guard.check()
        if self._begun.get(visitor.account.id) != visitor.session.id:
            raise Conflict("The set-up has to begin anew. Open its page again and scan the code.")

        def work(unit: Unit) -> tuple[NewSession, list[Secret]]:
            if not self._authenticator.confirm(unit.tx, visitor.account.id, code, now):
                message = "This code is wrong. Enter the one that your app shows now."
                raise Invalid(message)
            codes = self._authenticator.new_codes(unit.tx, visitor.account.id)
            facts: JsonObject = {"backupCodes": len(codes), "callerIp": ip}
            unit.audit("account.mfa_enrolled", visitor.account.email, after=facts)
            return self._renewed(unit, visitor, ip, user_agent), codes

        enrolled = await self._desk.change(visitor, work)
        self._begun.pop(visitor.account.id, None)
        return enrolled

    async def check(self, visitor: Visitor, code: str, ip: str, user_agent: str) -> NewSession:
        """Proves the second factor by TOTP or a backup code; gives a new session.

        Raises:
            Invalid: the code is wrong or was used.
            Locked: too many wrong codes.
            Unauthenticated: the session ended in the meantime.
            ClockBackwards: the host's clock was set back.
        """
        now = await self._desk.guard.check()

        def work(unit: Unit) -> NewSession | Verdict:
            account = _fresh(unit.tx, visitor)
            verdict = self._authenticator.prove(unit.tx, account, code, now)
            if verdict.proof is None:
                self._note(unit, account, verdict, ip)
                return verdict
            facts: JsonObject = {"method": verdict.proof.value, "callerIp": ip}
            unit.audit("account.signed_in", account.email, after=facts)
            return self._renewed(unit, Visitor(account, visitor.session), ip, user_agent)

        outcome = await self._desk.change(visitor, work)
        if isinstance(outcome, NewSession):
            return outcome
        outcome.require()
        raise Invalid("This code is wrong. Enter the one that your app shows now.")

    async def new_codes(self, visitor: Visitor, code: str, ip: str) -> list[Secret]:
        """Ten new backup codes for a code of the app; the old ones end.

        Raises:
            Invalid: the code is wrong, was used, or is a backup code.
            Locked: too many wrong codes.
            ClockBackwards: the host's clock was set back.
        """
        now = await self._desk.guard.check()

        def work(unit: Unit) -> list[Secret] | Verdict:
            account = _fresh(unit.tx, visitor)
            verdict = self._authenticator.prove(unit.tx, account, code, now, app_only=True)
            if verdict.proof is not Proof.TOTP:
                self._note(unit, account, verdict, ip)
                return verdict
            codes = self._authenticator.new_codes(unit.tx, account.id)
            facts: JsonObject = {"backupCodes": len(codes), "renewed": True, "callerIp": ip}
            unit.audit("account.mfa_enrolled", account.email, after=facts)
            return codes

        outcome = await self._desk.change(visitor, work)
        if isinstance(outcome, list):
            return outcome
        outcome.require()
        raise Invalid("This code is wrong. Enter the one that your app shows now.")

    def _renewed(self, unit: Unit, visitor: Visitor, ip: str, user_agent: str) -> NewSession:
        account = _fresh(unit.tx, visitor)
        return self._sessions.renew_in(
            unit, Visitor(account, visitor.session), mfa=True, ip=ip, agent=user_agent
        )

    def _note(self, unit: Unit, account: Account, verdict: Verdict, ip: str) -> None:
        """Records a wrong code; those that meet a lock would only fill the log."""
        if not verdict.is_counted:
            return
        fields: JsonObject = {
            "accountId": account.id,
            "target": account.email,
            "reason": "wrong_second_factor",
            "callerIp": ip,
        }
        self._desk.journal.append(unit.tx, Entry(kind="account.signin_refused", fields=fields))


def _fresh(tx: Tx, visitor: Visitor) -> Account:
    """The account as it is in this transaction, not as the request found it."""
    account = tx.one(accounts.by_ref(visitor.account.id))
    if account is None or account.status is not AccountStatus.ACTIVE:
        raise Unauthenticated("This session has ended. Sign in again.")
    return account
