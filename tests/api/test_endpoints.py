"""The table itself: rows that could not work are found here."""

import re
from typing import Any

import msgspec
import pytest

from wicketd.api.endpoints import ENDPOINTS, Endpoint
from wicketd.api.types import agents, members, policies, services
from wicketd.domain.agents import AgentStatus, SessionScope, Trust
from wicketd.domain.audit import KINDS
from wicketd.domain.catalogue import Tier
from wicketd.domain.members import MemberState, Role
from wicketd.domain.policies import Mode

ROWS = pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.name)


def test_names_and_routes_are_unique() -> None:
    routes = [(row.method, re.sub(r"\{\w+\}", "{}", row.path)) for row in ENDPOINTS]

    assert len({row.name for row in ENDPOINTS}) == len(ENDPOINTS)
    assert len(set(routes)) == len(routes)


@ROWS
def test_each_path_parameter_is_a_field_of_the_request(row: Endpoint[Any, Any]) -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(row.request)}

    assert set(re.findall(r"\{(\w+)\}", row.path)) <= fields


@ROWS
def test_requests_are_closed_and_answers_are_open(row: Endpoint[Any, Any]) -> None:
    response = getattr(row.response, "__origin__", row.response)

    assert row.request.__struct_config__.forbid_unknown_fields
    assert row.request.__struct_config__.frozen
    assert not response.__struct_config__.forbid_unknown_fields
    assert response.__struct_config__.frozen


@ROWS
def test_what_is_tagged_is_in_the_answer(row: Endpoint[Any, Any]) -> None:
    if row.etag is not None:
        assert row.etag in {field.name for field in msgspec.structs.fields(row.response)}


@ROWS
def test_what_changes_something_needs_write_and_names_its_audit(row: Endpoint[Any, Any]) -> None:
    assert set(row.audit) <= KINDS
    if row.permission == "write":
        assert row.method != "GET"
        assert row.audit
    if row.match is not None:
        assert row.permission == "write"


@pytest.mark.parametrize(
    ("wire", "domain"),
    [
        (agents.AgentStatus, AgentStatus),
        (agents.Trust, Trust),
        (agents.SessionScope, SessionScope),
        (members.Role, Role),
        (members.MemberState, MemberState),
        (policies.Mode, Mode),
        (services.Tier, Tier),
    ],
)
def test_words_on_the_wire_are_those_of_the_domain(wire: Any, domain: Any) -> None:
    assert set(wire.__args__) == {word.value for word in domain}
