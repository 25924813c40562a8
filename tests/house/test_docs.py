"""The documents tell of what exists: generated pages, commands, settings, limits, links."""

import re
from pathlib import Path

import msgspec
import pytest

from tests.pending import GATE, PENDING
from tests.requirements import COMMANDS
from tests.support.commands import commands
from tools import docs as generator
from wicketd.config import Config

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LIMITS = [f"L{number}" for number in range(1, 15)]
# A command in a code block starts its line, in a sentence it stands in backquotes.
COMMAND = re.compile(r"(?:^|`)(?:sudo )?(wicketd?)((?: [a-z][a-z-]*)+)", re.MULTILINE)
HEADING = re.compile(r"^## \[?([^\]\n]+)\]?$", re.MULTILINE)


def known(program: str) -> set[str]:
    """The commands that exist, and those that this release still builds."""
    return commands(program) | {name for name in COMMANDS[program] if PENDING.get(name) == GATE}


def mentioned(text: str) -> list[tuple[str, str]]:
    return [(program, words) for program, words in COMMAND.findall(text)]


def is_known(program: str, words: str) -> bool:
    parts = words.split()
    return any(" ".join([program, *parts[:count]]) in known(program) for count in (1, 2))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_in_a_document_exists(page: Path) -> None:
    wrong = [
        f"{program}{words}"
        for program, words in mentioned(page.read_text(encoding="utf-8"))
        if not is_known(program, words)
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


def test_the_threat_model_lists_every_limit_once() -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    assert re.findall(r"^- \*\*(L\d+)\*\* ", page, re.MULTILINE) == LIMITS


def test_the_readme_and_the_security_page_lead_to_the_threat_model() -> None:
    for name in ("README.md", "SECURITY.md"):
        assert "(docs/threat-model.md)" in (ROOT / name).read_text(encoding="utf-8")


def test_the_unit_guide_names_every_file_it_installs() -> None:
    guide = (ROOT / "docs" / "systemd.md").read_text(encoding="utf-8")
    files = [path.name for path in (ROOT / "contrib" / "systemd").iterdir()]
    assert not [name for name in files if name not in guide]
