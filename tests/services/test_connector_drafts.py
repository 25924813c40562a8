"""A proposed connector is written whole or not at all, and never over anything."""

from pathlib import Path

import pytest

from wicketd.connectors import catalogue
from wicketd.domain.errors import ConfigInvalid, Conflict, StorageBroken
from wicketd.services.connector_drafts import Shelf

TEXT = """
key = "{key}"
name = "X"
transport = {{ kind = "streamable-http", url = "https://x.example/mcp" }}
credential = {{ kind = "none" }}
"""


def text(key: str = "mine") -> str:
    return TEXT.format(key=key)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "connectors.d"


def test_a_file_is_complete_readable_and_part_of_the_catalogue(directory: Path) -> None:
    path = Shelf.of(directory).put("mine", text())
    assert path.read_text() == text()
    assert path.stat().st_mode & 0o777 == 0o644
    assert catalogue.load(bundled=True, directory=directory).get("mine") is not None
    assert [one.name for one in directory.iterdir()] == ["mine.toml"]


def test_nothing_is_overwritten_whoever_was_faster(directory: Path) -> None:
    shelf = Shelf.of(directory)
    shelf.put("mine", text())
    with pytest.raises(Conflict, match="nothing is overwritten"):
        shelf.put("mine", text())
    with pytest.raises(Conflict, match="nothing is overwritten"):
        Shelf.of(directory).free_key("mine")
    with pytest.raises(Conflict):
        shelf.free_key("other", taken=["other"])
    assert [one.name for one in directory.iterdir()] == ["mine.toml"]


def test_a_bundled_connector_is_found_by_its_address_and_never_replaced(directory: Path) -> None:
    shelf = Shelf.of(directory)
    found = shelf.bundled_for("https://mcp.linear.app/mcp/")
    assert found is not None
    assert found.key == "linear"
    assert shelf.bundled_for("https://elsewhere.example/mcp") is None
    assert shelf.free_key("linear") == "linear-own"


def test_a_file_that_would_not_load_is_not_written(directory: Path) -> None:
    shelf = Shelf.of(directory)
    with pytest.raises(ConfigInvalid, match="is the namespace of linear"):
        shelf.put("mine", text() + 'namespace = "LinearMCP"\n')
    with pytest.raises(ConfigInvalid, match="unknown"):
        shelf.put("mine", text() + 'surprise = "x"\n')
    assert not directory.exists()


def test_a_directory_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    shelf = Shelf(blocked / "connectors.d", catalogue.load(bundled=True, directory=None))
    with pytest.raises(StorageBroken, match="Cannot write"):
        shelf.put("mine", text())
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_what_an_interrupted_run_left_is_replaced(directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / ".mine.toml.new").write_text("half")
    Shelf.of(directory).put("mine", text())
    assert [one.name for one in directory.iterdir()] == ["mine.toml"]
