"""The text of a proposed connector: what is read from it is what was proposed, source by source."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from wicketd.connectors.connector_text import text_of
from wicketd.connectors.forms import (
    ConnectorForm,
    HttpForm,
    NoCredentialForm,
    OauthCredentialForm,
    OauthForm,
    ParentForm,
    StaticCredentialForm,
    StdioForm,
    TargetForm,
    ToolsForm,
)
from wicketd.domain.catalogue import TierSource


def form(**changed: object) -> ConnectorForm:
    given_form = {
        "key": "x",
        "name": "X",
        "transport": HttpForm(url="https://x.example/mcp"),
        "credential": NoCredentialForm(),
    }
    return ConnectorForm(**{**given_form, **changed})  # type: ignore[arg-type]  # one field a test


def test_every_part_of_a_proposal_is_written() -> None:
    text = text_of(
        form(
            namespace="XMCP",
            transport=HttpForm(
                url="http://10.0.0.1/mcp", allow_networks=("10.0.0.1",), insecure_http=True
            ),
            credential=OauthCredentialForm(),
            oauth=OauthForm(issuer="https://i.example", registration="dcr", scopes=("a", "b")),
            tools=ToolsForm(read=("look",), destructive=("wipe",)),
            target=(
                TargetForm(
                    entity="Repository",
                    tools=("look",),
                    id="{owner}/{repo}",
                    pattern="[a-z]+",
                    parents=(ParentForm(entity="Owner", id="{owner}"),),
                ),
            ),
        ),
        "Written by a test",
        [("look", TierSource.ANNOTATIONS), ("wipe", TierSource.DEFAULT)],
    )
    assert tomllib.loads(text) == {
        "key": "x",
        "name": "X",
        "namespace": "XMCP",
        "transport": {
            "kind": "streamable-http",
            "url": "http://10.0.0.1/mcp",
            "allow_networks": ["10.0.0.1"],
            "insecure_http": True,
        },
        "credential": {"kind": "oauth"},
        "oauth": {"issuer": "https://i.example", "registration": "dcr", "scopes": ["a", "b"]},
        "tools": {"read": ["look"], "destructive": ["wipe"]},
        "target": [
            {
                "entity": "Repository",
                "tools": ["look"],
                "id": "{owner}/{repo}",
                "pattern": "[a-z]+",
                "parents": [{"entity": "Owner", "id": "{owner}"}],
            }
        ],
    }
    assert '"look",  # the server says so' in text
    assert '"wipe",  # the server says nothing: check, then move it' in text


def test_a_static_credential_names_its_place_only() -> None:
    header = StaticCredentialForm(header="X-Key", format="{token}")
    read = tomllib.loads(text_of(form(credential=header), "t"))
    assert read["credential"] == {"kind": "static", "header": "X-Key", "format": "{token}"}
    variable = text_of(form(credential=StaticCredentialForm(env="KEY")), "t")
    assert tomllib.loads(variable)["credential"] == {"kind": "static", "env": "KEY"}


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), st.text())
def test_no_text_leaves_its_quotes_or_its_comment(words: list[str], origin: str) -> None:
    transport = StdioForm(command=tuple(words), env={words[0]: words[-1]}, cwd="/x")
    read = tomllib.loads(text_of(form(transport=transport), origin))
    assert read["transport"]["command"] == words
    assert read["transport"]["env"] == {words[0]: words[-1]}
    assert read.keys() == {"key", "name", "transport", "credential"}
