"""A server of a client becomes a connector that holds no secret, or is refused by name."""

import msgspec
import pytest

from wicketd.connectors.client_files import ServerEntry
from wicketd.connectors.connector_file import parse_connector
from wicketd.connectors.connector_text import text_of
from wicketd.connectors.draft import Choices, Draft, completed, draft_of, key_of, name_of
from wicketd.connectors.forms import (
    HttpForm,
    OauthCredentialForm,
    OauthForm,
    StaticCredentialForm,
    StdioForm,
)
from wicketd.connectors.rules import BrokenRule
from wicketd.domain.catalogue import StdioTransport

ANYTHING = Choices(lambda program: program if program.startswith("/") else f"/usr/bin/{program}")


def drafted(entry: ServerEntry, choices: Choices = ANYTHING) -> Draft:
    draft = draft_of(entry, choices)
    written = text_of(draft.form, "a test")
    assert "canary" not in written + repr(draft)
    assert parse_connector(written.encode(), "test").key == draft.form.key
    return draft


def over_http(url: str = "https://x.example/mcp", **headers: str) -> ServerEntry:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ServerEntry("x", url, headers=named)


@pytest.mark.parametrize(
    ("header", "value", "shape"),
    [
        ("Authorization", "Bearer canary", "Bearer {token}"),
        ("Authorization", "token canary", "token {token}"),
        ("X_Api_Key", "canary", "{token}"),
        ("Authorization", "Bearer ${input:t}", "Bearer {token}"),
    ],
)
def test_the_one_header_is_a_credential_on_stdin(header: str, value: str, shape: str) -> None:
    draft = drafted(over_http(**{header: value}))
    name = header.replace("_", "-")
    assert draft.form.credential == StaticCredentialForm(header=name, format=shape)
    assert draft.secret == name


def test_the_one_secret_variable_is_a_credential_and_the_others_are_settings() -> None:
    entry = ServerEntry("x", command=("npx", "srv"), env={"API_KEY": "canary", "LOG": "debug"})
    draft = drafted(entry)
    assert draft.form.transport == StdioForm(command=("/usr/bin/npx", "srv"), env={"LOG": "debug"})
    assert draft.form.credential == StaticCredentialForm(env="API_KEY")


def test_a_secret_argument_moves_to_the_variable_that_was_named() -> None:
    entry = ServerEntry("x", command=("srv", "--api-key", "canary"))
    draft = drafted(entry, Choices(ANYTHING.find, secret_env="SRV_KEY"))
    assert draft.form.transport == StdioForm(command=("/usr/bin/srv",))
    assert draft.secret == "SRV_KEY"


def test_a_program_elsewhere_finds_its_interpreter_beside_itself() -> None:
    transport = drafted(ServerEntry("x", command=("/opt/node/bin/npx", "srv"))).form.transport
    assert isinstance(transport, StdioForm)
    assert transport.env == {"PATH": "/opt/node/bin:/usr/local/bin:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("url", "networks"),
    [
        ("http://localhost:3000/mcp", ("127.0.0.0/8", "::1/128")),
        ("http://192.168.1.5/mcp", ("192.168.1.5",)),
        ("https://[fd00::5]/mcp", ("fd00::5",)),
        ("https://x.example/mcp", ()),
    ],
)
def test_only_the_network_of_a_literal_address_is_opened(url: str, networks: object) -> None:
    transport = drafted(over_http(url)).form.transport
    assert isinstance(transport, HttpForm)
    assert transport.allow_networks == networks


def test_the_network_of_a_name_is_the_administrators_to_name() -> None:
    with pytest.raises(BrokenRule, match="--allow-network"):
        draft_of(over_http("http://nas.lan/mcp"), ANYTHING)
    choices = Choices(ANYTHING.find, networks=("192.168.0.0/16",))
    assert drafted(over_http("http://nas.lan/mcp"), choices).secret is None


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (ServerEntry("x", "https://x.example/sse", kind="sse"), "old SSE transport"),
        (over_http(Authorization="Bearer canary", X_Org="5"), "headers: are 2 .*sends one"),
        (over_http("https://me:canary@x.example/mcp"), "url: holds a secret"),
        (over_http("https://x.example/mcp?api_key=canary"), "url: holds a secret"),
        (over_http("https://x.example/ghp_canarycanary/mcp"), "url: holds a secret"),
        (over_http("https://${input:host}/mcp"), "write it out"),
        (over_http("ftp://x.example/mcp"), "http or https"),
        (over_http("http://x.example/mcp"), "use https"),
        (over_http(Cookie="canary"), "header name that the protocol does not use"),
        (ServerEntry("x", command=("s",), env={"A_KEY": "c", "B_TOKEN": "d"}), "holds 2 secrets"),
        (ServerEntry("x", command=("s",), env={"lower": "d"}), "no variable name"),
        (ServerEntry("x", command=("s",), cwd="relative"), "absolute path"),
        (ServerEntry("123", "https://x.example/mcp"), "gives no key"),
    ],
)
def test_what_a_connector_cannot_say_is_refused_by_name(entry: ServerEntry, said: str) -> None:
    with pytest.raises(BrokenRule, match=said) as refused:
        draft_of(entry, ANYTHING)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("My Server!", "my-server"),
        ("2nd_server", "nd-server"),
        ("a-very-long-name-of-a-server", "a-very-long-name-of"),
        ("wicket", "wicket-own"),
    ],
)
def test_a_key_is_made_of_the_name(name: str, key: str) -> None:
    assert key_of(name) == key


@pytest.mark.parametrize(
    ("target", "words", "name"),
    [
        ("https://mcp.notion.com/mcp", (), "notion"),
        ("https://api.githubcopilot.com/mcp/", (), "githubcopilot"),
        ("http://localhost:3000/mcp", (), "localhost"),
        ("uvx", ("mcp-server-git", "--repository", "/x"), "git"),
        ("npx", ("-y", "@modelcontextprotocol/server-github@1.2"), "github"),
        ("npx -y firecrawl-mcp", (), "firecrawl"),
        ("/opt/bin/mcp-server-time", (), "time"),
    ],
)
def test_a_name_is_made_of_address_or_package(
    target: str, words: tuple[str, ...], name: str
) -> None:
    assert name_of(target, words) == name


def test_a_completed_form_stands_under_its_key_and_namespace_and_signs_in() -> None:
    form = completed(drafted(over_http()).form, "my-x", None, OauthForm(issuer="https://i.example"))
    assert (form.key, form.namespace) == ("my-x", "MyXMCP")
    assert form.credential == OauthCredentialForm()


def test_the_text_of_a_form_reads_as_the_same_form() -> None:
    entry = ServerEntry("x", command=("/usr/bin/a b", 'a"b\\c{}'))
    form = msgspec.structs.replace(drafted(entry).form, name='n"\\ame')
    read = parse_connector(text_of(form, "one\nkey = 'evil'").encode(), "test")
    assert read.name == 'n"\\ame'
    assert read.transport == StdioTransport(command=("/usr/bin/a b", 'a"b\\c{}'))
