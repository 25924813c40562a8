"""The documents tell of what exists: generated pages, commands, settings, limits, links."""

import re
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from tests.support.commands import commands, is_command
from tools import docs as generator
from wicketd.cli import app as wicketd
from wicketd.config import Config
from wicketd.shell import EXITS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LIMITS = [f"L{number}" for number in range(1, 15)]
# A command in a code block starts its line, in a sentence it stands in backquotes.
COMMAND = re.compile(r"(?:^|`)(?:sudo )?(wicketd?)((?: [a-z][a-z-]*)+)", re.MULTILINE)
HEADING = re.compile(r"^## \[?([^\]\n]+)\]?$", re.MULTILINE)


def mentioned(text: str) -> list[tuple[str, str]]:
    return [(program, words) for program, words in COMMAND.findall(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_in_a_document_exists(page: Path) -> None:
    wrong = [
        f"{program}{words}"
        for program, words in mentioned(page.read_text(encoding="utf-8"))
        if not is_command(program + words, commands(program))
    ]
    assert not wrong


def test_the_readme_shows_commands_of_both_programs() -> None:
    programs = {
        program for program, _ in mentioned((ROOT / "README.md").read_text(encoding="utf-8"))
    }
    assert programs == {"wicket", "wicketd"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_between_documents_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


def test_the_generated_pages_are_those_of_the_code() -> None:
    assert generator.main(["--check"]) == 0


def test_the_page_of_the_command_lines_tells_every_exit_code_of_the_daemon() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    told = page.split("`wicketd` exits with")[1].split("\n\n")[0]
    assert {str(code) for _, code in EXITS} <= set(re.findall(r"\b\d+\b", told))


def test_the_configuration_page_has_exactly_the_settings_of_the_code() -> None:
    page = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    sections = HEADING.split(page)[1:]
    told = {
        name: set(re.findall(r"^\| `(\w+)` \|", body, re.MULTILINE))
        for name, body in zip(sections[::2], sections[1::2], strict=True)
    }
    settings: dict[str, set[str]] = {"Top level": set()}
    for field in msgspec.structs.fields(Config):
        if isinstance(field.default, msgspec.Struct):
            settings[field.name] = {one.name for one in msgspec.structs.fields(field.type)}
        else:
            settings["Top level"].add(field.name)
    assert told == settings


def limits(text: str) -> dict[str, str]:
    """The L entries of a page or print: id to its sentence on one line."""
    listed = " ".join(text.split()).partition("What stays")[0]
    _, *parts = re.split(r"(?:- \*\*)?(L\d+)(?:\*\*)? ", listed.rstrip("# "))
    return {name: said.strip() for name, said in zip(parts[::2], parts[1::2], strict=True)}


def test_page_readme_and_doctor_say_the_same_of_what_is_not_protected() -> None:
    printed = CliRunner().invoke(wicketd, ["doctor", "--limits"])
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    told = limits(printed.output)

    assert list(told) == LIMITS
    assert limits(page.split("## Not protected")[1]) == told
    assert limits(readme.split("## What it does not protect against")[1]) == told


def test_the_page_has_what_stays_as_the_doctor_prints_it() -> None:
    printed = CliRunner().invoke(wicketd, ["doctor", "--limits"]).output
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    title = "What stays, even when everything works"

    said = " ".join(printed.split(title)[1].lstrip(":").split())

    assert re.sub(r"\b(\d)\. (?=[A-Z])", r"\1 ", " ".join(page.split(title)[1].split())) == said


def test_the_readme_and_the_security_page_lead_to_the_threat_model() -> None:
    for name in ("README.md", "SECURITY.md"):
        assert "(docs/threat-model.md)" in (ROOT / name).read_text(encoding="utf-8")


def test_the_unit_guide_names_every_file_it_installs() -> None:
    guide = (ROOT / "docs" / "systemd.md").read_text(encoding="utf-8")
    files = [path.name for path in (ROOT / "contrib" / "systemd").iterdir()]
    assert not [name for name in files if name not in guide]
