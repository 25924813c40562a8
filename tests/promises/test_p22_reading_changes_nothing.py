"""P22: read permission changes nothing on any endpoint."""

import hashlib
import sqlite3
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from tests.support.gate import AGENT, Gate, open_gate
from wicketd.api.endpoints import ENDPOINTS, Endpoint

pytestmark = pytest.mark.asyncio(loop_scope="module")
PARTS = {
    "agent": AGENT, "service": "desk", "member": "ann", "policy": "work", "tool": "echo",
    "key": "desk", "key_id": "AAAAAAAA", "version": "1", "revision": "1", "session": "x",
    "ref": "00000000", "invite": "x", "account": "ann@example.test",
    "replay": "none",
}  # fmt: skip
BODIES = (b"{}", b'{"enabled":false,"status":"disabled","reason":"x","text":"","mode":"shadow"}')
CLOCK = "WHERE key <> 'clock_high_water'"
OUTSIDE = frozenset({"audit", "audit_policies", "audit_args", "audit_facets", "audit_counts"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("p")) as gate:
        await gate.member("ann")
        yield gate


def state_of(gate: Gate) -> dict[str, str]:
    """A hash of every table but the audit's and of what the daemon counts by itself."""
    path = gate.daemon.directory / "wicket.db"
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        names = [name for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'")]  # fmt: skip
        return {
            name: hashlib.sha256(repr(sorted(map(repr, db.execute(
                f'SELECT * FROM "{name}" {CLOCK if name == "meta" else ""}')  # noqa: S608
            ))).encode()).hexdigest()
            for name in names
            if name not in OUTSIDE and not name.startswith(("audit", "key_usage", "sqlite"))
        }  # fmt: skip
    finally:
        db.close()


def requests(endpoint: Endpoint[object, object]) -> list[bytes]:
    """The endpoint asked for with nothing, and with something to change."""
    path = endpoint.path
    for name, value in PARTS.items():
        path = path.replace("{" + name + "}", value)
    assert "{" not in path, endpoint.path
    return [
        (
            f"{endpoint.method} {path} HTTP/1.1\r\nHost: wicket-admin\r\nConnection: close\r\n"
            'If-Match: "1"\r\nContent-Type: application/json\r\n'
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for body in BODIES
    ]


WRITES = [endpoint for endpoint in ENDPOINTS if endpoint.permission == "write"]
READS = [
    endpoint for endpoint in ENDPOINTS if endpoint.permission == "read" and endpoint.form == "json"
]


@pytest.mark.requirement("P22")
async def test_every_write_is_403_for_a_reader_and_leaves_the_database_as_it_was(
    gate: Gate,
) -> None:
    before = state_of(gate)
    for endpoint in WRITES:
        for ask in requests(endpoint):
            answer = await gate.ask_raw(ask, read_only=True)
            assert answer.status == 403, (endpoint.name, answer)
            assert msgspec.json.decode(answer.body)["code"] == "forbidden"
    assert len(WRITES) > 20
    assert state_of(gate) == before


@pytest.mark.requirement("P22")
async def test_no_read_of_a_reader_changes_anything(gate: Gate) -> None:
    before = state_of(gate)
    for endpoint in READS:
        for ask in requests(endpoint):
            answer = await gate.ask_raw(ask, read_only=True)
            assert answer.status < 500, (endpoint.name, answer)
    assert len(READS) > 15
    assert state_of(gate) == before


@pytest.mark.requirement("P22")
async def test_a_method_that_is_not_in_the_table_does_nothing_either(gate: Gate) -> None:
    before = state_of(gate)
    for method in ("PUT", "PATCH", "DELETE", "POST"):
        ask = f"{method} /v1/status HTTP/1.1\r\nHost: wicket-admin\r\nConnection: close\r\n\r\n"
        answer = await gate.ask_raw(ask.encode(), read_only=True)
        assert answer.status in (403, 404, 405)
    assert state_of(gate) == before
