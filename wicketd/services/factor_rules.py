"""When a second factor is demanded of whom: `portal.require_mfa` and `portal.mail = "off"`.

Pure. A session that only proved the mailbox of an enrolled account opens nothing. Counterpart:
`recent_factor`, for making a key. Source: product specification, section 8.
"""

from dataclasses import dataclass
from typing import Literal

from wicketd.domain.accounts import Visitor
from wicketd.domain.errors import SecondFactorNeeded


@dataclass(frozen=True, slots=True)
class FactorRules:
    """`require`: the setting. `is_mail_off`: the second factor is the only proof there is."""

    require: Literal["off", "key", "always"] = "key"
    is_mail_off: bool = True

    def must_enrol(self, visitor: Visitor) -> bool:
        """Whether this visitor sets up a second factor before anything else."""
        is_demanded = self.is_mail_off or self.require == "always"
        return is_demanded and not visitor.account.has_totp

    def must_prove(self, visitor: Visitor) -> bool:
        """Whether this session has still to enter a code of the enrolled second factor."""
        return visitor.account.has_totp and visitor.session.mfa_at is None

    def admit(self, visitor: Visitor) -> None:
        """Lets a fully signed-in visitor pass.

        Raises:
            SecondFactorNeeded: a code or an enrolment is missing.
        """
        if self.must_enrol(visitor):
            raise SecondFactorNeeded("Set up an authenticator app first.")
        if self.must_prove(visitor):
            raise SecondFactorNeeded("Enter a code of your authenticator app first.")
