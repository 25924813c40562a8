"""The table of answers and the conditions of R3, row by row, over real HTTP and a real database."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from tests.support.oauth_connected import MAIL, Connected, open_connected
from tests.support.oauth_server import Mode, Scripted
from tests.support.state import ADMIN, moved
from wicketd.domain.calls import Failure, OutcomeStatus, RefusalKind
from wicketd.domain.connections import ConnectionState
from wicketd.oauth.refresh import Fault
from wicketd.services.breaking import DECRYPT_FAILED, IN_DOUBT, INVALID_GRANT, REFRESH_LOST
from wicketd.services.refresh_flight import REFUSED, Grant
from wicketd.storage import refresh_intents


def error(code: str, status: int = 400, **headers: str) -> Scripted:
    """An error answer; nothing is redeemed."""
    return Scripted(status, json.dumps({"error": code}).encode(), headers)


async def old(bob: Connected) -> None:
    """Symmetric, generation 2, expired."""
    await bob.token()
    bob.grow_old()


async def refusal(bob: Connected) -> tuple[OutcomeStatus, RefusalKind]:
    """How a call ends now."""
    failure = await bob.state.connections.unlock(bob.caller, "mail")
    assert isinstance(failure, Failure)
    return failure.outcome, failure.refusal.kind


UNREACHABLE = (OutcomeStatus.UNREACHABLE, RefusalKind.UNREACHABLE)
RECONNECT = (OutcomeStatus.NO_CREDENTIALS, RefusalKind.RECONNECT)


async def test_invalid_grant_is_the_end_of_the_tokens(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        bob.server.scripted.append(error("invalid_grant"))
        assert await refusal(bob) == RECONNECT
        row = await bob.row()
        assert (row.state, row.error) == (ConnectionState.NEEDS_RECONNECT, INVALID_GRANT)
        assert (row.sealed_ct, row.refreshable) == (None, False)
        assert await bob.intent() is None
        last = (await bob.state.rows())[-1]
        assert last.kind == "connection.broken"
        assert msgspec.json.decode(last.body)["after"]["reason"] == INVALID_GRANT


@pytest.mark.parametrize(
    "answer",
    [
        error("invalid_client", 401),
        error("unauthorized_client"),
        error("invalid_target"),
        error("invalid_scope"),
        error("invalid_grant", 401),
        error("invalid_grant", 403),
        Scripted(404, b"<html>"),
        Scripted(418),
    ],
)
async def test_another_refusal_keeps_the_tokens_and_flags_the_service(
    tmp_path: Path, answer: Scripted
) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        before = await bob.row()
        bob.server.scripted.append(answer)
        assert await refusal(bob) == UNREACHABLE
        assert await bob.row() == before
        assert await bob.intent() is None
        assert await bob.last_error() == REFUSED
        bob.state.clock.pass_s(1)
        assert await bob.token() is not None
        assert await bob.last_error() is None


async def test_a_server_that_cannot_be_reached_keeps_everything_and_is_left_alone(
    tmp_path: Path,
) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        before = await bob.row()
        record = (await bob.opened()).details
        gone = msgspec.structs.replace(record, token_endpoint="http://127.0.0.1:1/token")
        bob.server.metadata["token_endpoint"] = "http://127.0.0.1:1/token"
        await bob.reseal(gone)
        after = await bob.row()
        assert await refusal(bob) == UNREACHABLE
        assert await bob.row() == after
        assert after.generation == before.generation + 1
        assert await bob.intent() is None
        assert "connection.in_doubt" not in await bob.state.kinds()


async def test_a_token_with_life_left_is_used_while_its_server_cannot_be_reached(
    tmp_path: Path,
) -> None:
    async with open_connected(tmp_path) as bob:
        token = await bob.token()
        record = (await bob.opened()).details
        bob.server.metadata["token_endpoint"] = "http://127.0.0.1:1/token"
        await bob.reseal(msgspec.structs.replace(record, token_endpoint="http://127.0.0.1:1/token"))
        bob.state.clock.pass_s(3600 - 60)
        assert await bob.token() == token
        bob.state.clock.pass_s(61)
        assert await bob.token() is None


@pytest.mark.parametrize(
    "answer",
    [
        Scripted(429),
        Scripted(500),
        Scripted(503, b"busy"),
        Scripted(200, b"{"),
        Scripted(200, b'{"access_token":"a","token_type":"mac"}'),
        Scripted(200, b'{"error":"invalid_grant"}'),
        Scripted(200, b" " * 65_537),
        Scripted(307, headers={"Location": "http://127.0.0.1:1/"}),
        Scripted(200, b"x", {"Content-Encoding": "gzip"}),
        Scripted(is_dropped=True),
    ],
)
async def test_an_answer_that_is_none_keeps_tokens_and_intent(
    tmp_path: Path, answer: Scripted
) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        before = await bob.row()
        bob.server.scripted.append(answer)
        assert await refusal(bob) == UNREACHABLE
        row = await bob.row()
        assert row.sealed_ct == before.sealed_ct
        assert (row.state, row.error, row.refresh_due) == (ConnectionState.SEALED, IN_DOUBT, True)
        intent = await bob.intent()
        assert intent is not None
        assert (intent.phase, intent.generation) == (refresh_intents.SENT, row.generation)
        assert (await bob.state.kinds())[-1] == "connection.in_doubt"
        assert len(bob.server.token_requests) == 1, "sent again without being asked"


async def test_a_silent_server_leaves_a_doubt(tmp_path: Path) -> None:
    async with open_connected(tmp_path, read_s=0.2) as bob:
        await old(bob)
        bob.server.before_redeeming.clear()
        assert await refusal(bob) == UNREACHABLE
        assert (await bob.row()).error == IN_DOUBT
        assert await bob.intent() is not None


async def test_waits_double_and_end_with_a_success(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        for wait_s in (1, 2, 4):
            bob.server.scripted.append(Scripted(503))
            asked = len(bob.server.token_requests)
            assert await bob.token() is None
            assert len(bob.server.token_requests) == asked + 1
            bob.state.clock.pass_s(wait_s - 0.5)
            assert await bob.token() is None
            assert len(bob.server.token_requests) == asked + 1
            bob.state.clock.pass_s(0.5)
        assert await bob.token() is not None
        assert (await bob.row()).error is None


async def test_retry_after_is_honoured_up_to_ten_minutes(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        bob.server.scripted.append(Scripted(429, headers={"Retry-After": "86400"}))
        assert await bob.token() is None
        bob.state.clock.pass_s(599)
        assert await bob.token() is None
        assert len(bob.server.token_requests) == 1
        bob.state.clock.pass_s(1)
        assert await bob.token() is not None


async def test_in_doubt_the_old_token_is_sent_once_more_and_may_still_be_good(
    tmp_path: Path,
) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        bob.server.scripted.append(Scripted(503))
        assert await bob.token() is None
        bob.state.clock.pass_s(1)
        assert await bob.token() is not None
        sent = [one.form["refresh_token"] for one in bob.server.refreshes]
        assert sent == [sent[0]] * 2
        row = await bob.row()
        assert (row.generation, row.error) == (3, None)
        assert await bob.intent() is None


async def test_in_doubt_and_redeemed_means_that_the_refresh_is_lost(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        bob.server.scripted.append(Scripted(503, is_redeemed=True))
        assert await bob.token() is None
        bob.state.clock.pass_s(1)
        assert await refusal(bob) == RECONNECT
        row = await bob.row()
        assert (row.state, row.error) == (ConnectionState.NEEDS_RECONNECT, REFRESH_LOST)
        assert await bob.intent() is None


@pytest.mark.parametrize("answer", [error("invalid_client", 401), Scripted(503)])
async def test_in_doubt_another_failure_keeps_the_doubt(tmp_path: Path, answer: Scripted) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        bob.server.scripted += [Scripted(503), answer]
        for _ in range(2):
            assert await refusal(bob) == UNREACHABLE
            bob.state.clock.pass_s(2)
        assert await bob.intent() is not None
        assert (await bob.state.kinds()).count("connection.in_doubt") == 1
        assert await bob.token() is not None


async def test_an_intent_that_only_began_is_no_doubt(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        await bob.leave_intent(phase=refresh_intents.STARTED)
        bob.server.scripted.append(error("invalid_grant"))
        assert await refusal(bob) == RECONNECT
        assert (await bob.row()).error == INVALID_GRANT


async def test_an_intent_of_another_token_is_stale(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        await bob.leave_intent(rt_mac=bytes(32))
        bob.server.scripted.append(error("invalid_grant"))
        assert await refusal(bob) == RECONNECT
        assert (await bob.row()).error == INVALID_GRANT


async def test_an_intent_under_a_server_key_that_is_gone_counts_as_a_doubt(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        await bob.leave_intent(kid="gone")
        bob.server.scripted.append(error("invalid_grant"))
        assert await refusal(bob) == RECONNECT
        assert (await bob.row()).error == REFRESH_LOST


@pytest.mark.requirement("FC8")
async def test_a_record_that_does_not_open_is_not_tried_with_anything_else(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        row = await bob.row()
        assert row.sealed_ct is not None
        await bob.edit(sealed_ct=row.sealed_ct[:-1] + bytes([row.sealed_ct[-1] ^ 1]))
        assert await bob.fresh() is Fault.RECONNECT
        assert (await bob.row()).error == DECRYPT_FAILED
        assert bob.server.token_requests == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "http://127.0.0.1:2"},
        {"token_endpoint": "http://127.0.0.1:2/token"},
        {"code_challenge_methods_supported": None},
    ],
)
async def test_a_token_endpoint_that_is_not_its_issuers_any_more_gets_nothing(
    tmp_path: Path, metadata: dict[str, str | None]
) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        before = await bob.row()
        bob.server.metadata |= metadata
        assert await refusal(bob) == UNREACHABLE
        assert bob.server.token_requests == []
        assert await bob.last_error() == REFUSED
        assert await bob.row() == before


async def test_an_issuer_whose_metadata_is_down_is_still_asked_where_it_was(
    tmp_path: Path,
) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        bob.server.documents["/.well-known/oauth-authorization-server"] = web.Response(status=503)
        bob.server.documents["/.well-known/openid-configuration"] = web.Response(status=404)
        assert await bob.token() is not None


async def test_a_confidential_client_shows_the_secret_of_its_app(tmp_path: Path) -> None:
    async with open_connected(tmp_path, secret="s3cret") as bob:
        await old(bob)
        assert await bob.token() is not None
        (asked,) = bob.server.refreshes
        assert asked.headers["Authorization"].startswith("Basic ")


async def test_another_app_at_the_service_does_not_show_its_secret_for_old_tokens(
    tmp_path: Path,
) -> None:
    async with open_connected(tmp_path, secret="s3cret") as bob:
        await old(bob)
        await bob.set_app("another-client", b"another")
        assert await refusal(bob) == UNREACHABLE
        assert bob.server.token_requests == []
        assert await bob.last_error() == REFUSED


async def test_a_connector_that_moved_gets_no_refresh(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        bob.state.connectors["mail"] = moved(MAIL, "mail.example.test", "other.example.test")
        await bob.state.services.reload(ADMIN)
        assert await refusal(bob) == RECONNECT
        assert bob.server.token_requests == []
        assert (await bob.row()).sealed_ct is not None


async def test_after_a_refresh_the_refused_token_is_not_renewed_again_for_five_minutes(
    tmp_path: Path,
) -> None:
    async with open_connected(tmp_path) as bob:
        await bob.token()
        first = await bob.fresh((await bob.row()).generation)
        assert isinstance(first, Grant)
        await bob.reject(first)
        generation = first.connection.generation
        bob.state.clock.pass_s(299)
        assert await bob.fresh(generation) is Fault.RECONNECT
        assert len(bob.server.refreshes) == 1
        assert (await bob.row()).sealed_ct is not None
        bob.state.clock.pass_s(2)
        assert isinstance(await bob.fresh(generation), Grant)
        assert (await bob.row()).error is None


async def test_a_change_of_key_and_a_refresh_take_turns(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        locks, row = bob.state.desk.connection_locks, await bob.row()
        async with locks.hold([row.id], 1):
            call = asyncio.create_task(bob.token())
            await asyncio.sleep(0.05)
            assert bob.server.token_requests == []
        assert await call is not None


async def test_modes_of_the_server_differ_as_they_say(tmp_path: Path) -> None:
    async with open_connected(tmp_path, Mode.STRICT) as bob:
        await old(bob)
        assert await bob.token() is not None
        assert bob.server.grants[0].used == set()


async def test_new_tokens_end_a_doubt_about_the_old_ones(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        bob.server.scripted.append(Scripted(503))
        assert await bob.token() is None
        await bob.sign_in_again()
        assert await bob.intent() is None
        assert (await bob.row()).error is None
        assert await bob.state.refreshing.flag_doubts() == 0
        assert await bob.token() is not None
