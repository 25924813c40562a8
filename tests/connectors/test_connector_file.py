import re
from typing import Any

import pytest

from wicketd.connectors.connector_file import parse_connector
from wicketd.domain.catalogue import CredentialKind, HttpTransport, Limits
from wicketd.domain.errors import ConfigInvalid

HEAD = {
    "key": '"demo"',
    "name": '"Demo"',
    "transport": '{ kind = "streamable-http", url = "https://mcp.example.com/mcp" }',
    "credential": '{ kind = "none" }',
}
TARGET = {"entity": '"E"', "tools": '["*"]', "id": '"{a}/{b}"', "pattern": '"[a-z]+"'}
STDIO = '{ kind = "stdio", command = ["/bin/x"] }'


def text(target: dict[str, str] | None = None, **changes: str) -> bytes:
    fields = {**HEAD, **changes}
    lines = [f"{name} = {value}" for name, value in fields.items() if value]
    if target is not None:
        lines += ["[[target]]", *(f"{name} = {value}" for name, value in target.items() if value)]
    return "\n".join(lines).encode()


def http(**fields: str) -> str:
    values = {"kind": '"streamable-http"', "url": '"https://mcp.example.com/"', **fields}
    return "{ " + ", ".join(f"{name} = {value}" for name, value in values.items()) + " }"


def test_the_least_file_has_every_default() -> None:
    connector = parse_connector(text(), "f")
    assert connector.namespace == "DemoMCP"
    assert connector.transport == HttpTransport("https://mcp.example.com/mcp")
    assert connector.credential.kind is CredentialKind.NONE
    assert connector.limits == Limits()
    assert connector.tools.rest == "annotations"
    assert connector.relay == ("elicitation.form", "logging", "progress")
    assert connector.forward_meta == ()
    assert connector.instructions is False


def test_every_field_of_the_specification_is_read() -> None:
    data = text(
        {**TARGET, "except": '["x"]', "fold": '"lower"', "optional": "true",
         "attrs": '{ a = "{a}" }', "parents": '[{ entity = "P", id = "{a}" }]'},
        namespace='"DemoX"',
        credential='{ kind = "oauth" }',
        oauth='{ issuer = "https://a.example", registration = "dcr", scopes = ["s"],'
        ' token_endpoint = "https://a.example/t", pkce = "S256" }',
        tools='{ read = ["r"], write = ["w"], destructive = ["d"], rest = "read" }',
        limits="{ timeout_s = 600, max_result_bytes = 4096 }",
        audit_show='["owner"]',
        revoke_url='"https://a.example/revoke"',
        relay='["sampling"]',
        forward_meta='["x"]',
        instructions="true",
    )  # fmt: skip
    connector = parse_connector(data, "f")
    assert connector.credential.header == "Authorization"
    assert connector.credential.format == "Bearer {token}"
    assert connector.oauth == {
        "issuer": "https://a.example",
        "registration": "dcr",
        "scopes": ("s",),
        "token_endpoint": "https://a.example/t",
        "pkce": "S256",
    }
    assert connector.limits == Limits(600, 4096)
    assert connector.targets[0].parents == (("P", "{a}"),)
    assert connector.targets[0].excluded == ("x",)
    assert connector.relay == ("sampling",)


def test_a_key_with_hyphens_becomes_camel_case() -> None:
    assert parse_connector(text(key='"my-own-tool"'), "f").namespace == "MyOwnToolMCP"


