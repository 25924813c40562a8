"""CVE-2025-6514: an endpoint of a hostile provider ended in a shell. Only parsed https is linked.

Removal tried: without the character rule of `discovery._parts` the rows with `$(`, quotes and line
ends are accepted.
"""

import msgspec
import pytest

from wicketd.domain.errors import Malformed
from wicketd.oauth import discovery

ISSUER = "https://as.test"
HOSTILE = [
    "javascript:alert(1)",
    "javascript://as.test/%0aalert(1)",
    "file:///etc/passwd",
    "data:text/html,x",
    "https://as.test/$(touch /tmp/x)",
    "https://as.test/`id`",
    "https://as.test/a'b",
    'https://as.test/a"b',
    "https://as.test/a\nb",
    "https://as.test/a b",
    "https://as.test/a\\b",
    "https://as.test/<script>",
    "https://as.test/a#fragment",
    "https://user:secret@as.test/a",
    "https://as.test@evil.test/a",
    "https:///a",
    "https://",
    "https:as.test/a",
    "//as.test/a",
    "http://as.test/a",
    "https://as.test:0/a",
    "https://as.test:99999/a",
    "https://[::1/a",
    " https://as.test/a",
    "https://as.test/é",
    "https://as.test/" + "a" * 3000,
    "",
]


@pytest.mark.requirement("CVE-2025-6514")
@pytest.mark.parametrize("loopback", [False, True])
@pytest.mark.parametrize("endpoint", HOSTILE)
def test_a_hostile_authorization_endpoint_is_refused(endpoint: str, loopback: bool) -> None:
    body = msgspec.json.encode(
        {
            "issuer": ISSUER,
            "authorization_endpoint": endpoint,
            "token_endpoint": "https://as.test/token",
            "code_challenge_methods_supported": ["S256"],
        }
    )
    with pytest.raises(Malformed, match="authorization_endpoint"):
        discovery.read_server(body, ISSUER, loopback=loopback)
