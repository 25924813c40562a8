"""Which row a path means."""

import pytest

from wicketd.admin.routing import Router
from wicketd.api.endpoints import ENDPOINTS
from wicketd.domain.errors import NotFound

ROUTER = Router(ENDPOINTS)


@pytest.mark.parametrize(
    ("method", "path", "name", "values"),
    [
        ("GET", b"/v1/agents", "agent.list", {}),
        ("GET", b"/v1/agents/a", "agent.show", {"agent": "a"}),
        ("GET", b"/v1/audit/facets", "audit.facets", {}),
        ("GET", b"/v1/audit/4D2PF2DB", "audit.show", {"ref": "4D2PF2DB"}),
        ("POST", b"/v1/agents/a/policies/check", "policy.check", {"agent": "a"}),
        ("PUT", b"/v1/agents/a/policies/check", "policy.save", {"agent": "a", "policy": "check"}),
        ("GET", b"/v1/agents/x%2Fpolicies", "agent.show", {"agent": "x%2Fpolicies"}),
    ],
)
def test_a_path_finds_its_row(method: str, path: bytes, name: str, values: dict[str, str]) -> None:
    found = ROUTER.find(method, path)

    assert (found.endpoint.name, found.values) == (name, values)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", b"/"),
        ("GET", b"/v1/agents/"),
        ("GET", b"/v1/agents//policies"),
        ("HEAD", b"/v1/agents"),
        ("POST", b"/v1/status"),
        ("GET", b"/v1/statuses"),
    ],
)
def test_anything_else_is_not_found(method: str, path: bytes) -> None:
    with pytest.raises(NotFound):
        ROUTER.find(method, path)


def test_each_row_finds_itself() -> None:
    for row in ENDPOINTS:
        path = row.path.replace("{", "").replace("}", "").encode()

        assert ROUTER.find(row.method, path).endpoint is row
