"""An admin signs a local member in over SSH: the same checks; what is pasted is not fetched."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.sign_ins import SignInScene, asked, at_provider, open_scene
from tests.support.state import ADMIN, PUBLIC_URL
from wicketd.domain.connections import Connection, ConnectionState
from wicketd.domain.errors import Conflict, Forbidden, Invalid, NotFound
from wicketd.services.oauth_flows import Finished
from wicketd.storage import connections

REDIRECT = f"{PUBLIC_URL}/oauth/callback/notes"


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[SignInScene]:
    """Bob is a local member of the agent."""
    async with open_scene(tmp_path) as made:
        await made.state.member()
        yield made


async def begin(scene: SignInScene, member: str = "bob") -> str:
    """The link that the command prints."""
    return await scene.state.flows.start_for(ADMIN, "demo", member, "notes")


async def finish(scene: SignInScene, pasted: str, member: str = "bob") -> Finished:
    """What the command does with what was pasted."""
    return await scene.state.flows.finish_for(ADMIN, "demo", member, "notes", pasted)


async def pasted(scene: SignInScene, link: str | None = None) -> str:
    """What stands in the browser's address bar after the consent."""
    query = await at_provider(await begin(scene) if link is None else link)
    return f"{REDIRECT}?{query.decode()}"


async def held(scene: SignInScene) -> Connection | None:
    """Bob's connection."""
    bob = await scene.state.members.get("demo", "bob")
    rows = await scene.state.db.all(connections.of_member_with_service(scene.agent.id, bob.id))
    return rows[0][0] if rows else None


async def test_a_pasted_address_connects_and_is_never_fetched(scene: SignInScene) -> None:
    address = await pasted(scene)
    done = await finish(scene, f"  {address}\n")
    assert (done.account_label, done.scopes) == (None, ("offline_access",))
    assert done.state is ConnectionState.PENDING
    assert done.pending_expires_at is not None
    assert [path for _, path in scene.server.requests if "callback" in path] == []
    rows = await scene.state.rows()
    assert rows[-1].kind == "connection.pending"
    assert '"uid":1000' in rows[-1].body


async def test_with_a_key_it_is_sealed_at_once(scene: SignInScene) -> None:
    caller = await scene.state.caller()
    done = await finish(scene, await pasted(scene))
    assert (done.state, done.pending_expires_at) == (ConnectionState.SEALED, None)
    found = await scene.state.connections.unlock(caller, "notes")
    assert scene.server.admits(found.value.reveal().decode())  # type: ignore[union-attr]  # a Credential


async def test_a_bare_code_is_enough_where_the_provider_never_promised_its_name(
    scene: SignInScene,
) -> None:
    scene.server.metadata["authorization_response_iss_parameter_supported"] = False
    await at_provider(await begin(scene))
    (code,) = scene.server.codes
    assert (await finish(scene, code)).state is ConnectionState.PENDING


async def test_a_bare_code_is_refused_where_the_issuers_name_must_be_checked(
    scene: SignInScene,
) -> None:
    await at_provider(await begin(scene))
    (code,) = scene.server.codes
    with pytest.raises(Forbidden):
        await finish(scene, code)
    assert scene.server.token_requests == []
    assert await scene.reasons() == ["issuer_missing"]


async def test_a_bare_code_fits_one_open_attempt_and_no_choice_is_made(scene: SignInScene) -> None:
    with pytest.raises(Conflict, match="exactly one open sign-in"):
        await finish(scene, "code")
    await begin(scene)
    await begin(scene)
    with pytest.raises(Conflict, match="exactly one open sign-in"):
        await finish(scene, "code")
    assert scene.server.token_requests == []


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.test/oauth/callback/notes?code=c&state=s",
        f"{PUBLIC_URL}/oauth/callback/other?code=c&state=s",
        f"{PUBLIC_URL}@evil.test/oauth/callback/notes?code=c&state=s",
        f"{REDIRECT}/?code=c&state=s",
        f"{REDIRECT}",
        f"{REDIRECT}#code=c&state=s",
        "javascript://x?code=c&state=s",
        f"{REDIRECT}?code=é&state=s",
        f"{REDIRECT}?code={'c' * 9000}&state=s",
    ],
)
async def test_an_address_that_is_not_the_services_own_is_refused(
    scene: SignInScene, address: str
) -> None:
    await begin(scene)
    with pytest.raises(Invalid, match="Paste it whole"):
        await finish(scene, address)
    assert scene.server.token_requests == []


async def test_a_pasted_state_is_good_once_and_for_its_own_member(scene: SignInScene) -> None:
    await scene.state.member(name="carl")
    address = await pasted(scene)
    with pytest.raises(Forbidden):
        await finish(scene, address, "carl")
    await finish(scene, address)
    with pytest.raises(Forbidden):
        await finish(scene, address)
    assert await scene.reasons() == ["other_member", "state_unknown"]


async def test_a_state_of_the_portal_is_not_redeemed_here_nor_the_other_way(
    scene: SignInScene,
) -> None:
    mine = await pasted(scene)
    with pytest.raises(Forbidden):
        await scene.back(scene.ann, mine.partition("?")[2].encode())
    hers = f"{REDIRECT}?{(await at_provider(await scene.begin())).decode()}"
    with pytest.raises(Forbidden):
        await finish(scene, hers)
    assert scene.server.token_requests == []


async def test_a_pasted_state_is_too_late_after_ten_minutes(scene: SignInScene) -> None:
    address = await pasted(scene)
    scene.state.clock.pass_s(600)
    with pytest.raises(Forbidden):
        await finish(scene, address)
    assert await scene.reasons() == ["state_late"]


async def test_only_local_members_are_connected_by_an_admin(scene: SignInScene) -> None:
    with pytest.raises(Conflict, match="connects in the portal"):
        await begin(scene, "ann@example.test")
    with pytest.raises(Conflict, match="connects in the portal"):
        await finish(scene, "code", "ann@example.test")
    with pytest.raises(NotFound):
        await begin(scene, "nobody")


async def test_a_removed_member_and_a_service_that_is_off_are_refused(scene: SignInScene) -> None:
    address = await pasted(scene)
    await scene.state.services.disable(ADMIN, "demo", "notes")
    for refused in (begin(scene), finish(scene, address)):
        with pytest.raises(Conflict, match="is disabled"):
            await refused
    await scene.state.services.enable(ADMIN, "demo", "notes")
    bob = await scene.state.members.get("demo", "bob")
    await scene.state.members.remove(ADMIN, "demo", "bob")
    with pytest.raises(Conflict, match="is removed"):
        await finish(scene, address, bob.id)
    assert scene.server.token_requests == []


async def test_a_second_attempt_takes_the_same_row(scene: SignInScene) -> None:
    links = [await begin(scene), await begin(scene)]
    assert asked(links[0])["state"] != asked(links[1])["state"]
    first = await finish(scene, await pasted(scene, links[0]))
    row = await held(scene)
    second = await finish(scene, await pasted(scene, links[1]))
    again = await held(scene)
    assert row is not None
    assert again is not None
    assert (first.state, second.state, again.id) == (
        ConnectionState.PENDING,
        ConnectionState.PENDING,
        row.id,
    )
