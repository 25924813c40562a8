"""Servers become connectors only after an administrator has seen the whole command and agreed."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.test_probing import PIPED
from wicketd.connectors.catalogue import load
from wicketd.connectors.client_files import ServerEntry
from wicketd.connectors.draft import Choices
from wicketd.connectors.forms import OauthForm
from wicketd.domain.catalogue import CredentialKind, Tier
from wicketd.domain.errors import ConfigInvalid, WicketError
from wicketd.intake import Asking, Dialogue, Intake, Taken, next_steps
from wicketd.probing import Survey
from wicketd.services.connector_drafts import Shelf


@dataclass
class Admin:
    """Reads what is said, and agrees or not."""

    directory: Path
    answer: Callable[[str], bool] = lambda _question: True
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def agree(self, question: str) -> bool:
        self.asked.append(question)
        return self.answer(question)

    def intake(self) -> Intake:
        choices = Choices(lambda program: program if program.startswith("/") else None)
        dialogue = Dialogue(self.said.append, self.agree)
        return Intake(Shelf.of(self.directory), choices, dialogue, "Written by a test")


@pytest.fixture
def admin(tmp_path: Path) -> Admin:
    return Admin(tmp_path / "connectors.d")


def marking(tmp_path: Path) -> tuple[ServerEntry, Path]:
    """A command that leaves a mark when it runs, and is no MCP server."""
    mark = tmp_path / "ran"
    code = f"open({str(mark)!r}, 'w')"
    return ServerEntry("mark", command=(sys.executable, "-c", code)), mark


def test_nothing_runs_before_the_admin_agrees_to_the_command_shown(
    admin: Admin, tmp_path: Path
) -> None:
    entry, mark = marking(tmp_path)

    def look(_question: str) -> bool:
        assert not mark.exists()
        assert any(str(mark) in line for line in admin.said)
        return False

    admin.answer = look
    assert admin.intake().take(entry, Asking()) is None
    assert "Run this command now" in admin.asked[0]
    assert not mark.exists()
    assert not admin.directory.exists()


def test_what_runs_and_fails_leaves_no_file(admin: Admin, tmp_path: Path) -> None:
    entry, mark = marking(tmp_path)
    with pytest.raises(WicketError, match="Nothing was written"):
        admin.intake().take(entry, Asking())
    assert mark.exists()
    assert not admin.directory.exists()


def test_a_command_that_answers_is_written_with_its_tools(admin: Admin) -> None:
    entry = ServerEntry("Pipes", command=(sys.executable, PIPED, "modern"), left_out=("timeout",))
    taken = admin.intake().take(entry, Asking())
    assert taken == Taken("pipes", admin.directory / "pipes.toml")
    written = load(bundled=False, directory=admin.directory).get("pipes")
    assert written is not None
    assert written.namespace == "PipesMCP"
    assert written.tools.declared()["echo"] is Tier.DESTRUCTIVE
    assert "  left out:   timeout" in admin.said


def test_an_unasked_command_never_runs(admin: Admin, tmp_path: Path) -> None:
    entry, mark = marking(tmp_path)
    assert admin.intake().take(entry, Asking(is_wanted=False)) is not None
    assert "Run this command" not in admin.asked[0]
    assert not mark.exists()


def test_a_server_with_a_secret_is_written_unasked_and_without_it(
    admin: Admin, tmp_path: Path
) -> None:
    entry, mark = marking(tmp_path)
    with_secret = ServerEntry("mark", command=entry.command, env={"MARK_TOKEN": "canary"})
    taken = admin.intake().take(with_secret, Asking())
    assert taken is not None
    assert taken.path is not None
    assert "canary" not in taken.path.read_text() + "".join(admin.said)
    assert not mark.exists()
    assert next_steps([taken]) == [
        "wicket catalogue reload",
        "wicket service enable AGENT mark",
        "wicket connection set AGENT MEMBER mark --token-stdin   # MARK_TOKEN, once enabled",
    ]


def test_a_sign_in_that_the_server_asks_for_is_written(admin: Admin) -> None:
    asking = Asking(ask=lambda *_: Survey((), OauthForm(issuer="https://i.example")))
    taken = admin.intake().take(ServerEntry("web", "https://x.example/mcp"), asking)
    assert taken is not None
    written = load(bundled=False, directory=admin.directory).get("web")
    assert written is not None
    assert written.credential.kind is CredentialKind.OAUTH
    assert any("https://i.example" in line for line in admin.said)


def test_a_server_that_wicket_brings_is_named_and_not_copied(admin: Admin) -> None:
    taken = admin.intake().take(ServerEntry("mine", "https://mcp.linear.app/mcp"), Asking())
    assert taken == Taken("linear", None)
    assert admin.asked == []
    assert next_steps([Taken("linear", None)]) == ["wicket service enable AGENT linear"]


def test_a_server_that_cannot_be_one_is_named_with_the_field(admin: Admin) -> None:
    entry = ServerEntry("sh\x1b[2Jell", command=("sh", "-c", "id"))
    with pytest.raises(ConfigInvalid, match="command is a shell") as refused:
        admin.intake().take(entry, Asking())
    assert "\x1b" not in refused.value.message
    assert not admin.directory.exists()


def test_two_servers_of_one_name_are_not_confused(admin: Admin) -> None:
    intake = admin.intake()
    entry = ServerEntry("one", "https://x.example/mcp")
    assert intake.take(entry, Asking(is_wanted=False)) is not None
    with pytest.raises(WicketError, match="nothing is overwritten"):
        intake.take(entry, Asking(is_wanted=False))
    assert [one.name for one in admin.directory.iterdir()] == ["one.toml"]
