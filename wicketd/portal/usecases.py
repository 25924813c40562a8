"""What the pages work with: the use cases of members and the settings that pages show.

The Protocols are the parts of the services that this surface may call, and no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wicketd.domain.accounts import Visitor, WebSession
from wicketd.domain.members import Member
from wicketd.domain.ports import Clock
from wicketd.domain.secret import SecretBytes
from wicketd.services.own import Own


class NewSession(Protocol):
    """A session that has just begun; `token` goes into the cookie and nowhere else."""

    @property
    def token(self) -> SecretBytes:
        """43 base64url characters."""

    @property
    def visitor(self) -> Visitor:
        """Whose it is."""


class SignInPort(Protocol):
    """`services.signin.SignIn`."""

    @property
    def mail_off(self) -> bool:
        """Whether there is no mail server: links and authenticator apps instead."""

    async def request_code(self, email: str, prelogin: SecretBytes, ip: str) -> None:
        """Mails a code, if the address has an account or an invitation."""

    async def redeem_code(
        self, email: str, code: str, prelogin: SecretBytes, ip: str, user_agent: str
    ) -> NewSession:
        """Signs in with a mailed code."""

    async def show_link(self, token: str) -> str:
        """The address of an administrator's link."""

    async def redeem_link(self, token: str, ip: str, user_agent: str) -> NewSession:
        """Signs in with an administrator's link, once."""

    async def sign_in_with_totp(
        self, email: str, code: str, ip: str, user_agent: str
    ) -> NewSession:
        """Signs in with address and code of the app, where there is no mail."""


class SessionsPort(Protocol):
    """`services.web_sessions.WebSessions`."""

    async def find(self, token: SecretBytes) -> Visitor | None:
        """Whose session it is, if it is one that goes on."""

    async def list(self, visitor: Visitor) -> Sequence[WebSession]:
        """The account's sessions."""

    async def end(self, visitor: Visitor) -> None:
        """Signs out here."""

    async def end_one(self, visitor: Visitor, session_id: str) -> None:
        """Signs out one of them."""

    async def end_others(self, visitor: Visitor) -> None:
        """Signs out all but this one."""


class EnrolmentPort(Protocol):
    """A second factor about to be set up."""

    @property
    def secret_base32(self) -> SecretBytes:
        """For typing."""

    @property
    def uri(self) -> SecretBytes:
        """For the QR code."""


class SecondFactorPort(Protocol):
    """`services.second_factor.SecondFactor`."""

    async def begin(self, visitor: Visitor) -> EnrolmentPort:
        """Starts the set-up."""

    async def confirm(
        self, visitor: Visitor, code: str, ip: str, user_agent: str
    ) -> tuple[NewSession, Sequence[SecretBytes]]:
        """Ends the set-up and gives ten backup codes."""

    async def check(self, visitor: Visitor, code: str, ip: str, user_agent: str) -> NewSession:
        """Checks a code of the app or a backup code."""

    async def new_codes(self, visitor: Visitor, code: str, ip: str) -> Sequence[SecretBytes]:
        """Replaces the backup codes."""


class InvitationPort(Protocol):
    """An invitation as its addressee sees it."""

    @property
    def agent_name(self) -> str:
        """To which agent."""

    @property
    def email(self) -> str:
        """For which address."""


class ListedInvitation(Protocol):
    """An open invitation in the list of agents."""

    @property
    def agent_name(self) -> str:
        """To which agent."""

    @property
    def token(self) -> SecretBytes:
        """What accepting it takes."""


class FactorsPort(Protocol):
    """`services.factor_rules.FactorRules`."""

    def must_enrol(self, visitor: Visitor) -> bool:
        """Whether a second factor has to be set up before anything else."""

    def must_prove(self, visitor: Visitor) -> bool:
        """Whether the session has not shown the second factor of its account."""

    def admit(self, visitor: Visitor) -> None:
        """Lets a fully signed-in visitor pass."""


