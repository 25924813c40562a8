"""What every refresh works with; `app.py` makes one. Counterpart: `refresh_flight`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from wicketd.domain.secret import SecretBytes
from wicketd.oauth.client import OAuthHttp
from wicketd.services.desk import Desk
from wicketd.services.issuers import Issuers
from wicketd.services.tokens import TokenBox
from wicketd.vault.sealing import Sealer


@dataclass(frozen=True, slots=True)
class RefreshTools:
    """`is_writable`: a probe of disk space and of a real write."""

    desk: Desk
    box: TokenBox
    sealer: Sealer
    http: OAuthHttp
    issuers: Issuers
    is_writable: Callable[[], Awaitable[bool]]

    @property
    def active_kid(self) -> str:
        """The server key that new intents are made under."""
        return self.box.active_kid()

    def macs(self, refresh_token: SecretBytes) -> dict[str, bytes]:
        """What names a refresh token without holding it, under every server key."""
        return self.sealer.digests("refresh-intent", refresh_token.reveal())
