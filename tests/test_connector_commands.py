"""`wicketd connector new` and `import` as an administrator runs them."""

import json
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.test_probing import PIPED
from wicketd.cli import app

CANARY = "ghp_canarycanarycanary"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "wicketd.toml"
    directory = tmp_path / "connectors.d"
    file.write_text(
        f"state_dir = '{tmp_path}'\n[services]\nconnectors_dir = '{directory}'\n", encoding="utf-8"
    )
    return file


def run(config: Path, *words: str, stdin: str = "") -> Result:
    name, *rest = words
    return CliRunner().invoke(app, ["connector", name, "--config", str(config), *rest], input=stdin)


def files(config: Path) -> dict[str, str]:
    directory = config.parent / "connectors.d"
    return {path.name: path.read_text() for path in sorted(directory.glob("*"))}


def test_an_import_takes_what_it_can_and_names_the_rest(config: Path, tmp_path: Path) -> None:
    source = tmp_path / "claude.json"
    source.write_text(
        json.dumps(
            {
                "mcpServers": {
                    "pipes": {"command": sys.executable, "args": [PIPED, "modern"]},
                    "token": {"url": "https://x.example/mcp", "headers": {"X-Key": CANARY}},
                    "var": {"command": sys.executable, "env": {"VAR_TOKEN": CANARY}},
                    "evil": {"command": "sh", "args": ["-c", "id"]},
                    "wicket": {"url": "http://127.0.0.1:8650/mcp"},
                }
            }
        )
    )
    done = run(config, "import", str(source), "--yes")
    assert done.exit_code == 1, done.output
    assert set(files(config)) == {"pipes.toml", "token.toml", "var.toml"}
    assert "evil: command is a shell" in done.output
    assert "wicket: is this Wicket itself" in done.output
    assert 'mcpServers":{"wicket"' in done.output
    assert CANARY not in done.output + "".join(files(config).values())
    again = run(config, "import", str(source), "--yes")
    assert "nothing is overwritten" in again.output


def test_without_a_terminal_and_without_yes_nothing_happens(config: Path, tmp_path: Path) -> None:
    source = tmp_path / "mcp.json"
    source.write_text('{"servers": {"x": {"url": "https://x.example/mcp"}}}')
    done = run(config, "import", str(source))
    assert done.exit_code == 2
    assert "Say --yes" in done.output
    assert files(config) == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "Cannot read"), (b"\xff\xfe", "no UTF-8"), (b"{", "is no JSON"), (b"{}", "no server")],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    config: Path, tmp_path: Path, content: bytes | None, said: str
) -> None:
    source = tmp_path / "broken.json"
    if content is not None:
        source.write_bytes(content)
    done = run(config, "import", str(source), "--yes")
    assert done.exit_code == 78
    assert said in done.output
    assert "Traceback" not in done.output


def test_a_new_command_is_asked_and_written(config: Path) -> None:
    words = ("--yes", "--name", "Pipes", "--env", "LOG=1", sys.executable, "--", PIPED, "modern")
    done = run(config, "new", *words)
    assert done.exit_code == 0, done.output
    written = tomllib.loads(files(config)["pipes.toml"])
    assert written["key"] == "pipes"
    assert written["transport"]["command"] == [sys.executable, PIPED, "modern"]
    assert written["transport"]["env"]["LOG"] == "1"
    assert "echo" in written["tools"]["destructive"]


def test_a_new_address_names_the_header_of_its_token(config: Path) -> None:
    words = ("--yes", "--no-probe", "--header", "Authorization", "https://mcp.x.example/mcp")
    done = run(config, "new", *words)
    assert done.exit_code == 0, done.output
    [text] = files(config).values()
    assert tomllib.loads(text)["credential"] == {
        "kind": "static",
        "header": "Authorization",
        "format": "Bearer {token}",
    }
    assert "--token-stdin   # Authorization" in done.output


def test_a_token_on_stdin_is_used_once_and_stands_nowhere(config: Path) -> None:
    words = ("--yes", "--token-stdin", "--secret-env", "TOKEN", "--name", "p", sys.executable)
    done = run(config, "new", *words, "--", PIPED, "modern", stdin=f"{CANARY}\n")
    assert done.exit_code == 0, done.output
    assert CANARY not in done.output + "".join(files(config).values())
    assert "echo" in files(config)["p.toml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["https://x.example/mcp", "word"], "takes no arguments"),
        (["--header", "X-Key", sys.executable], "takes no header"),
        (["no-such-program-anywhere"], "no program on this host"),
        (["http://x.example/mcp"], "use https"),
    ],
)
def test_what_cannot_be_a_connector_is_one_sentence(
    config: Path, words: list[str], said: str
) -> None:
    done = run(config, "new", "--yes", *words)
    assert done.exit_code != 0
    assert said in done.output
    assert files(config) == {}
