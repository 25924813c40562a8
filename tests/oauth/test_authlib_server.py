"""Our forms and our reading of answers, against another maker's authorization server."""

import base64
import hashlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest

from tests.support.authlib_server import Authlib, Client, serve_authlib
from wicketd.net.client import GuardedClient
from wicketd.oauth import token
from wicketd.oauth.client import OAuthHttp
from wicketd.oauth.token import AuthMethod, ClientAuth, Form, Meaning, TokenAnswer, TokenError
from wicketd.vault.secret import Secret

VERIFIER = "v" * 64
RESOURCE = "https://mcp.example/mcp"


@pytest.fixture
async def server() -> AsyncIterator[Authlib]:
    async with serve_authlib() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[OAuthHttp]:
    made = OAuthHttp(GuardedClient(), loopback_http=True)
    yield made
    await made.close()


def auth(client: Client) -> ClientAuth:
    method = AuthMethod(client.method)
    secret = None if method is AuthMethod.NONE else Secret(client.secret.encode())
    return ClientAuth(client.client_id, secret, method)


async def code_of(server: Authlib, client: Client) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest())
    query = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "scope": "read",
        "state": "s",
        "code_challenge": challenge.rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "resource": RESOURCE,
    }
    async with (
        aiohttp.ClientSession() as browser,
        browser.get(f"{server.url}/authorize?{urlencode(query)}", allow_redirects=False) as answer,
    ):
        assert answer.status == 302, await answer.text()
        return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


def exchange(client: Client, code: str, verifier: str = VERIFIER) -> Form:
    return token.code_request(
        auth(client),
        code=Secret(code.encode()),
        verifier=Secret(verifier.encode()),
        redirect_uri=client.redirect_uri,
        resource=RESOURCE,
    )


async def ask(http: OAuthHttp, server: Authlib, form: Form) -> TokenAnswer | TokenError:
    answer = await http.post_form(f"{server.url}/token", form)
    return token.parse(answer.status, answer.headers, answer.body)


@pytest.mark.parametrize("method", list(AuthMethod))
async def test_a_code_and_then_its_refresh_token_are_redeemed(
    server: Authlib, http: OAuthHttp, method: AuthMethod
) -> None:
    client = server.register(method)
    first = await ask(http, server, exchange(client, await code_of(server, client)))
    assert isinstance(first, TokenAnswer)
    assert (first.scope, first.expires_in) == ("read", 864_000)
    assert first.refresh_token is not None
    form = token.refresh_request(auth(client), refresh_token=first.refresh_token, resource=RESOURCE)
    second = await ask(http, server, form)
    assert isinstance(second, TokenAnswer)
    assert second.access_token.reveal() != first.access_token.reveal()
    assert await ask(http, server, form) == TokenError(Meaning.GONE, "invalid_grant")


async def test_a_wrong_verifier_redeems_nothing(server: Authlib, http: OAuthHttp) -> None:
    client = server.register(AuthMethod.NONE)
    code = await code_of(server, client)
    found = await ask(http, server, exchange(client, code, "w" * 64))
    assert found == TokenError(Meaning.GONE, "invalid_grant")


async def test_a_code_is_redeemed_once(server: Authlib, http: OAuthHttp) -> None:
    client = server.register(AuthMethod.BASIC)
    form = exchange(client, await code_of(server, client))
    assert isinstance(await ask(http, server, form), TokenAnswer)
    assert await ask(http, server, form) == TokenError(Meaning.GONE, "invalid_grant")


@pytest.mark.parametrize("method", [AuthMethod.BASIC, AuthMethod.POST])
async def test_a_wrong_secret_is_a_refusal(
    server: Authlib, http: OAuthHttp, method: AuthMethod
) -> None:
    client = server.register(method)
    form = exchange(client, await code_of(server, client))
    client.secret = "another"
    found = await ask(http, server, form)
    assert isinstance(found, TokenError)
    assert (found.meaning, found.code) == (Meaning.REFUSED, "invalid_client")
