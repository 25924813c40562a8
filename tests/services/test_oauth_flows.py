"""A whole sign-in at a strict provider: what is asked, kept, confirmed, declined and revoked."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.oauth_server import Mode, Scripted
from tests.support.sign_ins import SignInScene, asked, at_provider, key_of, open_scene
from tests.support.state import ADMIN, PUBLIC_URL
from wicketd.domain.calls import Caller
from wicketd.domain.connections import ConnectionState, Credential
from wicketd.domain.errors import (
    ClockBackwards,
    Conflict,
    Gone,
    Invalid,
    NotApproved,
    NotFound,
    RateLimited,
    Unreachable,
)
from wicketd.domain.members import MemberState
from wicketd.domain.oauth_flows import OPEN_MAX
from wicketd.oauth.authorize import challenge
from wicketd.storage import connections, keys
from wicketd.vault import member_key

TEN_MINUTES_S = 600


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[SignInScene]:
    """Ann, approved, without a key, at a strict provider."""
    async with open_scene(tmp_path) as made:
        yield made


async def caller(scene: SignInScene, text: str) -> Caller:
    """Ann's call with her key."""
    parsed = member_key.parse(text)
    assert parsed is not None
    record = await scene.state.db.one(keys.by_key_id(parsed.key_id))
    assert record is not None
    return Caller(
        agent=record.agent,
        member=record.member,
        key_id=parsed.key_id,
        key_row=record.key.id,
        secret=parsed.secret,
        ip="127.0.0.1",
        user_agent="test",
    )


async def credential(scene: SignInScene, text: str) -> str:
    """The header that a call of Ann's would carry upstream."""
    found = await scene.state.connections.unlock(await caller(scene, text), "notes")
    assert isinstance(found, Credential)
    assert found.value is not None
    return found.value.reveal().decode()


async def test_the_consent_page_says_what_will_be_asked_and_stores_nothing(
    scene: SignInScene,
) -> None:
    before = await scene.state.recorded()
    consent = await scene.state.flows.prepare(scene.ann, scene.agent.id, "notes")
    assert (consent.agent, consent.service) == ("Demo", "Notes")
    assert (consent.provider_host, consent.issuer) == ("127.0.0.1", scene.server.issuer)
    assert consent.scopes == ("offline_access",)
    assert consent.redirect_uri == f"{PUBLIC_URL}/oauth/callback/notes"
    assert await scene.open_flows() == []
    assert scene.server.clients == {}
    assert await scene.state.recorded() == before


async def test_a_link_asks_for_everything_with_a_fresh_state_and_challenge(
    scene: SignInScene,
) -> None:
    first, second = asked(await scene.begin()), asked(await scene.begin())
    assert first["response_type"] == "code"
    assert first["code_challenge_method"] == "S256"
    assert first["resource"] == scene.upstream.url
    assert first["redirect_uri"] == f"{PUBLIC_URL}/oauth/callback/notes"
    for name in ("state", "code_challenge"):
        assert len(first[name]) == 43
        assert first[name] != second[name]
    assert first["client_id"] == second["client_id"]


async def test_without_a_key_the_account_is_pending_after_the_confirmation(
    scene: SignInScene,
) -> None:
    confirmation = await scene.signed_in()
    assert (confirmation.agent, confirmation.service) == ("Demo", "Notes")
    assert confirmation.account_label is None
    assert await scene.held() is None
    kept = await scene.state.flows.confirm(scene.ann, confirmation.flow_id)
    assert kept.state is ConnectionState.PENDING
    assert kept.pending_expires_at == scene.state.clock.now_ms() + 24 * 3_600_000
    assert (kept.issuer, kept.refreshable) == (scene.server.issuer, True)
    assert (await scene.state.kinds())[-1] == "connection.pending"
    assert await scene.open_flows() == []


