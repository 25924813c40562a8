"""Every row of the table on real use cases: it works, is audited as stated, keeps readers out.

The requests are in `tests.support.admin_cases`.
"""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.admin_cases import CASES, prepared
from tests.support.administered import Administered, administered
from tests.support.entering import house_of
from tests.support.state import ADMIN
from wicketd.api.client import AdminClient, Refused
from wicketd.api.endpoints import ENDPOINTS, MEMBER_LIST, Endpoint
from wicketd.api.policy_endpoints import POLICY_FORMAT
from wicketd.api.types.accounts import SessionRef
from wicketd.api.types.audit import AuditDetail, AuditReveal
from wicketd.api.types.invites import InviteRef, InviteResend
from wicketd.api.types.listing import Page
from wicketd.api.types.members import KeyRevokeById, MemberList
from wicketd.api.types.replays import ReplayRef, ReplayRows, ReplayShow
from wicketd.api.types.services import Ack

ROWS = pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.name)

SAMPLES: dict[str, Any] = {
    "service.ack": Ack(agent="demo", service="notes", tool="t", hash="00"),
    "invite.resend": InviteResend(agent="demo", invite="x"),
    "invite.revoke": InviteRef(agent="demo", invite="x"),
    "account.sign_out_one": SessionRef(account="ann@example.test", session="x"),
    "replay.show": ReplayShow(replay="x"),
    "replay.rows": ReplayRows(replay="x"),
    "replay.cancel": ReplayRef(replay="x"),
    "audit.reveal": AuditReveal(ref="x", reason="drill"),
    "audit.prove": AuditReveal(ref="x", reason="drill"),
    "key.revoke_by_id": KeyRevokeById(key_id="Zx81Kq0A"),
}


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Administered]:
    async with administered(tmp_path) as running:
        yield running


def test_each_row_has_a_case() -> None:
    assert CASES.keys() == {row.name for row in ENDPOINTS}


@ROWS
async def test_each_request_does_what_it_says_and_is_audited_so(
    there: Administered, row: Endpoint[Any, Any]
) -> None:
    request = await prepared(there, row.name)
    revision, before = CASES[row.name].revision, await there.state.recorded()
    match = None if revision is None else await revision(there)
    peer = there.client() if row.permission == "write" else there.reader()
    async with peer as client:
        answer = await asked(client, row, request, match)
    kinds = await there.state.kinds(since=before)

    assert tuple(kinds) == CASES[row.name].audit
    assert set(kinds) <= set(row.audit)
    assert (revision is not None) == (row.match is not None)
    if isinstance(answer, Page) and row.name != "audit.list":
        assert answer.items
    if isinstance(answer, AuditDetail):
        assert answer.entry.hash == answer.rows[0].hash


@pytest.mark.requirement("P22")
async def test_a_read_peer_changes_nothing(there: Administered) -> None:
    await there.state.connected()
    before = dump(there)
    async with there.reader() as client:
        for row in (row for row in ENDPOINTS if row.permission == "write"):
            with pytest.raises(Refused) as caught:
                await asked(client, row, sample(row), 1 if row.match else None)
            assert (row.name, caught.value.body.code) == (row.name, "forbidden")

    assert dump(there) == before


@pytest.mark.parametrize("row", [r for r in ENDPOINTS if r.match], ids=lambda row: row.name)
async def test_a_stale_write_is_refused_with_the_current_revision(
    there: Administered, row: Endpoint[Any, Any]
) -> None:
    request = await prepared(there, row.name)
    revision, before = CASES[row.name].revision, dump(there)
    assert revision is not None
    current = await revision(there)
    async with there.client() as client:
        with pytest.raises(Refused) as caught:
            await asked(client, row, request, current - 1)

    assert caught.value.body.code == "stale"
    assert caught.value.body.details == ({"current": current},)
    assert dump(there) == before


async def test_what_an_agent_that_does_not_exist_has_is_not_found(there: Administered) -> None:
    before = dump(there)
    async with there.client() as client:
        for row in (row for row in ENDPOINTS if "{agent}" in row.path and row is not POLICY_FORMAT):
            with pytest.raises(Refused) as caught:
                await asked(client, row, sample(row), 1 if row.match else None)
            assert (row.name, caught.value.body.code) == (row.name, "not_found")

    assert dump(there) == before


def sample(row: Endpoint[Any, Any]) -> Any:
    """A request of the row that needs nothing prepared."""
    request = CASES[row.name].request
    return SAMPLES[row.name] if callable(request) else request


async def asked(
    client: AdminClient, row: Endpoint[Any, Any], request: Any, match: int | None
) -> Any:
    """The answer; of a stream its first item, or nothing when the daemon has nothing to say."""
    if row.form == "json":
        return await client.call(row, request, match=match)
    if row.form == "lines":
        return [line async for line in client.lines(row, request)]
    async for event in client.events(request, last_id="0"):
        return event
    return None


def dump(there: Administered) -> list[str]:
    """Everything in the database, as another connection reads it."""
    with sqlite3.connect(there.state.directory / "wicket.db") as reader:
        return list(reader.iterdump())


async def test_a_member_tells_whether_its_account_has_a_second_factor(
    there: Administered,
) -> None:
    await there.state.connected()
    home = house_of(there.state, mail=False)
    await home.enrolled_by_link("ann@example.test")
    await home.enter.invites.create(ADMIN, "demo", email="new@example.test")
    async with there.reader() as client:
        page = await client.call(MEMBER_LIST, MemberList(agent="demo"))

    assert {one.principal: one.totp for one in page.items} == {
        "bob": None,
        "ann@example.test": True,
        "new@example.test": False,
    }
