"""The configurations of other clients are read whole; what is wrong in one is named."""

import pytest

from wicketd.connectors.client_files import ServerEntry, parse
from wicketd.domain.errors import ConfigInvalid


def only(text: str, name: str = "claude.json") -> ServerEntry:
    [entry] = parse(text, name).servers
    return entry


def test_claude_and_cursor_keep_servers_under_one_name() -> None:
    text = """{ // mine
      "mcpServers": {
        "git": {"command": "uvx", "args": ["mcp-server-git", "-r", "/a b"],
                "env": {"N": 1, "B": true}, "cwd": "/srv", "timeout": 5, "disabled": false,},
        "web": {"type": "http", "url": "https://x.example/mcp", "headers": {"X-Key": "k"}},
      }
    }"""
    found = parse(text, "claude.json")
    assert found.client == "claude-code-json"
    assert found.servers == (
        ServerEntry(
            "git",
            command=("uvx", "mcp-server-git", "-r", "/a b"),
            env={"N": "1", "B": "true"},
            cwd="/srv",
            left_out=("disabled", "timeout"),
        ),
        ServerEntry("web", "https://x.example/mcp", kind="http", headers={"X-Key": "k"}),
    )
    assert parse(text, "/home/a/.cursor/mcp.json").client == "cursor"
    assert parse(text, "claude_desktop_config.json").client == "claude-desktop"


@pytest.mark.parametrize(
    "shape", ['{{"servers": {0}}}', '{{"mcp": {{"inputs": [], "servers": {0}}}}}']
)
def test_vs_code_keeps_them_under_servers_and_in_its_settings(shape: str) -> None:
    servers = '{"gh": {"type": "stdio", "command": "gh-mcp", "env": {"T": "${input:t}"}}}'
    found = parse(shape.format(servers), "mcp.json")
    assert found.client == "vscode"
    assert found.servers == (
        ServerEntry("gh", command=("gh-mcp",), kind="stdio", env={"T": "${input:t}"}),
    )


def test_codex_keeps_them_in_toml_and_its_bearer_in_a_variable() -> None:
    text = """
    [mcp_servers.one]
    url = "https://x.example/mcp"
    bearer_token_env_var = "ONE_TOKEN"
    startup_timeout_sec = 3
    [mcp_servers.two]
    command = "two"
    """
    one, two = parse(text, "config.toml").servers
    assert one.headers == {"Authorization": "Bearer ${ONE_TOKEN}"}
    assert one.left_out == ("startup_timeout_sec",)
    assert two == ServerEntry("two", command=("two",))


def test_the_bridge_to_http_is_taken_away() -> None:
    entry = only(
        '{"mcpServers": {"x": {"command": "npx", "args": ["-y", "mcp-remote@0.1", '
        '"https://x.example/mcp", "--allow-http", "--header", "Authorization:${AUTH}"], '
        '"env": {"AUTH": "Bearer s3cret"}}}}'
    )
    assert (entry.url, entry.command) == ("https://x.example/mcp", ())
    assert entry.headers == {"Authorization": "Bearer s3cret"}
    assert entry.left_out == ("--allow-http",)


def test_a_secret_does_not_stand_in_what_an_entry_prints() -> None:
    entry = only('{"mcpServers": {"x": {"command": "c", "env": {"TOKEN": "canary"}}}}')
    assert "canary" not in repr(entry)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("", "a.json", "is no JSON"),
        ("[1]", "a.json", "no table of servers"),
        ("{}", "a.json", "names no server"),
        ('{"mcpServers": {}}', "a.json", "names no server"),
        ('{"mcpServers": []}', "a.json", "must be a table"),
        ('{"mcpServers": {"x": 5}}', "a.json", "x: must be a table"),
        ('{"mcpServers": {"x": {}}}', "a.json", "x: needs a command or a url"),
        ('{"mcpServers": {"x": {"url": "u", "command": "c"}}}', "a.json", "and not both"),
        ('{"mcpServers": {"x": {"command": 5}}}', "a.json", "command must be a text"),
        ('{"mcpServers": {"x": {"command": "c", "args": "a b"}}}', "a.json", "a list of texts"),
        ('{"mcpServers": {"x": {"command": "c", "env": [1]}}}', "a.json", "env: must be a table"),
        ('{"mcpServers": {"x": {"command": "c", "env": {"A": []}}}}', "a.json", "must hold texts"),
        ("mcp_servers = [", "a.toml", "is no TOML"),
    ],
)
def test_a_wrong_shape_is_named(text: str, name: str, said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        parse(text, name)