async def test_the_first_key_seals_it_and_a_call_carries_the_token(scene: SignInScene) -> None:
    await scene.connected()
    text = await key_of(scene)
    header = await credential(scene, text)
    assert scene.server.admits(header)


async def test_with_a_key_the_callback_itself_seals_and_the_server_keeps_no_copy(
    scene: SignInScene,
) -> None:
    text = await key_of(scene)
    confirmation = await scene.signed_in()
    (token,) = scene.server.grants[0].access_tokens
    assert token.encode() not in scene.state.file_bytes()
    kept = await scene.state.flows.confirm(scene.ann, confirmation.flow_id)
    assert (kept.state, kept.sealed_suite, kept.pending_ct) == (ConnectionState.SEALED, 2, None)
    assert (await scene.state.kinds())[-1] == "connection.sealed"
    assert scene.server.admits(await credential(scene, text))


async def test_a_member_who_got_a_key_meanwhile_is_sealed_at_the_confirmation(
    scene: SignInScene,
) -> None:
    confirmation = await scene.signed_in()
    text = await key_of(scene)
    kept = await scene.state.flows.confirm(scene.ann, confirmation.flow_id)
    assert (kept.state, kept.sealed_suite) == (ConnectionState.SEALED, 2)
    assert scene.server.admits(await credential(scene, text))


async def test_a_key_rotated_meanwhile_takes_the_unconfirmed_account_along(
    scene: SignInScene,
) -> None:
    old = await key_of(scene)
    confirmation = await scene.signed_in()
    rotated = await scene.state.keys.rotate_own(scene.ann, scene.agent.id, old.encode())
    await scene.state.flows.confirm(scene.ann, confirmation.flow_id)
    assert scene.server.admits(await credential(scene, rotated.text.reveal().decode()))


async def test_a_key_lost_meanwhile_gives_the_unconfirmed_account_up(scene: SignInScene) -> None:
    await key_of(scene)
    confirmation = await scene.signed_in()
    await scene.state.keys.replace_lost(scene.ann, scene.agent.id)
    with pytest.raises(NotFound):
        await scene.state.flows.confirm(scene.ann, confirmation.flow_id)
    await scene.state.tasks.settle()
    assert scene.server.grants[0].is_revoked
    assert await scene.reasons() == ["key_ended"]


async def test_an_account_that_is_declined_is_revoked_and_forgotten(scene: SignInScene) -> None:
    for make_key in (False, True):
        if make_key:
            await key_of(scene)
        confirmation = await scene.signed_in()
        await scene.state.flows.discard(scene.ann, confirmation.flow_id)
        await scene.state.tasks.settle()
        assert scene.server.grants[-1].is_revoked
        with pytest.raises(NotFound):
            await scene.state.flows.confirm(scene.ann, confirmation.flow_id)
    assert await scene.held() is None
    assert await scene.reasons() == ["declined", "declined"]


async def test_an_account_that_nobody_confirms_is_revoked_after_ten_minutes(
    scene: SignInScene,
) -> None:
    confirmation = await scene.signed_in()
    scene.state.clock.pass_s(TEN_MINUTES_S - 1)
    assert await scene.state.flows.sweep() == 0
    scene.state.clock.pass_s(1)
    with pytest.raises(Gone):
        await scene.state.flows.confirm(scene.ann, confirmation.flow_id)
    assert await scene.state.flows.sweep() == 1
    await scene.state.tasks.settle()
    assert scene.server.grants[0].is_revoked
    with pytest.raises(NotFound):
        await scene.state.flows.confirm(scene.ann, confirmation.flow_id)


async def test_a_second_sign_in_takes_the_place_of_the_first_without_revoking_it(
    scene: SignInScene,
) -> None:
    text = await key_of(scene)
    first = await scene.connected()
    await credential(scene, text)
    second = await scene.connected()
    assert (second.id, second.rev > first.rev) == (first.id, True)
    await scene.state.tasks.settle()
    assert scene.server.revoked == []
    header = await credential(scene, text)
    assert header.removeprefix("Bearer ") in scene.server.grants[1].access_tokens


