"""Where an authorization server is found, and what of its metadata is believed. Pure.

Counterpart: `provider` asks over the network. Invariant: nothing is guessed; an issuer is
byte-identical to the one asked for, or its metadata is not used at all.
Source: security spec, 6.1; RFC 9728; RFC 8414.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from wicketd.domain.errors import Malformed
from wicketd.net.addresses import is_loopback_host
from wicketd.oauth.answers import json_object
from wicketd.oauth.challenge import is_scope

URL_CHARACTERS_MAX: Final = 2_048
RESOURCE: Final = "/.well-known/oauth-protected-resource"
SERVER: Final = "/.well-known/oauth-authorization-server"
OPENID: Final = "/.well-known/openid-configuration"
S256: Final = "S256"
_URL: Final = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!&*+,;=%]+")
"""RFC 3986 without `#`, quotes, `$` and parentheses: no endpoint needs them, a shell might."""
_PORTS: Final = {"http": 80, "https": 443}
_SERVERS_MAX: Final = 16
_SCOPES_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """What a service's server says of itself. `servers`: issuers, in its order."""

    servers: tuple[str, ...]
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """An authorization server whose metadata passed every check.

    `auth_methods`: how a client may show its secret at the token endpoint; `sends_iss`: it promises
    `iss` in every answer (RFC 9207); `takes_documents`: a URL may be a client id.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    scopes: tuple[str, ...] = ()
    auth_methods: tuple[str, ...] = ("client_secret_basic",)
    sends_iss: bool = False
    takes_documents: bool = False


class _ResourceForm(msgspec.Struct, frozen=True):
    resource: str
    authorization_servers: list[str] = []
    scopes_supported: list[str] | None = None


class _ServerForm(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    scopes_supported: list[str] | None = None
    response_types_supported: list[str] | None = None
    token_endpoint_auth_methods_supported: list[str] | None = None
    code_challenge_methods_supported: list[str] | None = None
    authorization_response_iss_parameter_supported: bool | None = None
    client_id_metadata_document_supported: bool | None = None


def check_endpoint(url: str, what: str, *, loopback: bool) -> str:
    """The URL itself, if it may be linked or asked.

    `loopback`: the development setting that admits http on this machine. `what` names the URL in
    the error.

    Raises:
        Malformed: no https URL with a host, or with user info, a fragment or foreign characters.
    """
    parts = _parts(url)
    if parts is None or "@" in parts.netloc:
        raise Malformed(f"{what} is no plain https URL.")
    is_open = parts.scheme == "http" and loopback and is_loopback_host(parts.hostname or "")
    if parts.scheme != "https" and not is_open:
        raise Malformed(f"{what} is not https.")
    return url


def check_issuer(issuer: str, *, loopback: bool) -> str:
    """The issuer itself, if it may be one: an endpoint URL without query (RFC 8414, 2).

    Raises:
        Malformed: it may not.
    """
    if "?" in issuer:
        raise Malformed("The issuer of the provider has a query.")
    return check_endpoint(issuer, "The issuer of the provider", loopback=loopback)


def resource_urls(upstream_url: str, named: str | None) -> tuple[str, ...]:
    """Where the metadata of a protected resource is asked for, in this order.

    `named`: `resource_metadata` of its challenge, which is then the only place.
    """
    if named is not None:
        return (named,)
    parts = urlsplit(upstream_url)
    root = f"{parts.scheme}://{parts.netloc}{RESOURCE}"
    path = "" if parts.path == "/" else parts.path
    query = f"?{parts.query}" if parts.query else ""
    return tuple(dict.fromkeys((f"{root}{path}{query}", root)))


def server_urls(issuer: str) -> tuple[str, ...]:
    """Where the metadata of an issuer is asked for, in this order (RFC 8414, 3; OpenID, 4)."""
    parts = urlsplit(issuer)
    root, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    if not path:
        return root + SERVER, root + OPENID
    return f"{root}{SERVER}{path}", f"{root}{OPENID}{path}", f"{root}{path}{OPENID}"


def read_resource(body: bytes, upstream_url: str, *, loopback: bool) -> ProtectedResource:
    """Believes a protected resource that is the upstream, or that the upstream lies under.

    Raises:
        Malformed: no such metadata, or of another resource.
    """
    form = _decoded(body, _ResourceForm, "resource")
    if not _covers(form.resource, upstream_url):
        raise Malformed("The metadata of the service describes another resource.")
    servers = form.authorization_servers[:_SERVERS_MAX]
    for issuer in servers:
        check_issuer(issuer, loopback=loopback)
    return ProtectedResource(tuple(servers), _scopes(form.scopes_supported))


def read_server(body: bytes, issuer: str, *, loopback: bool) -> AuthorizationServer:
    """Believes the metadata of exactly this issuer, if it takes codes with S256.

    Raises:
        Malformed: another issuer, no S256, or an endpoint that may not be used.
    """
    form = _decoded(body, _ServerForm, "provider")
    if form.issuer != issuer:
        raise Malformed("The metadata of the provider names another issuer.")
    if S256 not in (form.code_challenge_methods_supported or ()):
        raise Malformed("The provider does not offer PKCE with S256.")
    if form.response_types_supported is not None and "code" not in form.response_types_supported:
        raise Malformed("The provider does not offer authorization codes.")
    for name in _ENDPOINTS:
        if (url := getattr(form, name)) is not None:
            check_endpoint(url, f"The provider's {name}", loopback=loopback)
    methods = form.token_endpoint_auth_methods_supported
    return AuthorizationServer(
        issuer=form.issuer,
        authorization_endpoint=form.authorization_endpoint,
        token_endpoint=form.token_endpoint,
        registration_endpoint=form.registration_endpoint,
        revocation_endpoint=form.revocation_endpoint,
        scopes=_scopes(form.scopes_supported),
        auth_methods=("client_secret_basic",) if methods is None else tuple(methods),
        sends_iss=form.authorization_response_iss_parameter_supported is True,
        takes_documents=form.client_id_metadata_document_supported is True,
    )


def pinned(oauth: Mapping[str, object]) -> AuthorizationServer | None:
    """The provider whose endpoints the connector file pins, as it publishes no metadata.

    `oauth`: the file's table, whose URLs were checked when it was read.
    """
    issuer, login, token = (
        oauth.get(name) for name in ("issuer", "authorization_endpoint", "token_endpoint")
    )
    if not (isinstance(issuer, str) and isinstance(login, str) and isinstance(token, str)):
        return None
    return AuthorizationServer(
        issuer=issuer,
        authorization_endpoint=login,
        token_endpoint=token,
        registration_endpoint=_text(oauth, "registration_endpoint"),
        revocation_endpoint=_text(oauth, "revocation_endpoint"),
        auth_methods=("client_secret_basic", "client_secret_post", "none"),
    )


def choose_issuer(offered: Sequence[str], bound: str | None) -> str | None:
    """The issuer that the service is bound to if it is offered, else the first one offered."""
    if bound is not None and bound in offered:
        return bound
    return next(iter(offered), None)


def wanted_scopes(
    challenged: Sequence[str],
    configured: Sequence[str],
    resource: Sequence[str],
    offered: Sequence[str],
) -> tuple[str, ...]:
    """The scopes to ask for: the challenge's, else the connector's, else the resource's, else none.

    `offered`: what the authorization server lists; `offline_access` is asked for exactly if it
    stands there. Source: security spec, 6.5.
    """
    first = next((each for each in (challenged, configured, resource) if each), ())
    wanted = [scope for scope in first if scope != _OFFLINE]
    if _OFFLINE in offered:
        wanted.append(_OFFLINE)
    return tuple(dict.fromkeys(wanted))


def origin(url: str) -> str | None:
    """`scheme://host:port` of a URL, or None if it has none."""
    parts = _parts(url)
    if parts is None:
        return None
    host = (parts.hostname or "").lower()
    port = parts.port if parts.port is not None else _PORTS[parts.scheme]
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


_ENDPOINTS: Final = (
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
)
_OFFLINE: Final = "offline_access"


def _parts(url: str) -> SplitResult | None:
    """The parts of an absolute http or https URL without fragment, or None."""
    if len(url) > URL_CHARACTERS_MAX or not _URL.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        return None
    return parts


def _covers(resource: str, upstream_url: str) -> bool:
    """Whether `resource` is the upstream, or a path above it at the same origin."""
    if resource == upstream_url:
        return True
    above, here = urlsplit(resource), urlsplit(upstream_url)
    if "@" in above.netloc or origin(resource) is None or origin(resource) != origin(upstream_url):
        return False
    if above.query:
        return False
    prefix = above.path.rstrip("/")
    return here.path == prefix or here.path.startswith(f"{prefix}/")


def _decoded(body: bytes, form: Any, what: str) -> Any:
    try:
        return msgspec.convert(json_object(body), form)
    except ValueError as error:  # of msgspec as well
        raise Malformed(f"The metadata of the {what} cannot be read.") from error


def _scopes(listed: Sequence[str] | None) -> tuple[str, ...]:
    found = dict.fromkeys(scope for scope in listed or () if is_scope(scope))
    return tuple(found)[:_SCOPES_MAX]


def _text(table: Mapping[str, object], name: str) -> str | None:
    value = table.get(name)
    return value if isinstance(value, str) else None