STATIC = '{ kind = "static", header = "X-Key" }'
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("key", {"key": '"Demo"'}),
    ("key", {"key": '"wicket"'}),
    ("key", {"key": '"a_b"'}),
    ("key", {"key": '"a-"'}),
    ("key", {"key": f'"{"a" * 21}"'}),
    ("key", {"key": "5"}),
    ("name", {"name": '""'}),
    ("name", {"name": '"a\\nb"'}),
    ("name", {"name": '" a"'}),
    ("namespace", {"namespace": '"Wicket"'}),
    ("namespace", {"namespace": '"a-b"'}),
    ("namespace", {"namespace": '"if"'}),
    ("namespace", {"namespace": '"__cedar"'}),
    ("namespace", {"namespace": '"WicketMCP"'}),
    ("transport", {"transport": '{ kind = "sse", url = "https://x" }'}),
    ("transport", {"transport": '{ kind = "streamable-http" }'}),
    ("transport", {"transport": http(command='["/bin/sh"]')}),
    ("transport.url", {"transport": http(url='"http://mcp.example.com/"')}),
    ("transport.url", {"transport": http(url='"http://x/"', insecure_http="true")}),
    ("transport.url", {"transport": http(url='"http://x/"', allow_networks='["10.0.0.0/8"]')}),
    ("transport.url", {"transport": http(url='"https://u:p@x/"')}),
    ("transport.url", {"transport": http(url='"https://x/#f"')}),
    ("transport.url", {"transport": http(url='"ftp://x/"')}),
    ("transport.url", {"transport": http(url='"https://x:99999/"')}),
    ("transport.url", {"transport": http(url='"https:///x"')}),
    ("transport.url", {"transport": http(url='"https://x/ y"')}),
    ("transport.allow_networks", {"transport": http(allow_networks='["10.0.0.1/8"]')}),
    ("transport.allow_networks", {"transport": http(allow_networks='["x"]')}),
    ("transport.command", {"transport": '{ kind = "stdio" }'}),
    ("transport.command", {"transport": '{ kind = "stdio", command = ["sh"] }'}),
    (
        "transport.command",
        {"transport": '{ kind = "stdio", command = ["/a"], socket = "/run/s" }'},
    ),
    ("transport.socket", {"transport": '{ kind = "stdio", socket = "run/s" }'}),
    ("transport.cwd", {"transport": '{ kind = "stdio", command = ["/a"], cwd = "x" }'}),
    ("transport.env", {"transport": '{ kind = "stdio", command = ["/a"], env = { "a b" = "" } }'}),
    (
        "transport.scope",
        {
            "transport": '{ kind = "stdio", command = ["/a"], scope = "shared" }',
            "credential": '{ kind = "static", env = "T" }',
        },
    ),
    ("credential", {"credential": '{ kind = "magic" }'}),
    ("credential.kind", {"transport": STDIO, "credential": '{ kind = "oauth" }'}),
    ("credential.env", {"transport": STDIO, "credential": STATIC}),
    ("credential.header", {"credential": '{ kind = "static" }'}),
    ("credential.header", {"credential": '{ kind = "static", env = "T" }'}),
    ("credential.header", {"credential": '{ kind = "static", header = "Host" }'}),
    ("credential.header", {"credential": '{ kind = "static", header = "Mcp-Session-Id" }'}),
    ("credential.header", {"credential": '{ kind = "static", header = "a b" }'}),
    ("credential.format", {"credential": '{ kind = "static", header = "X", format = "Bearer" }'}),
    (
        "credential.format",
        {"credential": '{ kind = "static", header = "X", format = "{token}\\r\\nY: z" }'},
    ),
    (
        "credential.hint_url",
        {"credential": '{ kind = "static", header = "X", hint_url = "http://x" }'},
    ),
    ("oauth", {"oauth": '{ issuer = "https://x" }'}),
    (
        "oauth.issuer",
        {"credential": '{ kind = "oauth" }', "oauth": '{ issuer = "http://x" }'},
    ),
    ("oauth.pkce", {"credential": '{ kind = "oauth" }', "oauth": '{ pkce = "S256" }'}),
    (
        "oauth.pkce",
        {"credential": '{ kind = "oauth" }', "oauth": '{ token_endpoint = "https://x/t" }'},
    ),
    ("oauth.scopes", {"credential": '{ kind = "oauth" }', "oauth": '{ scopes = ["a b"] }'}),
    ("oauth.registration", {"credential": '{ kind = "oauth" }', "oauth": '{registration = "x"}'}),
    ("tools.write", {"tools": '{ read = ["a"], write = ["a"] }'}),
    ("tools.read", {"tools": '{ read = ["a b"] }'}),
    ("tools.rest", {"tools": '{ rest = "write" }'}),
    ("tools", {"tools": '{ admin = ["a"] }'}),
    ("limits.timeout_s", {"limits": "{ timeout_s = 601 }"}),
    ("limits.timeout_s", {"limits": "{ timeout_s = 0 }"}),
    ("limits.timeout_s", {"limits": '{ timeout_s = "30" }'}),
    ("limits.max_result_bytes", {"limits": "{ max_result_bytes = 1 }"}),
    ("revoke_url", {"revoke_url": '"http://x"'}),
    ("relay", {"relay": '["everything"]'}),
    ("instructions", {"instructions": "1"}),
    ("unknown", {"unknown": "1"}),
    ("target[0].entity", {"target": {**TARGET, "entity": '"Tool"'}}),
    ("target[0].tools", {"target": {**TARGET, "tools": "[]"}}),
    ("target[0].tools", {"target": {**TARGET, "tools": '["*", "a"]'}}),
    ("target[0].except", {"target": {**TARGET, "tools": '["a"]', "except": '["b"]'}}),
    ("target[0].id", {"target": {**TARGET, "id": '"fixed"'}}),
    ("target[0].id", {"target": {**TARGET, "id": '"{a}{b}"'}}),
    ("target[0].id", {"target": {**TARGET, "id": '"{a"'}}),
    ("target[0].pattern", {"target": {**TARGET, "pattern": '".*"'}}),
    ("target[0].pattern", {"target": {**TARGET, "pattern": '"("'}}),
    ("target[0].pattern", {"target": {**TARGET, "pattern": '""'}}),
    ("target[0].attrs", {"target": {**TARGET, "attrs": '{ "a-b" = "{a}" }'}}),
    ("target[0].parents", {"target": {**TARGET, "parents": '[{ entity = "a-b", id = "{a}" }]'}}),
    ("target[0]", {"target": {**TARGET, "pattern": ""}}),
    ("target[0].fold", {"target": {**TARGET, "fold": '"upper"'}}),
]


@pytest.mark.parametrize(("field", "changes"), WRONG)
def test_a_wrong_field_refuses_the_file_and_is_named(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        parse_connector(text(**changes), "/etc/wicket/connectors.d/x.toml")
    message = caught.value.message
    assert message.startswith("Connector file /etc/wicket/connectors.d/x.toml: ")
    assert field in message
    assert caught.value.hint is not None


def test_two_rules_for_one_tool_are_refused() -> None:
    one = {**TARGET, "tools": '["a"]'}
    rule = text(one).decode().partition("[[target]]")[2]
    with pytest.raises(ConfigInvalid, match=re.escape("target[1].tools")):
        parse_connector(text(one) + b"\n[[target]]" + rule.encode(), "f")


@pytest.mark.parametrize("data", [b"\xff", b"key = ", b"", b"[[", b"\x00"])
def test_what_is_no_toml_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigInvalid, match="Connector file f"):
        parse_connector(data, "f")


@pytest.mark.parametrize("field", list(HEAD))
def test_a_missing_field_is_named(field: str) -> None:
    changes: dict[str, Any] = {field: ""}
    with pytest.raises(ConfigInvalid, match=field):
        parse_connector(text(**changes), "f")
