"""Mix-up and re-pointing: another issuer answers, another host stands in connector or row.

Removals tried: without the `iss` rules of `oauth.callback.code_of` the first two tests redeem; with
the origin left out of `places.flow_aad` and no check of the resource the moved connector is filled.
"""

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.services.test_oauth_flows import caller
from tests.support.oauth_server import Mode, serve_oauth
from tests.support.protected import serve_protected
from tests.support.sign_ins import SignInScene, at_provider, key_of, open_scene
from wicketd.domain.calls import Failure
from wicketd.domain.connections import ConnectionState
from wicketd.domain.errors import Conflict, Forbidden, Malformed
from wicketd.domain.ports import Statement
from wicketd.storage import app_credentials, services

EVIL = quote("https://evil.test", safe="")


async def without_iss(scene: SignInScene) -> bytes:
    """What comes back from a provider that leaves its name out."""
    parts = (await at_provider(await scene.begin())).split(b"&")
    return b"&".join(part for part in parts if not part.startswith(b"iss="))


async def test_an_answer_in_another_issuers_name_is_not_redeemed(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        query = await without_iss(scene) + f"&iss={EVIL}".encode()
        with pytest.raises(Forbidden):
            await scene.back(scene.ann, query)
        assert scene.server.token_requests == []
        assert await scene.reasons() == ["issuer_mismatch"]


async def test_an_issuer_that_was_promised_and_is_missing_is_not_redeemed(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        with pytest.raises(Forbidden):
            await scene.back(scene.ann, await without_iss(scene))
        assert scene.server.token_requests == []
        assert await scene.reasons() == ["issuer_missing"]


async def test_a_provider_that_never_promised_it_may_leave_it_out(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        scene.server.metadata["authorization_response_iss_parameter_supported"] = False
        await scene.back(scene.ann, await at_provider(await scene.begin()))


async def test_the_code_goes_to_the_recorded_token_endpoint_whatever_the_metadata_says_now(
    tmp_path: Path,
) -> None:
    async with open_scene(tmp_path) as scene, serve_oauth(Mode.HOSTILE) as evil:
        query = await at_provider(await scene.begin())
        scene.server.metadata["token_endpoint"] = f"{evil.url}/token"
        await scene.back(scene.ann, query)
        assert evil.requests == []


async def test_an_admins_app_is_not_shown_to_a_new_issuer(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene, serve_oauth(Mode.STRICT) as other:
        scene.server.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_basic"]
        await scene.begin()
        assert scene.upstream.resource is not None
        scene.upstream.resource["authorization_servers"] = [other.issuer]
        with pytest.raises(Conflict, match="app credentials"):
            await scene.begin()
        assert [path for _, path in other.requests if "well-known" not in path] == []
        service = await scene.state.db.one(services.by_key(scene.agent.id, "notes"))
        assert service is not None
        assert "another provider" in (service.last_error or "")


async def test_a_public_client_is_registered_anew_at_a_new_issuer(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene, serve_oauth(Mode.STRICT) as other:
        await scene.begin()
        assert scene.upstream.resource is not None
        scene.upstream.resource["authorization_servers"] = [other.issuer]
        await scene.begin()
        assert len(other.clients) == 1
        service = await scene.state.db.one(services.by_key(scene.agent.id, "notes"))
        assert service is not None
        app = await scene.state.db.one(app_credentials.of_service(scene.agent.id, service.id))
        assert app is not None
        assert app.issuer == other.issuer


@pytest.mark.requirement("connector-re-pointed")
@pytest.mark.parametrize("make_key", [False, True])
async def test_a_connector_re_pointed_between_callback_and_confirmation_gets_nothing(
    tmp_path: Path, make_key: bool
) -> None:
    async with open_scene(tmp_path) as scene, serve_protected(scene.server) as evil:
        if make_key:
            await key_of(scene)
        page = await scene.signed_in()
        scene.state.connectors["notes"] = evil.connector()
        scene.state.files.put(scene.state.catalogue())
        with pytest.raises(Conflict):
            await scene.state.flows.confirm(scene.ann, page.flow_id)
        assert await scene.held() is None
        assert evil.paths == []


@pytest.mark.requirement("connector-re-pointed")
@pytest.mark.parametrize("column", ["origin", "placement"])
async def test_a_row_re_pointed_with_its_connector_opens_for_nobody(
    tmp_path: Path, column: str
) -> None:
    async with open_scene(tmp_path) as scene, serve_protected(scene.server) as evil:
        text = await key_of(scene)
        await scene.connected()
        scene.state.connectors["notes"] = evil.connector()
        scene.state.files.put(scene.state.catalogue())
        value = evil.url.removesuffix("/mcp") if column == "origin" else "header:x-evil"
        edit = Statement(f"UPDATE connections SET {column} = ?", (value,))  # noqa: S608
        await scene.state.db.write(lambda tx: tx.run(edit))
        found = await scene.state.connections.unlock(await caller(scene, text), "notes")
        assert isinstance(found, Failure)
        held = await scene.held()
        assert held is not None
        assert held.state is ConnectionState.NEEDS_RECONNECT
        assert evil.paths == []


async def test_a_connector_re_pointed_before_the_callback_redeems_nothing(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene, serve_protected(scene.server) as evil:
        query = await at_provider(await scene.begin())
        scene.state.connectors["notes"] = evil.connector()
        scene.state.files.put(scene.state.catalogue())
        with pytest.raises(Forbidden):
            await scene.back(scene.ann, query)
        assert scene.server.token_requests == []
        assert await scene.reasons() == ["service_moved"]


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE oauth_flows SET expires_at = expires_at + 1",
        "UPDATE oauth_flows SET connection_id = 'other'",
        "UPDATE oauth_flows SET issuer = 'https://evil.test'",
    ],
)
async def test_an_edited_row_of_a_members_sign_in_fills_no_connection(
    tmp_path: Path, edit: str
) -> None:
    async with open_scene(tmp_path) as scene:
        text = await key_of(scene)
        page = await scene.signed_in()
        await scene.state.db.write(lambda tx: tx.run(Statement(edit, ())))
        try:
            await scene.state.flows.confirm(scene.ann, page.flow_id)
        except Conflict:
            assert await scene.held() is None
            return
        # What only the inner layer binds shows at the first keyed use.
        found = await scene.state.connections.unlock(await caller(scene, text), "notes")
        assert isinstance(found, Failure)


async def test_a_moved_verifier_redeems_nothing(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        query = await at_provider(await scene.begin())
        edit = Statement("UPDATE oauth_flows SET expires_at = expires_at - 1", ())
        await scene.state.db.write(lambda tx: tx.run(edit))
        with pytest.raises(Forbidden):
            await scene.back(scene.ann, query)
        assert scene.server.token_requests == []


async def test_an_authorization_endpoint_that_is_a_script_is_never_linked(tmp_path: Path) -> None:
    async with open_scene(tmp_path, Mode.HOSTILE) as scene:
        scene.server.metadata["authorization_endpoint"] = "javascript:alert(1)"
        with pytest.raises(Malformed):
            await scene.begin()
        assert await scene.open_flows() == []
