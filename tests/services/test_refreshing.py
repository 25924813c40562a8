"""Refreshes against a rotating authorization server: one flight, one POST, known effects.

The first half is when and how a refresh runs; `test_refresh_flight` walks the tables of answers.
"""

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fronts import eventually
from tests.support.oauth_connected import RESOURCE, Connected, open_connected
from tests.support.oauth_server import Mode, Scripted
from tests.support.state import ADMIN, tool
from wicketd.domain.calls import Caller
from wicketd.domain.catalogue import Connector, Listing
from wicketd.domain.connections import ConnectionState, Credential
from wicketd.domain.errors import SignInRejected
from wicketd.domain.json import JsonObject
from wicketd.oauth.refresh import Fault
from wicketd.services.breaking import IN_DOUBT, REJECTED
from wicketd.services.listing import Listings, Reach
from wicketd.services.refresh_flight import Grant, Keyed


async def expired(bob: Connected) -> str | None:
    """The token before it expired."""
    token = await bob.token()
    bob.grow_old()
    return token


async def test_an_old_token_is_renewed_before_it_is_used(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        first = await expired(bob)
        second = await bob.token()
        assert second not in {None, first}
        assert bob.server.admits(f"Bearer {second}")
        row = await bob.row()
        assert (row.generation, row.sealed_suite, row.error) == (3, 1, None)
        assert row.last_refresh_at == bob.state.clock.now_ms()
        assert row.access_expires_at == bob.state.clock.now_ms() + 3_600_000
        assert await bob.intent() is None
        assert (await bob.state.kinds())[-1] == "connection.refreshed"


async def test_a_young_token_is_used_as_it_is(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        assert await bob.token() == await bob.token()
        assert bob.server.token_requests == []


async def test_a_marked_row_is_refreshed_although_its_token_is_young(tmp_path: Path) -> None:
    async with open_connected(tmp_path, due=True) as bob:
        assert await bob.token() is not None
        assert len(bob.server.refreshes) == 1
        row = await bob.row()
        assert not row.refresh_due
        await bob.token()
        assert len(bob.server.refreshes) == 1


async def test_a_deposit_that_is_due_becomes_symmetric_by_its_refresh(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        assert (await bob.row()).sealed_suite == 2
        bob.grow_old()
        await bob.token()
        row = await bob.row()
        assert (row.sealed_suite, row.generation) == (1, 2)
        assert "connection.rewrapped" not in await bob.state.kinds()


@pytest.mark.parametrize("mode", [Mode.STRICT, Mode.SLOPPY])
async def test_an_answer_without_a_refresh_token_keeps_the_old_one(
    tmp_path: Path, mode: Mode
) -> None:
    async with open_connected(tmp_path, mode) as bob:
        for _ in range(3):
            bob.grow_old()
            await bob.edit(refresh_due=True)
            assert await bob.token() is not None
        sent = {one.form["refresh_token"] for one in bob.server.refreshes}
        assert len(bob.server.refreshes) == 3
        assert len(sent) == 1


async def test_a_refresh_names_the_resource_of_the_sign_in_and_no_scope(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await expired(bob)
        await bob.token()
        (asked,) = bob.server.refreshes
        assert asked.form["resource"] == RESOURCE
        assert set(asked.form) == {"grant_type", "refresh_token", "resource", "client_id"}


async def test_waiters_share_one_refresh(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await expired(bob)
        tokens = await asyncio.gather(*(bob.token() for _ in range(64)))
        assert len(set(tokens)) == 1
        assert tokens[0] is not None
        assert len(bob.server.token_requests) == 1
        assert bob.server.revoked_grants == []


async def test_calls_that_were_refused_together_renew_once(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await bob.token()
        generation = (await bob.row()).generation
        grants = await asyncio.gather(*(bob.fresh(generation) for _ in range(16)))
        assert {one.connection.generation for one in grants if isinstance(one, Grant)} == {
            generation + 1
        }
        assert len(bob.server.token_requests) == 1


async def test_whoever_wants_another_token_does_not_share_a_flight_that_kept_the_old(
    tmp_path: Path,
) -> None:
    async with open_connected(tmp_path) as bob:
        await bob.token()
        row = await bob.row()
        generation, flights = row.generation, bob.state.refreshing._flights
        async with bob.state.desk.connection_locks.hold([row.id], 1):  # the first flight waits
            first = asyncio.create_task(bob.fresh())
            await eventually(lambda: row.id in flights)
            second = asyncio.create_task(bob.fresh(generation))
        kept, renewed = await asyncio.gather(first, second)
        assert isinstance(kept, Grant)
        assert isinstance(renewed, Grant)
        assert kept.connection.generation == generation
        assert renewed.connection.generation == generation + 1


async def test_a_client_that_leaves_does_not_lose_the_answer(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await expired(bob)
        bob.server.after_redeeming.clear()
        call = asyncio.create_task(bob.token())
        await bob.server.at_token.acquire()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        bob.server.after_redeeming.set()
        await bob.state.refreshing.settle(5)
        assert (await bob.row()).generation == 3
        assert bob.server.admits(f"Bearer {await bob.token()}")
        assert len(bob.server.token_requests) == 1


async def test_a_stop_waits_for_a_flight_no_longer_than_it_may(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await expired(bob)
        bob.server.before_redeeming.clear()
        call = asyncio.create_task(bob.token())
        await bob.server.at_token.acquire()
        await asyncio.wait_for(bob.state.refreshing.settle(0.05), 5)
        assert not call.done()
        bob.server.before_redeeming.set()
        assert await call is not None


async def test_a_revoked_connection_takes_no_new_tokens(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await expired(bob)
        bob.server.after_redeeming.clear()
        call = asyncio.create_task(bob.fresh())
        await bob.server.at_token.acquire()
        await bob.state.connections.discard(ADMIN, "demo", "bob", "mail")
        bob.server.after_redeeming.set()
        assert await call is Fault.RECONNECT
        row = await bob.row()
        assert (row.state, row.sealed_ct) == (ConnectionState.REVOKED, None)
        assert await bob.intent() is None


async def test_a_rewrap_of_the_server_layer_meanwhile_does_no_harm(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await expired(bob)
        bob.server.after_redeeming.clear()
        call = asyncio.create_task(bob.token())
        await bob.server.at_token.acquire()
        row = await bob.row()
        assert row.sealed_ct is not None
        await bob.edit(sealed_ct=row.sealed_ct + b"")
        bob.server.after_redeeming.set()
        assert await call is not None
        assert (await bob.row()).generation == row.generation + 1


async def test_start_up_marks_a_doubt_once_and_tells_the_log(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await expired(bob)
        bob.server.scripted.append(Scripted(is_dropped=True))
        assert await bob.token() is None
        await bob.edit(error=None, refresh_due=False)  # as a kill before the mark leaves it
        recorded = await bob.state.recorded()
        assert await bob.state.refreshing.flag_doubts() == 1
        assert await bob.state.kinds(recorded) == ["connection.in_doubt"]
        row = await bob.row()
        assert (row.state, row.error, row.refresh_due) == (ConnectionState.SEALED, IN_DOUBT, True)
        assert await bob.state.refreshing.flag_doubts() == 0
        assert await bob.state.recorded() == recorded + 1


async def test_a_start_without_doubts_writes_nothing(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        recorded = await bob.state.recorded()
        assert await bob.state.refreshing.flag_doubts() == 0
        assert await bob.state.recorded() == recorded


async def test_what_lay_in_the_pending_window_is_replaced_with_the_first_key(
    tmp_path: Path,
) -> None:
    async with open_connected(tmp_path) as bob:
        row, caller = await bob.row(), bob.caller
        opened = await bob.fresh()
        assert isinstance(opened, Grant)
        await bob.state.keys.revoke(ADMIN, "demo", "bob", None)
        pending = bob.state.box.pending(
            await bob.held(), opened.opened.record, bob.state.clock.now_ms() + 1000
        )
        await bob.store_pending(row, pending)
        key, text = await bob.state.keys.issue(ADMIN, "demo", "bob")
        assert len(bob.server.refreshes) == 1
        after = await bob.row()
        assert (after.state, after.refresh_due) == (ConnectionState.SEALED, False)
        bob.caller = await bob.state.caller_of(key, text)
        assert bob.caller.key_id != caller.key_id
        assert bob.server.admits(f"Bearer {await bob.token()}")


async def test_a_key_is_issued_although_the_provider_is_silent(tmp_path: Path) -> None:
    async with open_connected(tmp_path, due=True) as bob:
        bob.server.before_redeeming.clear()
        keyed = Keyed.of(bob.caller)
        await bob.state.refreshing.at_seal(keyed, bob.state.files, within_s=0.05)
        assert (await bob.row()).refresh_due
        bob.server.before_redeeming.set()
        await bob.state.refreshing.settle(5)
        assert not (await bob.row()).refresh_due


async def test_a_pair_that_the_disk_does_not_take_is_kept_and_written_later(
    tmp_path: Path,
) -> None:
    async with open_connected(tmp_path) as bob:
        await expired(bob)
        bob.server.after_redeeming.clear()
        call = asyncio.create_task(bob.token())
        await bob.server.at_token.acquire()
        disk = sqlite3.connect(tmp_path / "wicket.db", isolation_level=None)
        disk.execute("BEGIN IMMEDIATE")
        bob.server.after_redeeming.set()
        assert await call is None
        assert (await bob.row()).generation == 2
        assert await bob.fresh() is Fault.NOT_DURABLE
        assert await bob.token() is None
        disk.execute("ROLLBACK")
        disk.close()
        await bob.state.db.probe()
        await bob.state.refreshing.write_kept()
        assert (await bob.row()).generation == 3
        assert bob.server.admits(f"Bearer {await bob.token()}")
        assert len(bob.server.token_requests) == 1
        assert (await bob.state.kinds()).count("connection.refreshed") == 1
        assert bob.server.revoked_grants == []


async def test_nothing_is_sent_when_the_intent_cannot_be_written(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await expired(bob)
        disk = sqlite3.connect(tmp_path / "wicket.db", isolation_level=None)
        disk.execute("BEGIN IMMEDIATE")
        assert await bob.fresh() is Fault.NOT_DURABLE
        disk.execute("ROLLBACK")
        disk.close()
        assert bob.server.token_requests == []


async def test_another_members_key_opens_nothing(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await expired(bob)
        await bob.state.member(name="eve")
        eve = await bob.state.caller(member="eve")
        connector, held = bob.state.files().get("mail"), await bob.held()
        assert connector is not None
        outcome = await bob.state.refreshing.fresh(Keyed.of(eve), held, connector)
        assert outcome is Fault.RECONNECT
        assert bob.server.token_requests == []
        assert await bob.token() is not None


@dataclass
class PickyServer:
    """Lists its tools to whoever shows a good token of the provider."""

    bob: Connected
    admits: bool = True
    asked: int = 0

    async def list_items(
        self, connector: Connector, caller: Caller, credential: Credential, listing: Listing
    ) -> list[JsonObject]:
        """See `ToolSource`."""
        self.asked += 1
        token = credential.value.reveal().decode() if credential.value is not None else ""
        if not self.admits or not self.bob.server.admits(token):
            message = "The server wants another credential."
            raise SignInRejected(message)
        return [tool("search_mail")]


def listings(bob: Connected, server: PickyServer) -> Listings:
    """Bob's lists over that server."""
    state = bob.state
    reach = Reach(server, state.connections.unlocker, state.services.observe, lambda *_: None)
    return Listings(state.snapshots, reach, state.clock, state.tasks)


async def test_a_list_that_is_refused_is_asked_for_again_with_a_renewed_token(
    tmp_path: Path,
) -> None:
    async with open_connected(tmp_path) as bob:
        await bob.token()
        bob.server.expire_access_tokens()
        server = PickyServer(bob)
        listed = await listings(bob, server).of(bob.caller, lambda _: None)
        assert [one["name"] for one in listed.catalogues["mail"]] == ["search_mail"]
        assert (server.asked, len(bob.server.refreshes)) == (2, 1)


async def test_a_list_that_is_refused_twice_leaves_the_connection_marked(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await bob.token()
        server = PickyServer(bob, admits=False)
        listed = await listings(bob, server).of(bob.caller, lambda _: None)
        assert [one["service"] for one in listed.unavailable] == ["mail"]
        row = await bob.row()
        assert (row.state, row.error) == (ConnectionState.SEALED, REJECTED)
        assert (server.asked, len(bob.server.refreshes)) == (2, 1)


async def test_a_list_whose_token_is_gone_says_so(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await bob.token()
        bob.server.expire_access_tokens()
        bob.server.scripted.append(Scripted(400, b'{"error":"invalid_grant"}'))
        listed = await listings(bob, PickyServer(bob)).of(bob.caller, lambda _: None)
        assert [one["reason"] for one in listed.unavailable] == ["needs_reconnect"]
