"""A state is redeemed once, by whom it was made for; only its owner is a key to its tokens."""

from dataclasses import replace
from typing import Any

import pytest

from tests.storage.rows import ACCOUNT, AGENT, AT, MEMBER, oauth_flow, run
from wicketd.domain.accounts import WebSession
from wicketd.domain.ids import MemberId, OAuthFlowId, ServiceId, WebSessionId
from wicketd.domain.oauth_flows import LIFE_MS
from wicketd.domain.ports import Statement
from wicketd.storage import oauth_flows, web_sessions
from wicketd.storage.db import SqliteDatabase

BROWSER, OTHER = WebSessionId("browser-a"), WebSessionId("browser-b")


async def browsers(db: SqliteDatabase) -> None:
    """Two portal sessions of one account."""
    account = Statement(
        "INSERT INTO accounts (id, email, status, mfa_failures, created_at, rev) "
        "VALUES (?, 'ann@example.test', 'active', 0, ?, 1)",
        (ACCOUNT, AT),
    )
    sessions = [
        web_sessions.insert(
            WebSession(name, ACCOUNT, AT, AT, AT + LIFE_MS, None, "ip", "ua", None),
            name.encode().ljust(32),
            "k1",
        )
        for name in (BROWSER, OTHER)
    ]
    await run(db, account, *sessions)


async def test_a_sign_in_comes_back_whole_to_its_owner_alone(seeded: SqliteDatabase) -> None:
    flow = oauth_flow(tokens_ct=b"sealed", used_at=AT)
    await run(seeded, oauth_flows.insert(flow))
    assert await seeded.one(oauth_flows.whole(flow)) == flow
    assert await seeded.all(oauth_flows.with_tokens_of_member(AGENT, MEMBER)) == [flow]
    stranger = replace(flow, member_id=MemberId("member-2"))
    assert await seeded.one(oauth_flows.whole(stranger)) is None


async def test_a_look_up_by_state_gives_no_ciphertext(seeded: SqliteDatabase) -> None:
    flow = oauth_flow(tokens_ct=b"sealed", used_at=AT)
    await run(seeded, oauth_flows.insert(flow))
    for query in (
        oauth_flows.by_macs([b"x" * 32, flow.state_mac]),
        oauth_flows.open_of_member(AGENT, MEMBER, AT),
        oauth_flows.over(flow.expires_at),
    ):
        assert await seeded.all(query) == [replace(flow, verifier_ct=b"", tokens_ct=None)]


async def test_a_state_is_redeemed_once(seeded: SqliteDatabase) -> None:
    flow = oauth_flow()
    take = oauth_flows.take(flow, None, AT + 1)
    assert await run(seeded, oauth_flows.insert(flow), take, take) == [1, 1, 0]


async def test_a_state_is_redeemed_in_its_own_browser_only(seeded: SqliteDatabase) -> None:
    await browsers(seeded)
    flow = oauth_flow(web_session_id=BROWSER)
    wrong = [oauth_flows.take(flow, other, AT + 1) for other in (OTHER, None)]
    right = oauth_flows.take(flow, BROWSER, AT + 1)
    assert await run(seeded, oauth_flows.insert(flow), *wrong, right) == [1, 0, 0, 1]
    assert await seeded.one(oauth_flows.of_session(flow.id, OTHER)) is None
    assert await seeded.one(oauth_flows.of_session(flow.id, BROWSER)) is not None


@pytest.mark.parametrize(
    "other",
    [{"member_id": MemberId("member-2")}, {"service_id": ServiceId("s-2")}, {"state_mac": b"x"}],
)
async def test_a_state_is_redeemed_for_its_own_member_and_service_only(
    seeded: SqliteDatabase, other: dict[str, Any]
) -> None:
    flow = oauth_flow()
    take = oauth_flows.take(replace(flow, **other), None, AT)
    assert await run(seeded, oauth_flows.insert(flow), take) == [1, 0]


async def test_a_state_is_too_late_after_ten_minutes(seeded: SqliteDatabase) -> None:
    flow = oauth_flow()
    late = oauth_flows.take(flow, None, flow.expires_at)
    in_time = oauth_flows.take(flow, None, flow.expires_at - 1)
    assert await run(seeded, oauth_flows.insert(flow), late, in_time) == [1, 0, 1]


async def test_open_is_what_waits_for_a_callback_or_a_confirmation(seeded: SqliteDatabase) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"used_at": AT},
        {"used_at": AT, "tokens_ct": b"t"},
        {"expires_at": AT},
    ]
    flows = [
        oauth_flow(id=OAuthFlowId(f"flow-{n}"), state_mac=bytes([n]) * 32, **each)
        for n, each in enumerate(changes)
    ]
    await run(seeded, *(oauth_flows.insert(flow) for flow in flows))
    found = await seeded.all(oauth_flows.open_of_member(AGENT, MEMBER, AT))
    assert [flow.id for flow in found] == ["flow-2", "flow-0"]
    assert [flow.id for flow in await seeded.all(oauth_flows.over(AT))] == ["flow-3"]


async def test_tokens_are_kept_replaced_and_destroyed_with_their_row(
    seeded: SqliteDatabase,
) -> None:
    flow = oauth_flow()
    await run(seeded, oauth_flows.insert(flow), oauth_flows.keep_tokens(flow, b"one"))
    kept = await seeded.one(oauth_flows.whole(flow))
    assert kept is not None
    assert kept.tokens_ct == b"one"
    stranger = replace(flow, member_id=MemberId("member-2"))
    assert await run(
        seeded, oauth_flows.keep_tokens(stranger, b"two"), oauth_flows.delete(stranger)
    ) == [0, 0]
    assert await run(seeded, oauth_flows.delete(flow)) == [1]
    assert await seeded.one(oauth_flows.whole(flow)) is None
