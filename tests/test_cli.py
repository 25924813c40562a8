"""`wicketd` by its transcripts: what it prints, where, and the exit code."""

import asyncio
import os
import socket
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from tests.support.state import FakeClock
from wicketd import __version__, cli, shell
from wicketd.domain import errors
from wicketd.domain.errors import WicketError
from wicketd.storage.db import SqliteDatabase


@dataclass(frozen=True)
class Ran:
    """One command that ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `wicketd ARGS`; the state directory is the test's own."""
    for name in [name for name in os.environ if name.startswith("WICKET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WICKET_STATE_DIR", str(tmp_path))
    monkeypatch.setattr("wicketd.config.SYSTEM_DIRECTORY", tmp_path / "etc")

    def command(*arguments: str) -> Ran:
        monkeypatch.setattr("sys.argv", ["wicketd", *arguments])
        code = cli.main()
        told = capsys.readouterr()
        return Ran(code, told.out, told.err)

    return command


def test_init_makes_what_is_missing_and_says_how_to_go_on(run: Run, tmp_path: Path) -> None:
    first = run("init", "--dir", str(tmp_path))
    assert (first.code, first.err) == (0, "")
    assert first.out == (
        f"made {tmp_path}/server.keyring\nmade {tmp_path}/audit.key\nmade {tmp_path}/wicketd.toml\n"
        f"Next: wicketd serve --config {tmp_path}/wicketd.toml\n"
    )
    again = run("init", "--dir", str(tmp_path), "--systemd")
    assert again.out.startswith(f"kept {tmp_path}/server.keyring\n")
    assert "/etc/wicket/credentials" in again.out


def test_init_where_nothing_may_be_written_ends_with_77(run: Run) -> None:
    refused = run("init", "--dir", "/sys/wicket")
    assert (refused.code, refused.out) == (77, "")
    assert "Choose another directory with --dir." in refused.err


def test_config_check_names_the_file_it_read(run: Run, tmp_path: Path) -> None:
    assert run("config", "check") == Ran(0, "defaults: good\n", "")
    file = tmp_path / "wicketd.toml"
    file.write_text("[server]\nport = 9\n")
    assert run("config", "check") == Ran(0, f"{file}: good\n", "")
    other = tmp_path / "other.toml"
    other.write_text("[server]\nport = 'x'\n")
    wrong = run("config", "check", str(other))
    assert (wrong.code, wrong.out) == (78, "")
    assert wrong.err.startswith(f"wicketd: {other}: Expected `int`")
    assert wrong.err.endswith("  Compare it with docs/config.md.\n")


def test_config_check_reads_the_connector_files_too(run: Run, tmp_path: Path) -> None:
    run("init", "--dir", str(tmp_path))
    connector = tmp_path / "connectors.d" / "x.toml"
    connector.write_text("kee = 'x'\n")
    wrong = run("config", "check")
    assert (wrong.code, wrong.out) == (78, "")
    assert str(connector) in wrong.err


@pytest.mark.requirement("FC15")
def test_a_secret_in_the_environment_ends_with_78(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WICKET_KEYRING", "s3cret")
    for command in (["serve"], ["config", "check"], ["doctor"]):
        refused = run(*command)
        assert refused.code == 78
        assert "s3cret" not in refused.err + refused.out


@pytest.mark.requirement("FC9")
def test_serve_without_keys_ends_with_78_before_it_listens(run: Run, tmp_path: Path) -> None:
    refused = run("serve")
    assert (refused.code, refused.out) == (78, "")
    assert refused.err.startswith("wicketd: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.requirement("FC10")
def test_serve_on_a_newer_database_ends_with_74(run: Run, tmp_path: Path) -> None:
    run("init", "--dir", str(tmp_path))
    with sqlite3.connect(tmp_path / "wicket.db") as newer:
        newer.execute("PRAGMA user_version = 9999")
    newer.close()
    (tmp_path / "wicket.db").chmod(0o600)
    assert run("serve").code == 74


def test_serve_on_a_port_that_is_taken_ends_with_73(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init", "--dir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("WICKET_SERVER_PORT", str(port))
        refused = run("serve")
    assert (refused.code, refused.out) == (73, "")
    assert f"wicketd: Cannot listen on 127.0.0.1:{port}" in refused.err


@pytest.mark.requirement("FC14")
async def test_a_second_daemon_over_the_same_database_ends_with_73(
    run: Run, tmp_path: Path
) -> None:
    await asyncio.to_thread(run, "init", "--dir", str(tmp_path))
    db = await SqliteDatabase.open(tmp_path / "wicket.db", FakeClock())
    refused = await asyncio.to_thread(run, "serve")
    await db.close()
    assert (refused.code, refused.out) == (73, "")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["serve", "--nonsense"], ["audit", "verify", "--key"]]
)
def test_a_command_that_does_not_exist_is_a_usage_error(run: Run, arguments: list[str]) -> None:
    refused = run(*arguments)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("wicketd: ")


@pytest.mark.parametrize("arguments", [[], ["config"]])
def test_without_a_command_the_help_stands_on_stderr(run: Run, arguments: list[str]) -> None:
    shown = run(*arguments)
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.startswith("Usage: ")


def test_help_is_data(run: Run) -> None:
    shown = run("--help")
    assert (shown.code, shown.err) == (0, "")
    assert "serve" in shown.out


def test_the_version_is_that_of_the_package(run: Run) -> None:
    shown = run("--version")
    assert (shown.code, shown.out) == (0, f"{__version__}\n")


def test_doctor_prints_the_limits_and_findings_with_their_fix(run: Run, tmp_path: Path) -> None:
    limits = run("doctor", "--limits")
    assert limits.code == 0
    assert "L1 " in limits.out
    found = run("doctor")
    assert found.code == 1
    assert "\n     " in found.out


@pytest.mark.requirement("FC20")
def test_verify_without_anything_to_verify_against_ends_with_2(run: Run, tmp_path: Path) -> None:
    for arguments in (
        ["audit", "verify"],
        ["audit", "verify", "--key", str(tmp_path / "none.pub")],
        ["audit", "verify", "--checkpoint", str(tmp_path / "none")],
        ["audit", "verify", "--from-export", str(tmp_path / "none.jsonl")],
    ):
        assert run(*arguments).code == 2, arguments
    told = msgspec.json.decode(run("audit", "verify", "--json").out)
    assert told["exit"] == 2


def test_a_bug_ends_with_70_and_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        message = "a bug"
        raise RuntimeError(message)

    monkeypatch.setattr("wicketd.config.load", broken)
    ended = run("config", "check")
    assert ended.code == 70
    assert "RuntimeError: a bug" in ended.err


REFUSALS = (
    "Forbidden",
    "AgentDisabled",
    "NotApproved",
    "PeerRefused",
    "SecondFactorNeeded",
)


def test_every_fatal_error_has_a_code_of_its_own() -> None:
    codes = {
        kind.__name__: shell.exit_of(kind.__new__(kind))
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, WicketError)
        and kind.__module__ == errors.__name__
    }
    assert {name: code for name, code in codes.items() if code != 1} == {
        "SecondInstance": 73,
        **dict.fromkeys(REFUSALS, 77),
        "SchemaTooNew": 74,
        "StorageBroken": 74,
        "KeyringInvalid": 78,
        "ConfigInvalid": 78,
        "Fatal": 70,
    }


def test_a_permission_that_is_missing_is_77_whatever_the_class() -> None:
    error = errors.ConfigInvalid("x")
    error.__cause__ = PermissionError()
    assert shell.exit_of(error) == 77
