"""An administrator's single-use sign-in links, for homes without a mail server.

Life cycle: `domain.accounts.LINK_EDGES`. A newer link voids the older one of the same account; the
token is in the URL alone. Source: security specification, section 7.
"""

from typing import Final

from wicketd.domain.accounts import LINK_EDGES, Account, LinkState, SigninLink
from wicketd.domain.actor import SYSTEM
from wicketd.domain.errors import Gone, NotFound
from wicketd.domain.ids import InviteId, SigninLinkId
from wicketd.domain.json import JsonObject
from wicketd.domain.lifecycle import take
from wicketd.domain.ports import Random, Tx
from wicketd.services import find
from wicketd.services.desk import Desk, Unit
from wicketd.services.web_sessions import new_token
from wicketd.storage import accounts, signin
from wicketd.vault.sealing import Sealer
from wicketd.vault.secret import Secret

LINK_MS: Final = 24 * 3_600_000
_LABEL: Final = "signin-link"
_TOKEN_MAX: Final = 64


class SigninLinks:
    """Makes, voids and takes links. `url`: the portal's, without a slash at its end."""

    def __init__(self, desk: Desk, sealer: Sealer, random: Random, url: str) -> None:
        self._desk = desk
        self._sealer = sealer
        self._random = random
        self._url = url

    def create(
        self, unit: Unit, account: Account, now_ms: int, invite_id: InviteId | None = None
    ) -> tuple[SigninLink, Secret]:
        """A new link of the account and its URL; the older one is void."""
        self.void_open(unit, account, "replaced")
        edge = take(LINK_EDGES, None, "create", "link")
        link = SigninLink(
            id=SigninLinkId(self._desk.ids.uuid7()),
            account_id=account.id,
            invite_id=invite_id,
            created_by=unit.author.label(),
            created_at=now_ms,
            expires_at=now_ms + LINK_MS,
            used_at=None,
            void_at=None,
        )
        token = new_token(self._random)
        kid, mac = self._sealer.kid_digest(_LABEL, token.reveal())
        unit.tx.run(signin.insert_link(link, mac, kid))
        facts: JsonObject = {"link": link.id, "expiresAt": link.expires_at}
        unit.audit(edge.audit, account.email, after=facts)
        return link, Secret(f"{self._url}/signin/link/{token.reveal().decode()}".encode())

    def void_open(
        self, unit: Unit, account: Account, reason: str, invite_id: InviteId | None = None
    ) -> None:
        """Voids the account's open link, if it has one. `invite_id`: only one of this invite."""
        link = unit.tx.one(signin.open_link_of(account.id))
        if link is not None and invite_id in (None, link.invite_id):
            _void(unit, link, account.email, reason)

    def require_open(self, tx: Tx, token: str, now_ms: int) -> tuple[SigninLink, Account]:
        """The open link of a token, with its account.

        Raises:
            NotFound: no link has this token.
            Gone: it was used or replaced, or its time is over.
        """
        link = _checked(tx.one(signin.link_by_macs(self.macs(token))), now_ms)
        return link, find.require(tx, accounts.by_ref(link.account_id), _missing())

    async def address_of(self, token: str, now_ms: int) -> str:
        """The address of an open link; looking does not use it up.

        Raises:
            NotFound: no link has this token.
            Gone: it was used or replaced, or its time is over.
        """
        db = self._desk.db
        found = await db.one(signin.link_by_macs(self.macs(token)))
        link = _checked(found, now_ms)
        account = await db.one(accounts.by_ref(link.account_id))
        if account is None:
            raise _missing()
        return account.email

    def macs(self, token: str) -> list[bytes]:
        """The MACs that a token may be stored under, one per server key."""
        data = token[:_TOKEN_MAX].encode(errors="replace")
        return list(self._sealer.digests(_LABEL, data).values())

    async def sweep(self) -> int:
        """Voids links whose time is over; gives how many."""
        now = self._desk.clock.now_ms()
        if not await self._desk.db.all(signin.links_over(now)):
            return 0

        def work(unit: Unit) -> int:
            over = unit.tx.all(signin.links_over(now))
            for link in over:
                account = unit.tx.one(accounts.by_ref(link.account_id))
                _void(unit, link, account.email if account is not None else "", "expired")
            return len(over)

        return await self._desk.change(SYSTEM, work)


def _void(unit: Unit, link: SigninLink, email: str, reason: str) -> None:
    edge = take(LINK_EDGES, LinkState.OPEN, "void", "link")
    unit.tx.run(signin.void_link(link.id, unit.desk.clock.now_ms()))
    unit.audit(edge.audit, email, after={"link": link.id, "reason": reason})


def _checked(link: SigninLink | None, now_ms: int) -> SigninLink:
    if link is None:
        raise _missing()
    if link.state(now_ms) is not LinkState.OPEN:
        raise Gone(
            "This sign-in link was used, replaced or is over. Ask your administrator for a new one."
        )
    return link


def _missing() -> NotFound:
    return NotFound("There is no such sign-in link. Open it exactly as you got it.")
