"""What a bundled connector declares can be named in policies: one schema of all of them."""

from dataclasses import replace

import pytest

from tests.support.connector_cases import CASES, LOADED, Case
from tests.support.policies import make_tool
from wicketd.domain.catalogue import Connector, ServiceView
from wicketd.policy import engine
from wicketd.policy.schema import render


def view(connector: Connector, case: Case | None) -> ServiceView:
    listed = case.tools if case else []
    tiers = {name: each.tier for name, each in case.expected.items()} if case else {}
    tools = [replace(make_tool(t["name"], tiers[t["name"]]), definition=t) for t in listed]
    return ServiceView(connector.key, connector.namespace, tuple(tools), connector.targets)


SCHEMA = engine.parse_schema(
    render([view(each, CASES.get(each.key)) for each in LOADED.all()]).text
)


@pytest.mark.parametrize("key", CASES)
def test_a_policy_may_name_each_tool_with_each_of_its_targets(key: str) -> None:
    connector = LOADED.get(key)
    assert connector is not None
    for name, expected in CASES[key].expected.items():
        for call in expected.calls:
            resource = f'Wicket::Tool::"{key}__{name}"'
            if isinstance(call.target, str):
                kind, _, uid = call.target.partition("::")
                resource = f'{connector.namespace}::{kind}::"{uid}"'
            elif call.target is not None:
                continue
            head = f'action == {connector.namespace}::Action::"{name}", resource == {resource}'
            assert engine.validate(f"permit (principal, {head});", SCHEMA) == []


def test_a_policy_that_names_a_target_the_tool_never_has_is_reported() -> None:
    head = 'action == GitHubMCP::Action::"search_code", resource == GitHubMCP::Owner::"my-org"'
    assert engine.validate(f"permit (principal, {head});", SCHEMA)


def test_the_parents_of_a_target_may_be_named() -> None:
    head = 'action == GitHubMCP::Action::"delete_file", resource in GitHubMCP::Owner::"my-org"'
    assert engine.validate(f"forbid (principal, {head});", SCHEMA) == []
