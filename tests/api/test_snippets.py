"""Snippets for clients are what their clients parse, and hold no key."""

import json
import shlex
import tomllib

import pytest

from wicketd.api.snippets import CLIENTS, PLACES, snippets

URL = "https://wicket.example/mcp"


def test_each_client_has_a_snippet_and_a_place() -> None:
    assert tuple(snippets(URL)) == CLIENTS == tuple(PLACES)


@pytest.mark.parametrize("client", ["claude-code-json", "vscode", "cursor", "claude-desktop"])
def test_json_snippets_are_json_and_name_the_url(client: str) -> None:
    text = snippets(URL)[client]

    assert isinstance(json.loads(text), dict)
    assert f'"{URL}"' in text


def test_the_toml_snippet_is_toml() -> None:
    read = tomllib.loads(snippets(URL)["codex-toml"])

    assert read["mcp_servers"]["wicket"] == {"url": URL, "bearer_token_env_var": "WICKET_KEY"}


def test_shell_snippets_are_one_command_each() -> None:
    texts = snippets(URL)

    assert shlex.split(texts["claude-code"])[-1] == "Authorization: Bearer $WICKET_KEY"
    assert shlex.split(texts["codex"])[:3] == ["codex", "mcp", "add"]


def test_mcp_remote_may_use_plain_http_only_where_the_url_is() -> None:
    plain = json.loads(snippets("http://127.0.0.1:8650/mcp")["claude-desktop"])
    arguments = plain["mcpServers"]["wicket"]["args"]

    assert "--allow-http" in arguments
    assert "--allow-http" not in snippets(URL)["claude-desktop"]
    assert "Authorization:${AUTH}" in arguments


def test_no_snippet_holds_a_key() -> None:
    assert not any("wkt_" in text for text in snippets(URL).values())
