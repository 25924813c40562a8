"""The daemon under systemd's conditions: notify, watchdog, handed-over sockets, credentials."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.daemon import free_port
from tests.support.systemd import Manager, credentials, directives, managed

NO_PERMISSION = 4


@pytest.fixture
async def manager() -> AsyncIterator[Manager]:
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        async with managed(Path(place), free_port()) as made:
            yield made


async def test_ready_is_said_when_all_three_doors_are_open(manager: Manager) -> None:
    manager.start()

    assert await manager.hear() == {"READY": "1", "WATCHDOG": "1", "STATUS": "Serving."}

    daemon, sockets = manager.daemon, manager.sockets
    assert httpx.get(f"http://127.0.0.1:{daemon.port}/alive").status_code == 200
    assert sorted(sockets) == ["admin", "admin-ro"]
    for path in sockets.values():
        daemon.wicket("status", "--socket", str(path))
    make = ("agent", "create", "home", "--name", "Home")
    reader = ("--socket", str(sockets["admin-ro"]))
    daemon.run("wicket_tui", *make, *reader, code=NO_PERMISSION)
    daemon.wicket(*make, "--socket", str(sockets["admin"]))


async def test_nothing_of_ours_lies_beside_the_sockets_or_the_database(manager: Manager) -> None:
    manager.start()
    await manager.hear()

    names = {path.name for path in (manager.daemon.directory / "state").iterdir()}

    assert "wicket.db" in names
    assert names.isdisjoint({"run", *credentials()})


async def test_the_watchdog_is_fed_at_half_its_limit(manager: Manager) -> None:
    manager.start(watchdog_s=0.2)

    heard = [await manager.hear() for _ in range(4)]

    assert [one["WATCHDOG"] for one in heard] == ["1"] * 4
    assert [one.get("READY") for one in heard] == ["1", None, None, None]


async def test_a_stop_is_announced_clean_and_leaves_systemds_sockets(manager: Manager) -> None:
    manager.start()
    await manager.hear()

    manager.signal_stop()

    assert (await manager.hear())["STOPPING"] == "1"
    assert await manager.ended() == 0
    assert all(path.is_socket() for path in manager.sockets.values())


@pytest.mark.parametrize("name", credentials())
async def test_a_missing_credential_refuses_the_start_for_good(manager: Manager, name: str) -> None:
    (manager.daemon.directory / "credentials" / name).unlink()

    manager.start()
    code = await manager.ended()

    assert code == 78
    assert str(code) in directives("wicketd.service")["RestartPreventExitStatus"][0].split()
    assert name.split(".")[0] in manager.daemon.log
    with pytest.raises(BlockingIOError):  # neither ready nor anything else was said
        manager.inbox.recv(1)
