"""The daemon as a process: its sockets, its signals, what refuses its start; and its parts."""

import asyncio
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import running_daemon
from wicketd import daemon
from wicketd.audit import public_keys
from wicketd.config import Config, StdioTable, load
from wicketd.daemon import Tasks
from wicketd.domain.errors import ConfigInvalid
from wicketd.system import SystemClock, SystemIds, SystemRandom
from wicketd.vault import keyring


@pytest.fixture
def place() -> Iterator[Path]:
    """A short directory: a socket's path has 107 characters."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def mode(path: Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_daemon_serves_leaves_on_a_signal_and_starts_over_what_a_kill_left(
    place: Path,
) -> None:
    async with running_daemon(place) as running:
        for name in ("admin.sock", "admin-ro.sock"):
            assert stat.S_ISSOCK((place / "run" / name).stat().st_mode)
            assert mode(place / "run" / name) in {0o600, 0o660}
        key = keyring.load_audit_key(place / "audit.key", {})
        assert public_keys.parse((place / "audit.pub").read_text()) == key.publics
        assert mode(place / "wicket.db") == 0o600
        assert await asyncio.to_thread(running.stop) == 0
        await running.start()
        running.kill()
        assert (place / "run" / "admin.sock").exists()
        await running.start()
        listed = await asyncio.to_thread(running.wicket, "audit", "list")
    kinds = [row["kind"] for row in listed]
    assert (kinds.count("system.started"), kinds.count("system.stopped")) == (3, 1)


def test_each_setting_says_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "wicketd.toml"
    file.write_text("[mcp]\nstatus_tool = false\n[rate]\nburst = 7\n")
    environ = {"WICKET_RATE_BURST": "8"}
    settings = daemon._settings(load(file, environ), file, environ)
    found = {one.key: (one.value, one.source) for one in settings.items}
    assert found["mcp.status_tool"] == (False, "file")
    assert found["rate.burst"] == (8, "environment")
    assert found["rate.in_flight"] == (64, "default")
    assert found["http.hosts"] == ([], "default")
    assert settings.mcp_url == "http://127.0.0.1:8650/mcp"


def test_a_proxy_that_is_no_network_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "wicketd.toml"
    file.write_text('[http]\ntrusted_proxies = ["nowhere"]\n')
    with pytest.raises(ConfigInvalid, match=r"http\.trusted_proxies"):
        daemon._networks(load(file, {}))


async def test_tasks_end_with_the_daemon_and_failures_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks = Tasks()

    async def fail() -> None:
        message = "out of luck"
        raise RuntimeError(message)

    forever = tasks(asyncio.Event().wait(), name="waits")
    failing = tasks(fail(), name="fails")
    await asyncio.wait([failing])
    await tasks.cancel()
    assert forever.cancelled()
    assert "fails failed" in caplog.text
    assert "waits" not in caplog.text
    assert tasks._running == set()


def test_the_systems_clock_ids_and_random_bytes() -> None:
    clock = SystemClock()
    assert clock.now_ms() > 1_700_000_000_000
    assert clock.monotonic_s() <= clock.monotonic_s()
    ids = [SystemIds().uuid7() for _ in range(2)]
    assert len(set(ids)) == 2
    assert all(len(one) == 36 and one[14] == "7" for one in ids)
    assert len(SystemRandom().bytes(32)) == 32


@pytest.mark.requirement("P4")
def test_a_crash_of_the_daemon_leaves_no_memory_behind() -> None:
    """Whether the kernel would write a core file: 1 before, 0 once the daemon has begun."""
    script = (
        "import ctypes; from wicketd import daemon; libc = ctypes.CDLL(None);"
        "before = libc.prctl(3, 0, 0, 0, 0); daemon._never_dump();"
        "print(before, libc.prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.split() == ["1", "0"]


def test_where_the_keyring_is_a_credential_commands_run_only_at_an_administrators_word(
    tmp_path: Path,
) -> None:
    file = tmp_path / "server.keyring"
    file.write_bytes(keyring.generate("2026-11-24T00:00:00Z", SystemRandom()))
    file.chmod(0o600)
    credential = keyring.load(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).source
    plain, inline = Config(), Config(stdio=StdioTable(inline=True))
    assert not daemon.may_spawn(plain, credential)
    assert daemon.may_spawn(inline, credential)
    assert daemon.may_spawn(plain, keyring.load(file, {}).source)
