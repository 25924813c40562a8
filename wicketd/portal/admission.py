"""What is checked of a request before anybody looks at what it asks: names, origins, the body.

Source: security spec, sections 7 and 8.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from wicketd.domain.errors import BadRequest, Forbidden, TooLarge
from wicketd.net.addresses import Network
from wicketd.net.hosts import Hosts
from wicketd.portal import forms

BODY_S: Final = 10.0
_FOREIGN_FORM: Final = (
    "This form did not come from a page of ours, so nothing was done. Open the page again, then "
    "send it."
)

HeaderList: TypeAlias = "Sequence[tuple[bytes, bytes]]"


class WrongAddress(Forbidden):
    """The request names a host that is not ours."""


@dataclass(frozen=True, slots=True)
class PortalRules:
    """What is checked. `public_url`: its origin is the one that our forms come from."""

    hosts: Hosts
    public_url: str
    trusted: tuple[Network, ...] = ()
    body_s: float = BODY_S

    @property
    def is_https(self) -> bool:
        """Whether browsers reach us over TLS."""
        return urlsplit(self.public_url).scheme == "https"

    @property
    def origin(self) -> str:
        """The origin of our pages as browsers write it."""
        return _origin_of(self.public_url)


def header(headers: HeaderList, wanted: bytes) -> str | None:
    """A header that may come once; None when it is absent."""
    found = [value for name, value in headers if name == wanted]
    return found[0].decode("latin-1") if found else None


def require_ours(headers: HeaderList, rules: PortalRules) -> None:
    """Host is ours, Origin is absent or ours.

    Chromium sends `Origin: null` with the forms of pages that say no-referrer, as ours do
    (measured); such a value says nothing, and `require_own_form` then asks Sec-Fetch-Site.

    Raises:
        WrongAddress: another host is meant.
        Forbidden: a page of another site asks.
    """
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1 or not rules.hosts.admits(hosts[0].decode("latin-1")):
        message = "The portal has another name. Open the address that your administrator gave you."
        raise WrongAddress(message)
    origin = header(headers, b"origin")
    if origin not in {None, "null"} and not rules.hosts.admits_origin(origin or ""):
        raise Forbidden(_FOREIGN_FORM)


def require_own_form(headers: HeaderList, rules: PortalRules) -> None:
    """A form comes from our origin, or the browser says that it comes from the same one.

    Text browsers say neither, but where they come from (w3m, measured). What runs scripts always
    says one of them, so for the others the form's token stands alone; it is asked for in any case.

    Raises:
        Forbidden: it comes from elsewhere, or may.
    """
    origin, site = header(headers, b"origin"), header(headers, b"sec-fetch-site")
    if origin is None and site is None:
        referer = header(headers, b"referer")
        is_ours = referer is None or _origin_of(referer) == rules.origin
    elif origin in {None, "null"}:
        is_ours = site == "same-origin"
    else:
        is_ours = (origin or "").lower() == rules.origin
    if not is_ours:
        raise Forbidden(_FOREIGN_FORM)


def _origin_of(url: str) -> str:
    """The origin of a URL as browsers write it; "" of what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower()


async def read_form(headers: HeaderList, receive: Any, rules: PortalRules) -> bytes:
    """The body of a form.

    Raises:
        BadRequest: it is no form, the browser went away, or it took too long.
        TooLarge: it is over 64 KiB.
    """
    kind = header(headers, b"content-type")
    if not forms.is_form(None if kind is None else kind.encode("latin-1")):
        raise BadRequest("This is not a form of ours. Open the page again, then send its form.")
    body = bytearray()
    try:
        async with asyncio.timeout(rules.body_s):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise BadRequest("The browser went away while it sent the form.")
                body += message.get("body", b"")
                if len(body) > forms.MAX_FORM:
                    raise TooLarge("A form may have 64 KiB. Shorten what you entered.")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError as error:
        raise BadRequest("The form took too long to arrive. Send it again.") from error
