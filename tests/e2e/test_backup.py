"""`wicketd backup` beside a running daemon, and `wicketd restore` in its place, as an operator."""

from pathlib import Path

import pytest

from tests.support.daemon import RunningDaemon, running_daemon


def agents(daemon: RunningDaemon) -> set[str]:
    return {one["key"] for one in daemon.wicket("agent", "list")}


@pytest.mark.long  # tests/services/test_backup.py holds each step without a process
async def test_a_backup_made_while_serving_is_what_serves_after_a_restore(tmp_path: Path) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy.db"
    home.mkdir(mode=0o700)
    async with running_daemon(home) as daemon:
        config = ("--config", str(daemon.config))
        daemon.wicket("agent", "create", "before", "--name", "Before")
        said = daemon.run("wicketd", "backup", str(copy), *config)
        assert "without one nothing opens it" in said
        daemon.wicket("agent", "create", "after", "--name", "After")
        daemon.run("wicketd", "restore", str(copy), "--force", *config, code=73)
        assert agents(daemon) == {"before", "after"}
        daemon.stop()
        daemon.run("wicketd", "restore", str(copy), *config, code=1)
        said = daemon.run("wicketd", "restore", str(copy), "--force", *config)
        assert "moved wicket.db.before-restore-" in said
        await daemon.start()
        assert agents(daemon) == {"before"}
        daemon.stop()
        verified = daemon.run("wicketd", "audit", "verify", *config)
        assert "declares a restored backup" in verified
