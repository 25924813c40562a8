"""docs/connectors.md tells of every field of a connector file and of no other."""

import re
from pathlib import Path

import msgspec
import pytest

from tests.support.connector_cases import CASES
from wicketd.config import Config
from wicketd.connectors import forms
from wicketd.connectors.catalogue import parse_connector
from wicketd.domain.catalogue import StdioTransport

PAGE = (Path(__file__).parents[2] / "docs" / "connectors.md").read_text(encoding="utf-8")
PARTS = dict(
    zip(*[iter(re.split(r"^## `?([^`\n]+)`?$", PAGE, flags=re.MULTILINE)[1:])] * 2, strict=True)
)


def fields(*structs: type[msgspec.Struct]) -> set[str]:
    return {one.encode_name for each in structs for one in msgspec.structs.fields(each)}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("Top level", fields(forms.ConnectorForm)),
        ("transport", {"kind"} | fields(forms.HttpForm, forms.StdioForm)),
        ("credential", {"kind"} | fields(forms.StaticCredentialForm)),
        ("oauth", fields(forms.OauthForm)),
        ("tools", fields(forms.ToolsForm)),
        ("target", fields(forms.TargetForm)),
    ],
)
def test_each_table_has_exactly_the_fields_of_its_form(part: str, expected: set[str]) -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PARTS[part], re.MULTILINE)) == expected


def test_the_limits_and_parents_name_their_fields() -> None:
    limits = next(line for line in PAGE.splitlines() if line.startswith("| `limits`"))
    assert all(f"`{name}`" in limits for name in fields(forms.LimitsForm))
    parents = next(line for line in PAGE.splitlines() if line.startswith("| `parents`"))
    assert all(f"`{name}`" in parents for name in fields(forms.ParentForm))


def test_the_examples_are_connector_files() -> None:
    examples = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    tracker, git = (parse_connector(each.encode(), "the page") for each in examples)
    assert tracker.namespace == "TrackerMCP"
    assert tracker.targets[0].parents == (("Team", "{team}"),)
    assert isinstance(git.transport, StdioTransport)
    assert git.transport.command[0] == "/opt/servers/bin/mcp-server-git"
    assert git.credential.env == "GIT_TOKEN"


def test_the_page_counts_the_bundled_tools_whose_names_are_too_long() -> None:
    longest = Config().mcp.tool_name_max
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+) \| (\d+) \|$", PARTS["Long names"], re.MULTILINE)
    lengths = {
        key: [len(f"{key}__{name}") for name in case.expected] for key, case in CASES.items()
    }
    beyond = {key: [each for each in found if each > longest] for key, found in lengths.items()}
    assert f"{longest} unless set" in PARTS["Long names"]
    assert rows == [(key, str(len(b)), str(max(b))) for key, b in sorted(beyond.items()) if b]
