"""A service's OAuth app comes back to these queries and to no other."""

from tests.storage.rows import AGENT, SERVICE, run, service
from wicketd.domain.catalogue import ServiceState
from wicketd.domain.ids import AgentId, Revision
from wicketd.storage import app_credentials, services
from wicketd.storage.app_credentials import StoredApp
from wicketd.storage.db import SqliteDatabase

NONE = StoredApp(SERVICE, AGENT, None, None, None, None, None)
APP = StoredApp(SERVICE, AGENT, "https://as.example", "client-1", b"sealed", "k1", 5)


async def test_an_app_comes_back_and_goes(seeded: SqliteDatabase) -> None:
    of_service = app_credentials.of_service(AGENT, SERVICE)
    assert await seeded.one(of_service) == NONE
    await run(seeded, app_credentials.put(APP))
    assert await seeded.one(of_service) == APP
    await run(seeded, app_credentials.put(NONE))
    assert await seeded.one(of_service) == NONE


async def test_a_change_of_the_app_is_a_change_of_the_service(seeded: SqliteDatabase) -> None:
    await run(seeded, app_credentials.put(APP))
    found = await seeded.one(services.by_key(AGENT, "git"))
    assert found is not None
    assert found.rev == service().rev + 1
    assert "sealed" not in repr(found)


async def test_another_agents_service_has_no_app(seeded: SqliteDatabase) -> None:
    await run(seeded, app_credentials.put(APP))
    assert await seeded.one(app_credentials.of_service(AgentId("other"), SERVICE)) is None


async def test_a_removed_service_has_none(seeded: SqliteDatabase) -> None:
    gone = services.set_state(SERVICE, ServiceState.REMOVED, Revision(1))
    assert await run(seeded, gone, app_credentials.put(APP)) == [1, 0]
