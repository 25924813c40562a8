"""Transcripts: what a command prints where, and its exit code, as a script sees it.

The daemon behind the socket is the real admin app; its handlers give fixed answers, so that a
transcript says what this client does with them. Against a whole daemon: `test_walkthrough`.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from tests.support.admin import Ran, admin_socket, run_wicket, scripted
from wicket_tui.cli import app
from wicketd.admin.usecases import Ask, UseCases
from wicketd.api.types import agents, members, policies, status
from wicketd.api.types.listing import Page
from wicketd.domain.errors import Invalid, NotFound, RevisionMoved

KEY = "wkt_UTJ58rYrgZIquWVfkfbxYLgUC62ZqGtExHZJdPsKoCF_Zx81Kq0A2VnYuQ"
AT = "2026-01-01T00:00:00.000Z"

AGENT = agents.Agent(
    id="0198",
    key="ops",
    name="Ops \x1b[31mred",
    status="active",
    disabled_reason=None,
    trust="trusted",
    tz="UTC",
    session_scope="conversation",
    policy_revision=4,
    tags=("a", "b"),
    created_by="uid:0",
    created_at=AT,
    deleted_at=None,
    rev=2,
)
MEMBER_KEY = members.MemberKey(
    key_id="Zx81Kq0A",
    agent_id="0198",
    member_id="0199",
    state="active",
    created_at=AT,
    last_used_day=None,
    ended_at=None,
    ended_reason=None,
    ended_by=None,
)
VERSION = policies.PolicyVersion(
    policy_id="p1",
    key="no-deletes",
    name="No deletes",
    version=3,
    text="forbid (principal, action, resource);",
    sha256="00",
    enabled=True,
    mode="enforce",
    scope=None,
    statements=1,
    cause="save",
    note=None,
    rolled_back_from=None,
    created_by="uid:0",
    created_at=AT,
)


def answers(**handlers: Any) -> Any:
    """Handlers from values (answered), errors (raised) and functions of the request."""

    def made(what: Any) -> Any:
        async def handler(_uses: UseCases, ask: Ask[Any]) -> Any:
            if isinstance(what, Exception):
                raise what
            return what(ask) if callable(what) else what

        return handler

    return scripted(**{name: made(what) for name, what in handlers.items()})


async def wicket(tmp_path: Path, handlers: Mapping[str, Any], *words: str, stdin: str = "") -> Ran:
    """Runs a command against a socket with these handlers."""
    async with admin_socket(tmp_path, handlers) as path:
        return await run_wicket(path, *words, stdin=stdin)


async def test_a_list_is_a_table_and_hides_nothing_dangerous(tmp_path: Path) -> None:
    ran = await wicket(tmp_path, answers(agent_list=Page(items=(AGENT,))), "agent", "list")

    assert ran == Ran(
        0,
        "AGENT  NAME             STATUS  TRUST    TZ   REVISION  TAGS\n"
        "ops    Ops \\x1b[31mred  active  trusted  UTC  4         a,b\n",
        "",
    )


async def test_json_is_one_versioned_document(tmp_path: Path) -> None:
    ran = await wicket(tmp_path, answers(agent_show=AGENT), "agent", "show", "ops", "--json")
    read = msgspec.json.decode(ran.out)

    assert (ran.code, ran.err, read["version"]) == (0, "", 1)
    assert (read["result"]["key"], read["result"]["rev"]) == ("ops", 2)
    assert "\x1b" not in ran.out


async def test_a_list_follows_its_cursor_to_the_end(tmp_path: Path) -> None:
    def page(ask: Ask[agents.AgentList]) -> Page[agents.Agent]:
        return Page(items=(AGENT,), next="c2" if ask.request.cursor is None else None)

    ran = await wicket(tmp_path, answers(agent_list=page), "agent", "list")

    assert ran.out.count("\nops ") == 2


async def test_an_issued_key_is_printed_once_and_the_reader_is_told_who_saw_it(
    tmp_path: Path,
) -> None:
    made = members.KeyIssued(key=MEMBER_KEY, text=KEY)
    ran = await wicket(tmp_path, answers(key_issue=made), "key", "issue", "ops", "ci")

    assert (ran.code, ran.out) == (0, KEY + "\n")
    assert "only time" in ran.err
    assert "Whoever ran this command has seen it" in ran.err
    assert KEY not in ran.err


async def test_only_the_id_of_a_leaked_key_is_sent(tmp_path: Path) -> None:
    sent: list[Any] = []

    def revoke(ask: Ask[members.KeyRevokeById]) -> members.MemberKey:
        sent.append(ask.request)
        return MEMBER_KEY

    ran = await wicket(
        tmp_path, answers(key_revoke_by_id=revoke), "key", "revoke", "--stdin", stdin=KEY
    )

    assert (ran.code, ran.out, ran.err) == (0, "", "Key Zx81Kq0A is revoked.\n")
    assert sent == [members.KeyRevokeById(key_id="Zx81Kq0A", reason="reported as leaked")]


async def test_a_policy_save_sends_the_revision_it_is_based_on(tmp_path: Path) -> None:
    seen: list[int | None] = []

    def save(ask: Ask[policies.PolicySave]) -> policies.PolicySaved:
        seen.append(ask.expected)
        assert ask.request.text == "forbid (principal, action, resource);"
        return policies.PolicySaved(version=VERSION, policy_revision=5)

    ran = await wicket(
        tmp_path,
        answers(agent_show=AGENT, policy_save=save),
        *("policy", "save", "ops", "no-deletes"),
        stdin="forbid (principal, action, resource);",
    )

    assert seen == [4]
    assert (ran.code, ran.err) == (
        0,
        "Policy no-deletes is at version 3, in force; revision 5 of the agent.\n",
    )


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            NotFound("No agent ops.", hint="wicket agent list"),
            3,
            "No agent ops.\nwicket agent list\n",
        ),
        (
            RevisionMoved("It changed.", details=({"current": 5},)),
            5,
            "It changed.\n  current=5\n",
        ),
        (
            Invalid(
                "The text has errors.",
                details=(
                    {"line": 1, "col": 8, "severity": "error", "code": "syntax", "message": "Odd."},
                ),
            ),
            6,
            "The text has errors.\n  1:8 error[syntax] Odd.\n",
        ),
        (RuntimeError("canary"), 1, None),
    ],
)
async def test_a_refusal_is_one_sentence_and_its_exit_code(
    tmp_path: Path, error: Exception, code: int, text: str | None
) -> None:
    ran = await wicket(tmp_path, answers(agent_show=error), "agent", "show", "ops")

    assert (ran.code, ran.out) == (code, "")
    assert "canary" not in ran.err
    if text is not None:
        assert ran.err == text


async def test_a_check_with_errors_exits_with_6(tmp_path: Path) -> None:
    problem = policies.Problem(
        severity="error",
        code="syntax",
        message="Odd.",
        start=0,
        end=1,
        line=1,
        col=1,
        statement=1,
        approximate=False,
    )
    found = policies.PolicyChecked(problems=(problem,))
    ran = await wicket(tmp_path, answers(policy_check=found), "policy", "check", "ops", stdin="x")

    assert (ran.code, ran.out) == (6, "1:1 error[syntax] Odd.\n")


async def test_what_destroys_asks_and_without_a_terminal_does_nothing(tmp_path: Path) -> None:
    reached: list[str] = []
    handlers = answers(agent_show=AGENT, agent_delete=lambda _: reached.append("delete"))
    ran = await wicket(tmp_path, handlers, "agent", "delete", "ops", stdin="ops\n")

    assert (ran.code, ran.out, reached) == (1, "", [])
    assert "repeat the command with --yes" in ran.err


async def test_a_degraded_daemon_fails_the_status_command(tmp_path: Path) -> None:
    found = status.Status(
        state="degraded",
        reasons=("The audit log cannot be written.",),
        version="1",
        started_at=AT,
        audit_seq=7,
        audit_hash="ab",
        audit_epoch=1,
        checkpoint=None,
        counts={"agents": 1},
        details={},
    )
    ran = await wicket(tmp_path, answers(status=found), "status")

    assert ran.code == 1
    assert ran.out.startswith(
        "state       degraded\nreasons     The audit log cannot be written.\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("nothing",),
        ("agent", "create", "ops"),
        ("member", "add", "ops", "ci"),
        ("connection", "set", "ops", "ci", "notes"),
        ("key", "revoke", "ops"),
        ("policy", "mode", "ops", "p", "maybe"),
        ("audit", "list", "colour:red"),
        ("--theme", "pink"),
        (),
    ],
    ids=" ".join,
)
def test_a_command_that_makes_no_sense_exits_with_2(words: tuple[str, ...]) -> None:
    ran = CliRunner().invoke(app, words)

    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr


def test_without_a_daemon_it_says_how_to_start_one(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["status", "--socket", str(tmp_path / "none.sock")])

    assert (ran.exit_code, ran.stdout, ran.stderr) == (
        7,
        "",
        (
            f"There is no socket at {tmp_path}/none.sock.\n"
            'Start the daemon with "wicketd serve", or give its socket with --socket.\n'
        ),
    )


def test_the_socket_may_stand_before_the_command_or_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WICKET_SOCKET", str(tmp_path / "environment"))
    before, behind = str(tmp_path / "before"), str(tmp_path / "behind")
    for words, meant in (
        (["status"], "environment"),
        (["--socket", before, "status"], "before"),
        (["status", "--socket", behind], "behind"),
        (["--socket", before, "status", "--socket", behind], "behind"),
    ):
        ran = CliRunner().invoke(app, words)
        assert f"There is no socket at {tmp_path}/{meant}.\n" in ran.stderr


@pytest.mark.parametrize(
    "option", [["--read-only"], ["--agent", "home"], ["--theme", "ansi"], ["--screen", "2"]]
)
def test_an_option_of_the_app_is_not_ignored_before_a_command(option: list[str]) -> None:
    ran = CliRunner().invoke(app, [*option, "status"])

    assert (ran.exit_code, ran.stdout) == (2, "")
    assert f"{option[0]} belongs to the app" in ran.stderr


async def test_a_daemon_that_does_not_answer_times_out(tmp_path: Path) -> None:
    async def forever(_uses: UseCases, _ask: Ask[Any]) -> Any:
        await asyncio.Event().wait()

    handlers = {**scripted(), "status": forever}
    ran = await wicket(tmp_path, handlers, "status", "--timeout", "0.3")

    assert (ran.code, ran.out) == (8, "")
    assert "did not answer in time" in ran.err


async def test_a_token_comes_on_stdin_and_is_never_shown(tmp_path: Path) -> None:
    seen: list[str] = []

    def keep(ask: Ask[Any]) -> Any:
        seen.append(ask.request.token)
        raise NotFound("No service notes.")

    ran = await wicket(
        tmp_path,
        answers(connection_set=keep),
        *("connection", "set", "ops", "ci", "notes", "--token-stdin"),
        stdin="canary-token\n",
    )

    assert seen == ["canary-token"]
    assert "canary" not in ran.out + ran.err
