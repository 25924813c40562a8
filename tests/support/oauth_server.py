"""An authorization server on a loopback port, strict enough to catch a client that is not.

It answers as its `Mode` says, counts every request, can hold a token answer before or after the
token is redeemed, and gives scripted answers instead of its own.
"""

import asyncio
import base64
import hashlib
import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote_plus, urlencode

from aiohttp import web

LIFETIME_S: Final = 3600


class Mode(StrEnum):
    """How it behaves."""

    STRICT = "strict"
    """Every rule is checked; a refresh token stays good."""
    ROTATING = "rotating"
    """As strict; a refresh token is good once, and its reuse revokes the grant."""
    SLOPPY = "sloppy"
    """Checks no resource, says `BEARER`, leaves out lifetime and scope."""
    HOSTILE = "hostile"
    """Honest until a test overrides documents, endpoints or answers."""


@dataclass
class Grant:
    """What one consent gave, and its tokens."""

    client_id: str
    resource: str | None
    scope: str
    refresh_token: str = ""
    used: set[str] = field(default_factory=set)
    access_tokens: set[str] = field(default_factory=set)
    is_revoked: bool = False


@dataclass
class Client:
    """A registered client."""

    client_id: str
    secret: str | None
    redirect_uris: list[str]


@dataclass
class Code:
    """An authorization code on its way back."""

    grant: Grant
    redirect_uri: str
    challenge: str
    is_used: bool = False


@dataclass(frozen=True)
class TokenRequest:
    """A request to the token endpoint as it arrived; `form` holds every field once."""

    form: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def grant_type(self) -> str:
        """Which grant it asked for."""
        return self.form.get("grant_type", "")