class JoiningPort(Protocol):
    """`services.joining.Joining`."""

    async def show(self, token: str) -> InvitationPort:
        """What the link is for."""

    async def accept(self, visitor: Visitor, token: str) -> Member:
        """Makes the visitor a member that waits for approval."""

    async def open_for(self, visitor: Visitor) -> Sequence[ListedInvitation]:
        """The account's open invitations."""


class IssuedPort(Protocol):
    """A key that was just made."""

    @property
    def text(self) -> SecretBytes:
        """The key itself, to be shown once."""


class KeysPort(Protocol):
    """The part of `services.keys.Keys` for members."""

    async def issue_own(self, visitor: Visitor, agent_id: str) -> IssuedPort:
        """The first key."""

    async def rotate_own(self, visitor: Visitor, agent_id: str, old_key: bytes) -> IssuedPort:
        """A new key for the old one."""

    async def replace_lost(self, visitor: Visitor, agent_id: str) -> IssuedPort:
        """A new key without the old one."""

    async def revoke_own(self, visitor: Visitor, agent_id: str) -> object:
        """Ends the key."""


class ConnectionsPort(Protocol):
    """The part of `services.connections.Connections` for members."""

    async def set_own_static(
        self, visitor: Visitor, agent_id: str, service: str, token: bytes
    ) -> object:
        """Saves a token."""

    async def disconnect_own(self, visitor: Visitor, agent_id: str, service: str) -> object:
        """Destroys what is kept for a service."""


class MembersPort(Protocol):
    """The part of `services.members.Members` for members."""

    async def leave(self, visitor: Visitor, agent_id: str) -> object:
        """Ends the membership."""


class RecentPort(Protocol):
    """`services.recent_factor.RecentFactor`."""

    def check(self, visitor: Visitor) -> None:
        """Passes whoever may make a key now."""


class ConsentPort(Protocol):
    """What a member is asked before an account is connected."""

    @property
    def provider_host(self) -> str:
        """Where the account is."""

    @property
    def scopes(self) -> Sequence[str]:
        """What is asked for."""

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends the browser back to."""


class ConfirmationPort(Protocol):
    """What a member is asked after the provider answered."""

    @property
    def flow_id(self) -> str:
        """Names the attempt in the form."""

    @property
    def provider_host(self) -> str:
        """Where the account is."""

    @property
    def account_label(self) -> str | None:
        """Whose account, where the provider says so."""

    @property
    def scopes(self) -> Sequence[str]:
        """What was granted."""


class FlowsPort(Protocol):
    """`services.oauth_flows.OAuthFlows`."""

    async def prepare(self, visitor: Visitor, agent_id: str, service: str) -> ConsentPort:
        """What the consent page shows."""

    async def start(self, visitor: Visitor, agent_id: str, service: str) -> str:
        """Begins an attempt and gives the provider's URL."""

    async def callback(self, visitor: Visitor, service: str, query: bytes) -> ConfirmationPort:
        """Redeems what the provider sent back."""

    async def confirm(self, visitor: Visitor, flow_id: str) -> object:
        """Keeps the account."""

    async def discard(self, visitor: Visitor, flow_id: str) -> object:
        """Lets go of it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Settings that pages depend on. `url`: the portal's own, without a slash at its end."""

    url: str

    @property
    def mcp_url(self) -> str:
        """Where clients connect."""
        return f"{self.url}/mcp"


@dataclass(frozen=True, slots=True)
class UseCases:
    """Everything that the portal can do; `app.py` fills it in."""

    signin: SignInPort
    sessions: SessionsPort
    second_factor: SecondFactorPort
    joining: JoiningPort
    factors: FactorsPort
    keys: KeysPort
    recent: RecentPort
    connections: ConnectionsPort
    members: MembersPort
    flows: FlowsPort
    own: Own
    clock: Clock
    shown: Shown
