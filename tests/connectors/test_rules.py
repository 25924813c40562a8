import msgspec
import pytest

from wicketd.connectors import rules
from wicketd.connectors.forms import ConnectorForm

FORM = {
    "key": "demo",
    "name": "Demo",
    "transport": {"kind": "streamable-http", "url": "https://mcp.example.com/"},
    "credential": {"kind": "none"},
}


def test_a_good_form_passes() -> None:
    rules.check(msgspec.convert(FORM, ConnectorForm))


def test_a_broken_rule_names_field_and_reason() -> None:
    form = msgspec.convert({**FORM, "key": "wicket"}, ConnectorForm)
    with pytest.raises(rules.BrokenRule) as caught:
        rules.check(form)
    assert caught.value.field == "key"
    assert caught.value.reason.startswith("must be")


@pytest.mark.parametrize(
    ("key", "namespace"), [("github", "GithubMCP"), ("a-b-c", "ABCMCP"), ("x1-y2", "X1Y2MCP")]
)
def test_the_default_namespace_is_the_key_in_camel_case(key: str, namespace: str) -> None:
    assert rules.default_namespace(key) == namespace