@dataclass(frozen=True)
class Scripted:
    """An answer given instead of the server's own. `is_redeemed`: the token is used up first."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_redeemed: bool = False
    is_dropped: bool = False
    """The connection closes without an answer."""


class AuthorizationServer:
    """The server's state and its switches; `serve_oauth` runs it."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.url = ""
        self.issuer = ""
        self.clients: dict[str, Client] = {}
        self.grants: list[Grant] = []
        self.codes: dict[str, Code] = {}
        self.requests: list[tuple[str, str]] = []
        """(method, path) of everything that arrived."""
        self.authorized: list[Mapping[str, str]] = []
        self.token_requests: list[TokenRequest] = []
        self.revoked: list[str] = []
        self.lifetime_s: int | None = LIFETIME_S
        self.scripted: deque[Scripted] = deque()
        self.denies: str | None = None
        """An error code that /authorize sends back instead of a code."""
        self.metadata: dict[str, Any] = {}
        """Overrides of the metadata document; None removes a member."""
        self.documents: dict[str, web.Response] = {}
        """Paths answered from here before anything else."""
        self.slow: set[str] = set()
        """Paths that answer only once `before_redeeming` is set."""
        self.before_redeeming = asyncio.Event()
        self.after_redeeming = asyncio.Event()
        self.before_redeeming.set()
        self.after_redeeming.set()
        self.at_token = asyncio.Semaphore(0)
        """Released once for each token request that arrived."""

    @property
    def revoked_grants(self) -> list[Grant]:
        """Grants lost to reuse or revocation."""
        return [grant for grant in self.grants if grant.is_revoked]

    @property
    def refreshes(self) -> list[TokenRequest]:
        """The refresh requests that arrived."""
        return [one for one in self.token_requests if one.grant_type == "refresh_token"]

    def register(self, *redirect_uris: str, secret: str | None = None) -> Client:
        """A client known beforehand."""
        client = Client(f"client-{secrets.token_hex(4)}", secret, list(redirect_uris))
        self.clients[client.client_id] = client
        return client

    def grant(self, client: Client, resource: str | None, scope: str = "read") -> dict[str, Any]:
        """A consent given out of band: the token answer of its first redemption."""
        grant = Grant(client.client_id, resource, scope)
        self.grants.append(grant)
        return self._tokens(grant)

    def admits(self, authorization: str | None) -> bool:
        """Whether an upstream that trusts this server takes the header."""
        token = (authorization or "").removeprefix("Bearer ")
        return any(token in grant.access_tokens for grant in self.grants if not grant.is_revoked)

    def expire_access_tokens(self) -> None:
        """No access token issued so far is good any more."""
        for grant in self.grants:
            grant.access_tokens.clear()

    def document(self) -> dict[str, Any]:
        """The metadata (RFC 8414)."""
        made = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "registration_endpoint": f"{self.url}/register",
            "revocation_endpoint": f"{self.url}/revoke",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": [
                "none",
                "client_secret_basic",
                "client_secret_post",
            ],
            "authorization_response_iss_parameter_supported": True,
            "scopes_supported": ["read", "write", "offline_access"],
            **self.metadata,
        }
        return {name: value for name, value in made.items() if value is not None}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers any request."""
        self.requests.append((request.method, request.path))
        if request.path in self.slow:
            await self.before_redeeming.wait()
        if request.path in self.documents:
            return self.documents[request.path]
        if request.path.startswith("/.well-known/"):
            return web.json_response(self.document())
        match request.method, request.path:
            case "GET", "/authorize":
                return self._authorize(dict(request.query))
            case "POST", "/token":
                return await self._token(request)
            case "POST", "/register":
                return self._register(await request.json())
            case "POST", "/revoke":
                return self._revoke(await _form(request))
        return web.Response(status=404)

    def _authorize(self, query: Mapping[str, str]) -> web.Response:
        self.authorized.append(query)
        client = self.clients.get(query.get("client_id", ""))
        redirect_uri = query.get("redirect_uri", "")
        if client is None or redirect_uri not in client.redirect_uris:
            return web.Response(status=400, text="unknown client or redirect")
        back = {"state": query.get("state", ""), "iss": self.issuer}
        wrong = self.denies or self._wrong_authorization(query)
        if wrong is not None:
            back["error"] = wrong
        else:
            resource = query.get("resource")
            grant = Grant(client.client_id, resource, query.get("scope", "read"))
            code = secrets.token_urlsafe(24)
            self.codes[code] = Code(grant, redirect_uri, query["code_challenge"])
            back["code"] = code
        if self.metadata.get("authorization_response_iss_parameter_supported") is False:
            del back["iss"]
        joint = "&" if "?" in redirect_uri else "?"
        return web.Response(
            status=302, headers={"Location": f"{redirect_uri}{joint}{urlencode(back)}"}
        )

    def _wrong_authorization(self, query: Mapping[str, str]) -> str | None:
        if query.get("response_type") != "code":
            return "unsupported_response_type"
        if query.get("code_challenge_method") != "S256" or len(query["code_challenge"]) != 43:
            return "invalid_request"
        if self.mode is not Mode.SLOPPY and not query.get("resource"):
            return "invalid_target"
        return None

    async def _token(self, request: web.Request) -> web.StreamResponse:
        asked = TokenRequest(await _form(request), dict(request.headers))
        self.token_requests.append(asked)
        self.at_token.release()
        await self.before_redeeming.wait()
        scripted = self.scripted.popleft() if self.scripted else None
        answer = None if scripted and not scripted.is_redeemed else self._redeem(asked)
        await self.after_redeeming.wait()
        if scripted is not None and scripted.is_dropped:
            assert request.transport is not None
            request.transport.abort()
        if scripted is not None:
            return web.Response(
                status=scripted.status, body=scripted.body, headers=scripted.headers
            )
        assert answer is not None
        status, document = answer
        headers = {"Cache-Control": "no-store"}
        return web.json_response(document, status=status, headers=headers)

    def _redeem(self, asked: TokenRequest) -> tuple[int, dict[str, Any]]:
        client = self._authenticated(asked)
        if client is None:
            return 401, {"error": "invalid_client"}
        if asked.grant_type == "authorization_code":
            return self._redeem_code(client, asked.form)
        if asked.grant_type == "refresh_token":
            return self._refresh(client, asked.form)
        return 400, {"error": "unsupported_grant_type"}

    def _authenticated(self, asked: TokenRequest) -> Client | None:
        given_id, given_secret = asked.form.get("client_id"), asked.form.get("client_secret")
        scheme, _, encoded = asked.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            user, _, password = base64.b64decode(encoded).decode("ascii").partition(":")
            given_id, given_secret = unquote_plus(user), unquote_plus(password)
        client = self.clients.get(given_id or "")
        return client if client is not None and client.secret == given_secret else None

    def _redeem_code(self, client: Client, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        code = self.codes.get(form.get("code", ""))
        if code is None or code.is_used or code.grant.client_id != client.client_id:
            return 400, {"error": "invalid_grant"}
        code.is_used = True
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if challenge != code.challenge or form.get("redirect_uri") != code.redirect_uri:
            return 400, {"error": "invalid_grant"}
        if self._is_other_resource(code.grant, form):
            return 400, {"error": "invalid_target"}
        self.grants.append(code.grant)
        return 200, self._tokens(code.grant)

    def _refresh(self, client: Client, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        token = form.get("refresh_token", "")
        for grant in self.grants:
            if grant.client_id != client.client_id:
                continue
            if token in grant.used:
                grant.is_revoked = True
            if grant.is_revoked or token != grant.refresh_token:
                continue
            if self._is_other_resource(grant, form):
                return 400, {"error": "invalid_target"}
            return 200, self._tokens(grant)
        return 400, {"error": "invalid_grant"}

    def _is_other_resource(self, grant: Grant, form: Mapping[str, str]) -> bool:
        return self.mode is not Mode.SLOPPY and form.get("resource") != grant.resource

    def _tokens(self, grant: Grant) -> dict[str, Any]:
        access_token = f"at-{secrets.token_urlsafe(24)}"
        grant.access_tokens.add(access_token)
        answer: dict[str, Any] = {"access_token": access_token, "token_type": "Bearer"}
        is_first = not grant.refresh_token
        if is_first or self.mode is Mode.ROTATING:
            if not is_first:
                grant.used.add(grant.refresh_token)
            grant.refresh_token = f"rt-{secrets.token_urlsafe(24)}"
            answer["refresh_token"] = grant.refresh_token
        if self.mode is Mode.SLOPPY:
            return {**answer, "token_type": "BEARER"}
        if self.lifetime_s is not None:
            answer["expires_in"] = self.lifetime_s
        return {**answer, "scope": grant.scope}

    def _register(self, document: dict[str, Any]) -> web.Response:
        method = document.get("token_endpoint_auth_method", "client_secret_basic")
        secret = None if method == "none" else secrets.token_urlsafe(24)
        client = self.register(*document.get("redirect_uris", []), secret=secret)
        answer = {**document, "client_id": client.client_id}
        if secret is not None:
            answer |= {"client_secret": secret, "client_secret_expires_at": 0}
        return web.json_response(answer, status=201)

    def _revoke(self, form: Mapping[str, str]) -> web.Response:
        token = form.get("token", "")
        self.revoked.append(token)
        for grant in self.grants:
            if token == grant.refresh_token or token in grant.access_tokens:
                grant.is_revoked = True
        return web.Response(status=200)


async def _form(request: web.Request) -> dict[str, str]:
    """The fields of a form; one that is there twice fails the test that sent it."""
    fields = await request.post()
    assert len(fields) == len(set(fields))
    return {name: str(value) for name, value in fields.items()}


@asynccontextmanager
async def serve_oauth(mode: Mode, *, path: str = "") -> AsyncIterator[AuthorizationServer]:
    """Runs a server; `path`: of an issuer that is not at the root of its host."""
    server = AuthorizationServer(mode)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    server.issuer = f"{server.url}{path}"
    try:
        yield server
    finally:
        server.before_redeeming.set()
        server.after_redeeming.set()
        await runner.cleanup()
