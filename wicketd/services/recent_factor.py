"""Who may make a key now: a member whose second factor, or sign-in, is minutes old.

A key outlives the session that made it, so a browser left open must not be enough. Source: product
spec, 8 (`portal.require_mfa`); promise P17.
"""

from typing import Final, Literal

from wicketd.domain.accounts import Visitor
from wicketd.domain.errors import Forbidden, SecondFactorNeeded
from wicketd.domain.ports import Clock

RECENT_MS: Final = 5 * 60 * 1000
RequireMfa = Literal["off", "key", "always"]


class RecentFactor:
    """`portal.require_mfa`: "key" and "always" ask for a code, "off" for a fresh sign-in.

    Who enrolled is asked for a code whatever the setting: the mailbox alone makes no key.
    """

    def __init__(self, clock: Clock, require_mfa: RequireMfa = "key") -> None:
        self._clock = clock
        self._require_mfa = require_mfa

    def check(self, visitor: Visitor) -> None:
        """Passes whoever proved to be there in the last 5 minutes.

        Raises:
            SecondFactorNeeded: no code was entered lately, or none is enrolled.
            Forbidden: the sign-in is older, where no second factor is asked for.
        """
        session = visitor.session
        if self._require_mfa == "off" and not visitor.account.has_totp:
            if not self._is_recent(session.created_at) and not self._is_recent(session.mfa_at):
                message = "Your sign-in is more than 5 minutes old. Sign out, then in again."
                raise Forbidden(message)
            return
        if not visitor.account.has_totp or not self._is_recent(session.mfa_at):
            message = "A key needs a code of your second factor from the last 5 minutes. Enter one."
            raise SecondFactorNeeded(message)

    def _is_recent(self, at_ms: int | None) -> bool:
        """A time that lies ahead is no proof: the clock went back."""
        return at_ms is not None and 0 <= self._clock.now_ms() - at_ms <= RECENT_MS
