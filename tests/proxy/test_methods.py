"""The table of methods against the policy coverage of the protocol specification, section 6."""

import pytest

from wicketd.domain.calls import Era
from wicketd.proxy.methods import METHODS, Direction, PolicyAction

COVERAGE = {
    "tools/call": PolicyAction.TOOL,
    "prompts/get": PolicyAction.GET_PROMPT,
    "resources/read": PolicyAction.READ_RESOURCE,
    "resources/subscribe": PolicyAction.READ_RESOURCE,
    "subscriptions/listen": PolicyAction.READ_RESOURCE,
    "completion/complete": PolicyAction.BY_REFERENCE,
}
FILTERED = {"tools/list", "prompts/list", "resources/list", "resources/templates/list"}
NO_UPSTREAM_DATA = {
    "initialize",
    "server/discover",
    "ping",
    "logging/setLevel",
    "resources/unsubscribe",
}


@pytest.mark.requirement("L7", "M8")
def test_every_method_a_client_may_ask_for_has_its_row_of_policy_coverage() -> None:
    asked = {
        name: row
        for name, row in METHODS.items()
        if row.direction is not Direction.TO_CLIENT and not row.is_notification
    }
    assert set(asked) == set(COVERAGE) | FILTERED | NO_UPSTREAM_DATA
    for name, row in asked.items():
        assert row.action is COVERAGE.get(name)
        assert row.is_checked is (name in COVERAGE)
        assert row.is_filtered is (name in FILTERED)


@pytest.mark.requirement("M13", "N5")
def test_what_only_servers_say_is_served_to_no_client() -> None:
    for row in METHODS.values():
        if row.direction is Direction.TO_CLIENT:
            assert not row.is_served(Era.LEGACY)
            assert not row.is_served(Era.MODERN)


def test_each_row_stands_under_its_own_name() -> None:
    assert all(name == row.name for name, row in METHODS.items())
    assert not any(row.is_checked and row.is_filtered for row in METHODS.values())


@pytest.mark.requirement("M6")
def test_three_methods_mirror_a_param_in_the_name_header() -> None:
    mirrored = {name: row.name_param for name, row in METHODS.items() if row.name_param}
    assert mirrored == {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
