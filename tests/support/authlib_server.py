"""authlib's authorization server over HTTP: another maker's reading of RFC 6749, 7636 and 7009.

Consents are given by `/authorize` at once. Authlib insists on https, so it is told a name; what
travels is plain HTTP on loopback.
"""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped]  # it has none
    AuthorizationServer,
    ClientMixin,
    OAuth2Request,
    TokenMixin,
    grants,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # type: ignore[import-untyped]  # it has none
from authlib.oauth2.rfc6750 import BearerTokenGenerator  # type: ignore[import-untyped]  # it has none
from authlib.oauth2.rfc7009 import RevocationEndpoint  # type: ignore[import-untyped]  # it has none
from authlib.oauth2.rfc7636 import CodeChallenge  # type: ignore[import-untyped]  # it has none
from typing_extensions import override

NAME: Final = "https://authlib.example"


@dataclass
class Client(ClientMixin):  # type: ignore[misc]  # authlib has no types
    """A registered client. `method`: the one way it may show itself."""

    client_id: str
    secret: str
    method: str
    redirect_uri: str

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        return self.method != "none" and client_secret == self.secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.method

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in {"authorization_code", "refresh_token"}


@dataclass
class Code:
    """An authorization code and what it was asked for with."""

    code: str
    client_id: str
    redirect_uri: str
    scope: str
    code_challenge: str | None
    code_challenge_method: str | None

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Token(TokenMixin):  # type: ignore[misc]  # authlib has no types
    """A token that was given out."""

    client_id: str
    access_token: str
    refresh_token: str
    scope: str
    expires_at: float
    is_revoked: bool = False

    def check_client(self, client: Client) -> bool:
        return client.client_id == self.client_id

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        return 3600

    def is_expired(self) -> bool:
        return time.time() > self.expires_at

    def get_user(self) -> str:
        return "bob"

    def get_client(self) -> None:
        return None


@dataclass
class Store:
    """What the server knows."""

    clients: dict[str, Client] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)


class _Request(OAuth2Request):  # type: ignore[misc]  # authlib has no types
    def __init__(self, asked: web.Request, fields: dict[str, str]) -> None:
        super().__init__(asked.method, NAME + asked.path_qs, headers=dict(asked.headers))
        self._fields = fields
        self.payload = BasicOAuth2Payload(fields)

    @property
    def args(self) -> dict[str, str]:
        return self._fields if self.method == "GET" else {}

    @property
    def form(self) -> dict[str, str]:
        return self._fields if self.method == "POST" else {}


class _Server(AuthorizationServer):  # type: ignore[misc]  # authlib has no types
    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.register_token_generator("default", BearerTokenGenerator(_opaque, _opaque))
        self.register_grant(_CodeGrant, [CodeChallenge(required=True)])
        self.register_grant(_RefreshGrant)
        self.register_endpoint(_Revocation)

    @override
    def query_client(self, client_id: str) -> Client | None:
        return self.store.clients.get(client_id)

    @override
    def save_token(self, token: dict[str, Any], request: Any) -> None:
        self.store.tokens.append(
            Token(
                request.client.client_id,
                token["access_token"],
                token.get("refresh_token", ""),
                token.get("scope", ""),
                time.time() + token["expires_in"],
            )
        )

    @override
    def create_oauth2_request(self, request: Any) -> _Request:
        return _Request(*request)

    @override
    def handle_response(self, status: int, body: Any, headers: Any) -> web.Response:
        if isinstance(body, dict):
            return web.json_response(body, status=status, headers=_without_type(headers))
        return web.Response(status=status, text=body or "", headers=dict(headers))

    @override
    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""


class _CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]  # authlib has no types
    TOKEN_ENDPOINT_AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")

    def save_authorization_code(self, code: str, request: Any) -> None:
        data = request.payload.data
        self.server.store.codes[code] = Code(
            code,
            request.client.client_id,
            data["redirect_uri"],
            data.get("scope", ""),
            data.get("code_challenge"),
            data.get("code_challenge_method"),
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found: Code | None = self.server.store.codes.get(code)
        return found if found is not None and found.client_id == client.client_id else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        del self.server.store.codes[authorization_code.code]

    def authenticate_user(self, authorization_code: Code) -> str:
        return "bob"


class _RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]  # authlib has no types
    TOKEN_ENDPOINT_AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        for token in self.server.store.tokens:
            if token.refresh_token == refresh_token and not token.is_revoked:
                return token  # type: ignore[no-any-return]  # authlib has no types
        return None

    def authenticate_user(self, refresh_token: Token) -> str:
        return "bob"

    def revoke_old_credential(self, refresh_token: Token) -> None:
        refresh_token.is_revoked = True


class _Revocation(RevocationEndpoint):  # type: ignore[misc]  # authlib has no types
    CLIENT_AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")

    def query_token(self, token_string: str, token_type_hint: str) -> Token | None:
        for token in self.server.store.tokens:
            if token_string in (token.access_token, token.refresh_token):
                return token  # type: ignore[no-any-return]  # authlib has no types
        return None

    def revoke_token(self, token: Token, request: Any) -> None:
        token.is_revoked = True


def _opaque(*_args: Any, **_kwargs: Any) -> str:
    return secrets.token_urlsafe(24)


def _without_type(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() != "content-type"}


@dataclass
class Authlib:
    """The running server."""

    url: str
    store: Store

    def admits(self, authorization: str | None) -> bool:
        """Whether an upstream that trusts this server takes the header."""
        token = (authorization or "").removeprefix("Bearer ")
        return any(one.access_token == token and not one.is_revoked for one in self.store.tokens)

    def document(self) -> dict[str, Any]:
        """Its metadata (RFC 8414)."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "revocation_endpoint": f"{self.url}/revoke",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def register(self, method: str, redirect_uri: str = "https://wicket.example/cb") -> Client:
        """A new client that shows itself in one way."""
        name = f"client {len(self.store.clients)}"
        client = Client(name, f"s:{secrets.token_hex(4)}/%", method, redirect_uri)
        self.store.clients[client.client_id] = client
        return client


@asynccontextmanager
async def serve_authlib() -> AsyncIterator[Authlib]:
    """Runs it until the block ends."""
    store = Store()
    server, made = _Server(store), Authlib("", store)

    async def authorize(request: web.Request) -> web.StreamResponse:
        asked = (request, dict(request.query))
        grant = server.get_consent_grant(asked, "bob")
        answer: web.StreamResponse = server.create_authorization_response(asked, "bob", grant)
        return answer

    async def token(request: web.Request) -> web.StreamResponse:
        fields = {name: str(value) for name, value in (await request.post()).items()}
        answer: web.StreamResponse = server.create_token_response((request, fields))
        return answer

    async def revoke(request: web.Request) -> web.StreamResponse:
        fields = {name: str(value) for name, value in (await request.post()).items()}
        asked = (request, fields)
        answer: web.StreamResponse = server.create_endpoint_response("revocation", asked)
        return answer

    async def metadata(_request: web.Request) -> web.StreamResponse:
        return web.json_response(made.document())

    app = web.Application()
    app.router.add_get("/.well-known/oauth-authorization-server", metadata)
    app.router.add_post("/revoke", revoke)
    app.router.add_get("/authorize", authorize)
    app.router.add_post("/token", token)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()
