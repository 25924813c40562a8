"""Portal sessions: who a cookie is, read anew on every request; ending them.

The token is in the cookie alone, the row holds its MAC. Idle 12 hours, absolute 7 days; a proof of
the second factor gives a new id and ends the old one, within the same 7 days.
Source: security specification, section 7.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from wicketd.domain.accounts import Account, AccountStatus, Visitor, WebSession
from wicketd.domain.errors import NotFound, Unauthenticated, Unhealthy
from wicketd.domain.ids import WebSessionId
from wicketd.domain.ports import Random
from wicketd.services.desk import Desk, Unit
from wicketd.storage import web_sessions as rows
from wicketd.vault.sealing import Sealer
from wicketd.vault.secret import Secret

IDLE_MS: Final = 12 * 3_600_000
ABSOLUTE_MS: Final = 7 * 24 * 3_600_000
TOKEN_BYTES: Final = 32
_TOUCH_MS: Final = 60_000
_LABEL: Final = "session"
_TOKEN: Final = re.compile(rb"[A-Za-z0-9_-]{43}")
_USER_AGENT_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that begins with this answer. `token`: what its cookie holds, 43 characters."""

    token: Secret
    visitor: Visitor


def new_token(random: Random) -> Secret:
    """32 random bytes as 43 base64url characters."""
    return Secret(base64.urlsafe_b64encode(random.bytes(TOKEN_BYTES)).rstrip(b"="))


class WebSessions:
    """Finds, lists and ends portal sessions; opens them for the use cases that sign in."""

    def __init__(self, desk: Desk, sealer: Sealer, random: Random) -> None:
        self._desk = desk
        self._sealer = sealer
        self._random = random

    def mac(self, token: Secret) -> bytes:
        """What a form's CSRF token is bound to: a keyed MAC of the cookie's value."""
        return self._sealer.digest(_LABEL, token.reveal())

    async def find(self, token: Secret) -> Visitor | None:
        """Who sent this token; None unless the session lives and the account is active."""
        macs = self._macs(token)
        if macs is None:
            return None
        visitor = await self._desk.db.one(rows.by_macs(macs.values()))
        now = self._desk.clock.now_ms()
        if visitor is None or not _lives(visitor, now):
            return None
        if now - visitor.session.last_seen_at >= _TOUCH_MS:
            with suppress(Unhealthy):  # reading goes on while nothing can be written
                await self._desk.db.write(lambda tx: tx.run(rows.touch(visitor.session.id, now)))
        return visitor

    async def list(self, visitor: Visitor) -> Sequence[WebSession]:
        """The account's living sessions, newest first."""
        now = self._desk.clock.now_ms()
        return await self._desk.db.all(rows.live_of(visitor.account.id, now, now - IDLE_MS))

    async def end(self, visitor: Visitor) -> None:
        """Signs this session out."""
        await self._desk.change(visitor, lambda unit: _end(unit, visitor, visitor.session.id))

    async def end_one(self, visitor: Visitor, session_id: str) -> None:
        """Signs one session of the account out.

        Raises:
            NotFound: the account has no such session.
        """
        ended = await self._desk.change(
            visitor, lambda unit: _end(unit, visitor, WebSessionId(session_id))
        )
        if not ended:
            raise NotFound("There is no such session. Look at the list again.")

    async def end_others(self, visitor: Visitor) -> int:
        """Signs every other session of the account out; gives how many."""

        def work(unit: Unit) -> int:
            account, now = visitor.account, unit.desk.clock.now_ms()
            ended = unit.tx.run(rows.revoke_all(account.id, now, but=visitor.session.id))
            if ended:
                unit.audit("account.signed_out", account.email, after={"sessions": ended})
            return ended

        return await self._desk.change(visitor, work)

    async def renew(self, visitor: Visitor, *, mfa: bool, ip: str, user_agent: str) -> NewSession:
        """Gives the visitor a new session id and ends the old one. `mfa`: it was just proven.

        Raises:
            Unauthenticated: the old session ended in the meantime.
        """
        return await self._desk.change(
            visitor, lambda unit: self.renew_in(unit, visitor, mfa=mfa, ip=ip, agent=user_agent)
        )

    def renew_in(
        self, unit: Unit, visitor: Visitor, *, mfa: bool, ip: str, agent: str
    ) -> NewSession:
        """The same inside a transaction."""
        now = unit.desk.clock.now_ms()
        old = visitor.session
        if not unit.tx.run(rows.revoke(visitor.account.id, old.id, now)):
            raise Unauthenticated("This session has ended. Sign in again.")
        begun = self._new(visitor.account, now, ip, agent)
        mfa_at = now if mfa else old.mfa_at
        session = replace(
            begun, created_at=old.created_at, expires_at=old.expires_at, mfa_at=mfa_at
        )
        return self._put(unit, visitor.account, session)

    def open_in(
        self, unit: Unit, account: Account, *, mfa_at: int | None, ip: str, agent: str
    ) -> NewSession:
        """A new session at sign-in."""
        session = self._new(account, unit.desk.clock.now_ms(), ip, agent)
        return self._put(unit, account, replace(session, mfa_at=mfa_at))

    async def sweep(self) -> int:
        """Deletes sessions that ended."""
        now = self._desk.clock.now_ms()
        return await self._desk.db.write(lambda tx: tx.run(rows.sweep(now, now - IDLE_MS)))

    def _put(self, unit: Unit, account: Account, session: WebSession) -> NewSession:
        token = new_token(self._random)
        kid, mac = self._sealer.kid_digest(_LABEL, token.reveal())
        unit.tx.run(rows.insert(session, mac, kid))
        return NewSession(token, Visitor(account, session))

    def _new(self, account: Account, now: int, ip: str, agent: str) -> WebSession:
        return WebSession(
            id=WebSessionId(self._desk.ids.uuid7()),
            account_id=account.id,
            created_at=now,
            last_seen_at=now,
            expires_at=now + ABSOLUTE_MS,
            mfa_at=None,
            ip=ip,
            user_agent=agent[:_USER_AGENT_MAX],
            revoked_at=None,
        )

    def _macs(self, token: Secret) -> Mapping[str, bytes] | None:
        text = token.reveal()
        return self._sealer.digests(_LABEL, text) if _TOKEN.fullmatch(text) else None


def _lives(visitor: Visitor, now: int) -> bool:
    session = visitor.session
    return (
        session.revoked_at is None
        and now < session.expires_at
        and now < session.last_seen_at + IDLE_MS
        and visitor.account.status is AccountStatus.ACTIVE
    )


def _end(unit: Unit, visitor: Visitor, session_id: WebSessionId) -> int:
    ended = unit.tx.run(rows.revoke(visitor.account.id, session_id, unit.desk.clock.now_ms()))
    if ended:
        unit.audit("account.signed_out", visitor.account.email, after={"sessions": ended})
    return ended
