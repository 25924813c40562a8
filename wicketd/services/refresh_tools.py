"""What every refresh works with; `app.py` makes one. Counterpart: `refresh_flight`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from wicketd.domain.secret import SecretBytes
from wicketd.oauth.client import OAuthHttp
from wicketd.services.desk import Desk
from wicketd.services.issuers import Issuers
from wicketd.services.tokens import TokenBox
from wicketd.vault.sealing import Sealer

_LABEL: Final = "refresh-intent"


@dataclass(frozen=True, slots=True)
class RefreshTools:
    """`is_writable`: a probe of disk space and of a real write."""

    desk: Desk
    box: TokenBox
    sealer: Sealer
    http: OAuthHttp
    issuers: Issuers
    is_writable: Callable[[], Awaitable[bool]]

    def macs(self, refresh_token: SecretBytes) -> dict[str, bytes]:
        """What names a refresh token without holding it, under every server key."""
        return self.sealer.digests(_LABEL, refresh_token.reveal())

    def mac(self, refresh_token: SecretBytes) -> tuple[str, bytes]:
        """The same under the active server key, with its kid."""
        return self.sealer.kid_digest(_LABEL, refresh_token.reveal())
