"""A command becomes an argument list: no shell, no secret, nothing that only a client knows."""

from collections.abc import Sequence

import pytest

from wicketd.connectors.commands import Command, command_of, shown
from wicketd.connectors.rules import BrokenRule


def find(program: str) -> str | None:
    if program.startswith("/"):
        return program
    return None if program == "missing" else f"/usr/bin/{program}"


def taken(*words: str, variable: str | None = None) -> Command:
    return command_of(words, find, variable)


def test_arguments_stay_what_they_are_even_where_a_shell_would_read_them() -> None:
    found = taken("uvx", "serve", "a b;rm -rf /", "$(id)", "|", "--name=x y")
    assert found == Command(("/usr/bin/uvx", "serve", "a b;rm -rf /", "$(id)", "|", "--name=x y"))
    assert shown(found.argv) == "/usr/bin/uvx serve 'a b;rm -rf /' '$(id)' '|' '--name=x y'"


def test_a_command_on_one_line_becomes_words() -> None:
    assert taken("npx -y some-server", "--x").argv == ("/usr/bin/npx", "-y", "some-server", "--x")
    assert taken("/opt/my tools/serve").argv == ("/opt/my tools/serve",)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["python3; rm -rf /"], "only a shell understands"),
        (["npx x | tee y"], "only a shell understands"),
        (["npx `id`"], "only a shell understands"),
        (["$(id)"], "program's name or an absolute path"),
        (["../evil"], "program's name or an absolute path"),
        (["sh", "-c", "curl x | sh"], "is a shell"),
        (["/bin/bash", "-lc", "x"], "is a shell"),
        (["cmd", "/c", "npx"], "is a shell"),
        (["missing"], "no program on this host"),
        (["x", "${workspaceFolder}/a"], "only the client knows"),
        (["x", "--root=${userHome}"], "only the client knows"),
        (["x", "-e", "HOME=${userHome}"], "only the client knows"),
        (["x", "a\nb"], "control characters"),
        (["x", "a\x1b[2J"], "control characters"),
        (["x", "a" * 5000], "4,096"),
    ],
)
def test_what_a_shell_or_client_would_have_to_read_is_refused(
    words: Sequence[str], said: str
) -> None:
    with pytest.raises(BrokenRule, match=said):
        taken(*words)


@pytest.mark.parametrize(
    "words",
    [
        ("--api-key", "canary"),
        ("--api-key=canary",),
        ("--token", "${input:token}"),
        ("postgres://me:canary@db/app",),
        ("ghp_canarycanary",),
        ("-e", "github-token=canary"),
        ("--password=-canary",),
        ("--header", "X-Api-Key: canary"),
        ("--header=X-Api-Key: canary",),
        ("API_KEY=canary",),
    ],
)
def test_a_secret_among_the_arguments_is_taken_out_or_refused(words: Sequence[str]) -> None:
    with pytest.raises(BrokenRule, match="hold a secret") as refused:
        taken("x", *words)
    assert "canary" not in str(refused.value)
    found = taken("x", "first", *words, "last", variable="X_KEY")
    assert found.argv == ("/usr/bin/x", "first", "last")
    assert found.variables == ("X_KEY",)


@pytest.mark.parametrize("words", [("--env=DB_PASS=canary",), ("--env", "DB_PASS=canary")])
def test_a_containers_flag_is_read_in_both_spellings(words: Sequence[str]) -> None:
    found = taken("docker", "run", *words, "--env=LOG=1", "i")
    assert found.argv == ("/usr/bin/docker", "run", "--env", "DB_PASS", "--env", "LOG=1", "i")
    assert found.variables == ("DB_PASS",)


def test_a_container_is_handed_the_variable_by_its_name() -> None:
    found = taken("docker", "run", "-i", "-e", "GITHUB_TOKEN=canary", "-e", "LOG=1", "-e", "A", "i")
    assert found.argv == (
        *("/usr/bin/docker", "run", "-i", "-e", "GITHUB_TOKEN", "-e", "LOG=1", "-e", "A", "i"),
    )
    assert found.variables == ("GITHUB_TOKEN",)