async def test_two_attempts_may_overlap_and_the_later_confirmation_stands(
    scene: SignInScene,
) -> None:
    text = await key_of(scene)
    links = [await scene.begin(), await scene.begin()]
    pages = [await scene.back(scene.ann, await at_provider(link)) for link in links]
    for page in pages:
        await scene.state.flows.confirm(scene.ann, page.flow_id)
    header = await credential(scene, text)
    assert header.removeprefix("Bearer ") in scene.server.grants[1].access_tokens


async def test_a_step_up_asks_for_what_was_held_and_what_was_lacking(scene: SignInScene) -> None:
    scene.upstream.challenge = f'{scene.upstream.challenge}, scope="read"'
    await scene.connected()
    row = await scene.held()
    assert row is not None
    lacking = replace(row, missing_scopes="write")
    await scene.state.db.write(lambda tx: tx.run(connections.put(lacking)))
    assert asked(await scene.begin())["scope"].split() == ["read", "offline_access", "write"]
    after = await scene.connected()
    assert after.missing_scopes is None
    assert after.scopes == "read offline_access write"


async def test_only_twenty_attempts_of_a_member_are_open_at_once(scene: SignInScene) -> None:
    for _ in range(OPEN_MAX):
        await scene.begin()
    with pytest.raises(RateLimited, match="wait ten minutes"):
        await scene.begin()
    scene.state.clock.pass_s(TEN_MINUTES_S)
    await scene.begin()


async def test_a_clock_that_was_set_back_begins_and_redeems_nothing(scene: SignInScene) -> None:
    query = await at_provider(await scene.begin())
    scene.state.clock.pass_s(3600)
    await scene.begin()
    scene.state.clock.pass_s(-3600)
    for refused in (scene.begin(), scene.back(scene.ann, query)):
        with pytest.raises(ClockBackwards):
            await refused
    assert scene.server.token_requests == []


@pytest.mark.parametrize(
    "member_state", [MemberState.INVITED, MemberState.REMOVED, MemberState.REJECTED]
)
async def test_who_is_not_a_member_begins_nothing(
    tmp_path: Path, member_state: MemberState
) -> None:
    async with open_scene(tmp_path, member_state=member_state) as scene:
        with pytest.raises((NotFound, NotApproved)):
            await scene.begin()


async def test_a_pending_member_connects_before_the_approval(tmp_path: Path) -> None:
    async with open_scene(tmp_path, member_state=MemberState.PENDING) as scene:
        assert (await scene.connected()).state is ConnectionState.PENDING
        await scene.state.members.reject(ADMIN, "demo", scene.member.id)
        await scene.state.tasks.settle()
        assert scene.server.grants[0].is_revoked


async def test_a_service_that_is_off_or_has_no_sign_in_cannot_be_connected(
    scene: SignInScene,
) -> None:
    await scene.state.service(key="open")
    with pytest.raises(Conflict, match="no sign-in"):
        await scene.state.flows.start(scene.ann, scene.agent.id, "open")
    await scene.state.services.disable(ADMIN, "demo", "notes")
    with pytest.raises(NotFound):
        await scene.begin()


async def test_a_service_that_is_switched_off_meanwhile_is_not_connected(
    scene: SignInScene,
) -> None:
    confirmation = await scene.signed_in()
    await scene.state.services.disable(ADMIN, "demo", "notes")
    with pytest.raises(Conflict, match="switched off"):
        await scene.state.flows.confirm(scene.ann, confirmation.flow_id)
    await scene.state.tasks.settle()
    assert scene.server.grants[0].is_revoked


async def test_an_error_of_the_provider_is_told_in_our_words(scene: SignInScene) -> None:
    scene.server.denies = "access_denied"
    with pytest.raises(Invalid, match="not granted at the provider"):
        await scene.back(scene.ann, await at_provider(await scene.begin()))
    assert scene.server.token_requests == []
    assert await scene.reasons() == ["provider_access_denied"]


