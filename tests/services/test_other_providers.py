"""A sign-in at a server of another maker, with an admin's own app, from code to revocation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.services.test_oauth_flows import credential
from tests.support.authlib_server import Authlib, serve_authlib
from tests.support.sign_ins import SignInScene, at_provider, key_of, open_scene
from tests.support.state import ADMIN, PUBLIC_URL
from wicketd.domain.connections import ConnectionState
from wicketd.services.oauth_flows import Confirmation
from wicketd.vault.secret import Secret


@asynccontextmanager
async def at_authlib(directory: Path) -> AsyncIterator[tuple[SignInScene, Authlib]]:
    """The service names authlib's server, where an admin has registered an app."""
    async with open_scene(directory) as scene, serve_authlib() as site:
        assert scene.upstream.resource is not None
        scene.upstream.resource["authorization_servers"] = [site.url]
        scene.upstream.challenge = f'{scene.upstream.challenge}, scope="read"'
        app = site.register("client_secret_basic", f"{PUBLIC_URL}/oauth/callback/notes")
        secret = Secret(app.secret.encode())
        await scene.state.flows.apps.put(ADMIN, "demo", "notes", app.client_id, secret, expected=1)
        yield scene, site


async def signed_in(scene: SignInScene) -> Confirmation:
    """Up to the confirmation page."""
    return await scene.back(scene.ann, await at_provider(await scene.begin()))


async def test_authlibs_server_takes_code_and_refresh(tmp_path: Path) -> None:
    async with at_authlib(tmp_path) as (scene, site):
        page = await signed_in(scene)
        kept = await scene.state.flows.confirm(scene.ann, page.flow_id)
        assert (kept.state, kept.issuer) == (ConnectionState.PENDING, site.url)
        text = await key_of(scene)
        assert site.admits(await credential(scene, text))
        before = len(site.store.tokens)
        scene.state.clock.pass_s(30 * 24 * 3600)
        assert site.admits(await credential(scene, text))
        assert len(site.store.tokens) == before + 1


async def test_authlibs_server_revokes_what_is_declined(tmp_path: Path) -> None:
    async with at_authlib(tmp_path) as (scene, site):
        page = await signed_in(scene)
        await scene.state.flows.discard(scene.ann, page.flow_id)
        await scene.state.tasks.settle()
        assert [token.is_revoked for token in site.store.tokens] == [True]
