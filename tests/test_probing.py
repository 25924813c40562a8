"""A proposed connector's server is asked by the real client, and every answer has a sentence."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.oauth_server import Mode, serve_oauth
from tests.support.protected import serve_protected
from tests.support.sdk_upstream import serve_sdk
from tests.support.upstreams import serve_asgi
from wicketd.connectors.catalogue import parse_connector
from wicketd.connectors.connector_text import text_of
from wicketd.connectors.forms import (
    ConnectorForm,
    CredentialForm,
    HttpForm,
    NoCredentialForm,
    OauthForm,
    StaticCredentialForm,
    StdioForm,
    TransportForm,
)
from wicketd.domain.catalogue import Connector
from wicketd.domain.errors import WicketError
from wicketd.probing import Survey, survey

PIPED = str(Path(__file__).parent / "support" / "piped_server.py")


def connector(transport: TransportForm, credential: CredentialForm | None = None) -> Connector:
    form = ConnectorForm(
        key="x", name="X", transport=transport, credential=credential or NoCredentialForm()
    )
    return parse_connector(text_of(form, "a test").encode(), "test")


def at(url: str, credential: CredentialForm | None = None) -> Connector:
    transport = HttpForm(url=url, allow_networks=("127.0.0.0/8",), insecure_http=True)
    return connector(transport, credential)


def piped(*words: str, credential: CredentialForm | None = None) -> Connector:
    return connector(StdioForm(command=(sys.executable, PIPED, *words)), credential)


def names(found: Survey) -> set[object]:
    return {tool["name"] for tool in found.tools}


async def test_a_server_over_http_lists_its_tools() -> None:
    async with serve_sdk(is_legacy=False) as url:
        assert names(await asyncio.to_thread(survey, at(url))) == {"echo", "count"}


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_a_command_lists_its_tools_and_has_ended(era: str) -> None:
    assert "echo" in names(survey(piped(era)))


def test_a_token_for_this_once_reaches_the_command() -> None:
    found = survey(piped("modern", credential=StaticCredentialForm(env="TOKEN")), "one-off")
    assert "echo" in names(found)


async def test_a_server_that_wants_a_sign_in_names_its_provider() -> None:
    async with serve_oauth(Mode.STRICT) as server, serve_protected(server) as upstream:
        found = await asyncio.to_thread(survey, at(upstream.url))
    assert found == Survey((), OauthForm(registration="dcr"))


async def test_a_refusal_without_a_provider_asks_for_the_header() -> None:
    async with serve_oauth(Mode.STRICT) as server, serve_protected(server) as upstream:
        upstream.challenge, upstream.resource = "Bearer", None
        with pytest.raises(WicketError, match="names no provider") as refused:
            await asyncio.to_thread(survey, at(upstream.url))
        assert "--header Authorization" in str(refused.value.hint)
        key = StaticCredentialForm(header="Authorization", format="Bearer {token}")
        with pytest.raises(WicketError, match="refuses this token"):
            await asyncio.to_thread(survey, at(upstream.url, key), "wrong")


def test_a_server_that_hangs_is_given_up_with_a_way_on() -> None:
    with pytest.raises(WicketError, match=r"has not answered within 0\.5 s") as refused:
        survey(piped("legacy", "mute"), deadline_s=0.5)
    assert "--no-probe" in str(refused.value.hint)


def test_a_command_that_dies_is_to_be_run_by_hand() -> None:
    with pytest.raises(WicketError, match="Nothing was written") as refused:
        survey(piped("legacy", "dies"))
    assert "by hand" in str(refused.value.hint)


async def test_a_web_page_is_no_server() -> None:
    async def page(_scope: object, _receive: object, send: object) -> None:
        assert callable(send)
        headers = [(b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"<html>hello</html>"})

    async with serve_asgi(page) as url:
        with pytest.raises(WicketError, match="does not answer as an MCP server"):
            await asyncio.to_thread(survey, at(url))


def test_an_address_where_nobody_listens_may_be_in_a_private_network() -> None:
    unopened = connector(HttpForm(url="https://127.0.0.1:9/mcp"))
    with pytest.raises(WicketError, match="Nothing was written") as refused:
        survey(unopened)
    assert "--allow-network" in str(refused.value.hint)