async def test_a_code_that_the_provider_refuses_connects_nothing(scene: SignInScene) -> None:
    query = await at_provider(await scene.begin())
    scene.server.codes.clear()
    with pytest.raises(Invalid, match="did not accept the code"):
        await scene.back(scene.ann, query)
    assert await scene.reasons() == ["exchange_invalid_grant"]
    assert await scene.open_flows() == []


async def test_a_token_endpoint_that_is_broken_connects_nothing(scene: SignInScene) -> None:
    query = await at_provider(await scene.begin())
    scene.server.scripted.append(Scripted(status=200, body=b"<html>"))
    with pytest.raises(Unreachable):
        await scene.back(scene.ann, query)
    assert await scene.reasons() == ["exchange_other"]


async def test_disconnecting_a_pending_account_revokes_it(scene: SignInScene) -> None:
    await scene.connected()
    await scene.state.connections.disconnect_own(scene.ann, scene.agent.id, "notes")
    await scene.state.tasks.settle()
    assert scene.server.grants[0].is_revoked


async def test_a_pending_account_that_expires_is_revoked(scene: SignInScene) -> None:
    await scene.connected()
    scene.state.clock.pass_s(24 * 3600)
    assert await scene.state.connections.expire_pending() == 1
    await scene.state.tasks.settle()
    assert scene.server.grants[0].is_revoked


async def test_what_only_the_member_can_open_is_not_revoked_by_the_server(
    scene: SignInScene,
) -> None:
    await key_of(scene)
    await scene.connected()
    await scene.state.connections.disconnect_own(scene.ann, scene.agent.id, "notes")
    await scene.state.tasks.settle()
    assert scene.server.revoked == []


async def test_a_provider_that_cannot_be_told_holds_nothing_up(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        await scene.connected()
        scene.server.metadata["revocation_endpoint"] = None
        scene.state.clock.pass_s(3600)
        await scene.state.connections.disconnect_own(scene.ann, scene.agent.id, "notes")
        await scene.state.tasks.settle()
        held = await scene.held()
        assert held is not None
        assert held.state is ConnectionState.REVOKED


async def test_the_verifier_that_redeems_is_the_one_of_the_link(scene: SignInScene) -> None:
    link = await scene.begin()
    await scene.back(scene.ann, await at_provider(link))
    (request,) = scene.server.token_requests
    assert len(request.form["code_verifier"]) == 64
    assert challenge(request.form["code_verifier"]) == asked(link)["code_challenge"]


async def test_a_sloppy_providers_answer_is_taken(tmp_path: Path) -> None:
    async with open_scene(tmp_path, Mode.SLOPPY) as scene:
        kept = await scene.connected()
        assert (kept.access_expires_at, kept.scopes) == (None, "offline_access")


async def test_a_client_is_registered_once_for_all_members(scene: SignInScene) -> None:
    eve = await scene.other_member()
    await scene.begin()
    await scene.begin(eve)
    assert len(scene.server.clients) == 1
    kinds = await scene.state.kinds()
    assert kinds.count("service.credentials_set") == 1


async def test_a_static_token_in_its_place_keeps_nothing_of_the_provider(
    scene: SignInScene,
) -> None:
    await scene.connected()
    scene.state.connectors["notes"] = scene.upstream.connector().replace(
        'kind = "oauth"', 'kind = "static", header = "Authorization"'
    )
    scene.state.files.put(scene.state.catalogue())
    await scene.state.connections.set_own_static(scene.ann, scene.agent.id, "notes", b"pasted")
    held = await scene.held()
    assert held is not None
    assert (held.issuer, held.scopes, held.access_expires_at) == (None, None, None)
    assert not held.refreshable


async def test_no_client_document_is_published_unless_it_is_switched_on(
    scene: SignInScene,
) -> None:
    assert scene.state.flows.client_document() is None
