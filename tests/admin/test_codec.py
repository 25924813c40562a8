"""Requests between HTTP and structs: one place for each value, nothing guessed."""

import pytest

from wicketd.admin.codec import etag_of, expected_revision, request_of
from wicketd.api import endpoints, policy_endpoints
from wicketd.api.types.agents import AgentCreate, AgentList
from wicketd.api.types.policies import VersionRef
from wicketd.api.types.sessions import SessionList
from wicketd.domain.errors import BadRequest, RevisionRequired


def test_a_query_becomes_typed_fields() -> None:
    asked = request_of(endpoints.SESSION_LIST, {"agent": "a%2Fb"}, b"limit=7&active=true", b"")

    assert asked == SessionList(agent="a/b", limit=7, active=True)


def test_a_body_becomes_fields_beside_the_path() -> None:
    asked = request_of(endpoints.AGENT_CREATE, {}, b"", b'{"key":"a","name":"A"}')

    assert asked == AgentCreate(key="a", name="A")


def test_a_number_in_the_path_is_a_number() -> None:
    path = {"agent": "a", "policy": "p", "version": "3"}

    assert request_of(policy_endpoints.POLICY_VERSION, path, b"", b"") == VersionRef(
        agent="a", policy="p", version=3
    )


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (b"limit=0", b""),
        (b"limit=501", b""),
        (b"limit=x", b""),
        (b"limit=1&limit=2", b""),
        (b"unknown=1", b""),
        (b"status=odd", b""),
        (b"%ff=1", b""),
        (b"", b"{}"),
    ],
)
def test_a_query_that_does_not_fit_is_refused(query: bytes, body: bytes) -> None:
    with pytest.raises(BadRequest, match="does not fit GET /v1/agents"):
        request_of(endpoints.AGENT_LIST, {}, query, body)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (b"", b"[]"),
        (b"", b"{"),
        (b"", b'{"name":"A","agent":"other"}'),
        (b"", b'{"nam":"A"}'),
        (b"", b'{"name":7}'),
        (b"", b'{"name":""}'),
        (b"name=A", b"{}"),
        (b"", b'{"name":"\xff"}'),
    ],
)
def test_a_body_that_does_not_fit_is_refused(query: bytes, body: bytes) -> None:
    with pytest.raises(BadRequest, match="does not fit PATCH"):
        request_of(endpoints.AGENT_UPDATE, {"agent": "a"}, query, body)


def test_a_path_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(BadRequest):
        request_of(endpoints.AGENT_SHOW, {"agent": "%ff"}, b"", b"")


def test_an_absent_filter_keeps_its_default() -> None:
    assert request_of(endpoints.AGENT_LIST, {}, b"", b"") == AgentList()


def test_a_write_needs_the_revision_it_is_based_on() -> None:
    assert expected_revision(endpoints.AGENT_UPDATE, '"12"') == 12
    with pytest.raises(RevisionRequired, match="If-Match"):
        expected_revision(endpoints.AGENT_UPDATE, None)


@pytest.mark.parametrize("header", ["12", "*", 'W/"1"', '"1","2"', '"01"', '"-1"', '"\u0661"'])
def test_a_strange_if_match_is_refused(header: str) -> None:
    with pytest.raises(BadRequest, match="quoted number"):
        expected_revision(endpoints.AGENT_UPDATE, header)


def test_the_kill_switch_needs_no_revision() -> None:
    assert expected_revision(endpoints.AGENT_STATUS, '"3"') is None


def test_an_answer_without_revision_has_no_tag() -> None:
    assert etag_of(endpoints.STATUS, object()) is None
