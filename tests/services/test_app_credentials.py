"""An admin's app: stored sealed for one issuer, used in the next sign-in, never given back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.sign_ins import SignInScene, asked, at_provider, open_scene
from tests.support.state import ADMIN, PUBLIC_URL
from wicketd.domain.errors import Conflict, Forbidden, Invalid, NotFound, RevisionMoved
from wicketd.domain.ports import Query, Statement
from wicketd.vault.secret import Secret

CANARY = b"app-secret-canary-83b1"


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[SignInScene]:
    """Ann at a provider where an admin has registered an app, of which Wicket knows nothing yet."""
    async with open_scene(tmp_path) as made:
        yield made


async def put(scene: SignInScene, secret: bytes = CANARY, expected: int | None = None) -> str:
    """Registers an app at the provider and stores it; gives its client id."""
    redirect = f"{PUBLIC_URL}/oauth/callback/notes"
    client = scene.server.register(redirect, secret=secret.decode())
    now = (await scene.state.services.get("demo", "notes")).service.rev
    rev = now if expected is None else expected
    await scene.state.flows.apps.put(
        ADMIN, "demo", "notes", client.client_id, Secret(secret), expected=rev
    )
    return client.client_id


async def test_a_stored_app_is_used_and_its_secret_shown_to_its_issuer(scene: SignInScene) -> None:
    client_id = await put(scene)
    link = await scene.begin()
    assert asked(link)["client_id"] == client_id
    await scene.back(scene.ann, await at_provider(link))
    (request,) = scene.server.token_requests
    assert request.headers["Authorization"].startswith("Basic ")
    assert "client_secret" not in request.form
    assert len(scene.server.clients) == 1


async def test_the_secret_is_sealed_and_shows_nowhere(scene: SignInScene) -> None:
    await put(scene)
    assert CANARY not in scene.state.file_bytes()
    report = await scene.state.services.get("demo", "notes")
    assert report.service.secret_set_at == scene.state.clock.now_ms()
    assert CANARY.decode() not in repr(report)
    rows = await scene.state.rows()
    assert rows[-1].kind == "service.credentials_set"
    assert CANARY.decode() not in "".join(row.body for row in rows)


async def test_an_old_revision_stores_nothing(scene: SignInScene) -> None:
    with pytest.raises(RevisionMoved):
        await put(scene, expected=99)
    assert (await scene.state.services.get("demo", "notes")).service.secret_set_at is None


@pytest.mark.parametrize(
    ("client_id", "secret"), [("", b"s"), (" a", b"s"), ("c", b""), ("c", b"a\nb"), ("c", b"\xff")]
)
async def test_what_could_not_stand_in_a_request_is_refused(
    scene: SignInScene, client_id: str, secret: bytes
) -> None:
    with pytest.raises(Invalid):
        await scene.state.flows.apps.put(
            ADMIN, "demo", "notes", client_id, Secret(secret), expected=1
        )


async def test_a_service_without_a_sign_in_takes_no_app(scene: SignInScene) -> None:
    await scene.state.service(key="open")
    with pytest.raises(Conflict, match="no sign-in"):
        await scene.state.flows.apps.put(ADMIN, "demo", "open", "c", Secret(b"s"), expected=1)
    with pytest.raises(NotFound):
        await scene.state.flows.apps.put(ADMIN, "demo", "none", "c", Secret(b"s"), expected=1)


async def test_a_cleared_app_is_destroyed_and_nobody_signs_in_with_it(scene: SignInScene) -> None:
    await put(scene)
    query = await at_provider(await scene.begin())
    await scene.state.flows.apps.clear(ADMIN, "demo", "notes")
    with pytest.raises(Forbidden):
        await scene.back(scene.ann, query)
    assert await scene.reasons() == ["app_changed"]
    assert scene.server.token_requests == []
    with pytest.raises(Conflict, match="no app credentials"):
        await scene.state.flows.apps.clear(ADMIN, "demo", "notes")


async def test_where_the_file_wants_an_admins_app_there_is_no_sign_in_without_one(
    scene: SignInScene,
) -> None:
    scene.file(registration="pre")
    for refused in (
        scene.begin(),
        scene.state.flows.prepare(scene.ann, scene.agent.id, "notes"),
    ):
        with pytest.raises(Conflict, match="are missing"):
            await refused
    assert scene.server.clients == {}
    await put(scene)
    await scene.begin()


async def test_enabling_a_service_that_wants_an_app_says_so_and_shows_the_callback(
    scene: SignInScene,
) -> None:
    scene.file(registration="pre")
    await scene.state.services.disable(ADMIN, "demo", "notes")
    report = await scene.state.services.enable(ADMIN, "demo", "notes")
    assert report.service.callback_url == f"{PUBLIC_URL}/oauth/callback/notes"
    assert report.note is not None
    assert "wicket service credentials demo notes --client-id ID" in report.note


async def test_a_removed_service_takes_its_app_along_and_tells_the_provider_first(
    scene: SignInScene,
) -> None:
    await put(scene)
    await scene.connected()
    await scene.state.services.disable(ADMIN, "demo", "notes")
    await scene.state.services.remove(ADMIN, "demo", "notes", purge=True)
    await scene.state.tasks.settle()
    assert scene.server.grants[0].is_revoked
    columns = "issuer, client_id, client_secret_ct, secret_set_at"
    query = Query(f"SELECT {columns} FROM services WHERE key = 'notes'", (), tuple)  # noqa: S608
    rows = await scene.state.db.all(query)
    assert rows == [(None, None, None, None)]


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE services SET secret_set_at = secret_set_at + 1",
        "UPDATE services SET client_secret_ct = substr(client_secret_ct, 1, 40)",
    ],
)
async def test_an_edited_secret_is_not_used(scene: SignInScene, edit: str) -> None:
    await put(scene)
    await scene.state.db.write(lambda tx: tx.run(Statement(edit, ())))
    with pytest.raises(Conflict, match="cannot be opened"):
        await scene.begin()


async def test_the_app_belongs_to_the_issuer_that_the_file_names(scene: SignInScene) -> None:
    scene.state.connectors["notes"] = scene.upstream.connector().replace(
        "[tools]", '[oauth]\nissuer = "https://as.example.test"\n[tools]'
    )
    scene.state.files.put(scene.state.catalogue())
    requests = len(scene.server.requests)
    await scene.state.flows.apps.put(ADMIN, "demo", "notes", "c", Secret(b"s"), expected=1)
    assert len(scene.server.requests) == requests
    rows = await scene.state.rows()
    assert '"issuer":"https://as.example.test"' in rows[-1].body
