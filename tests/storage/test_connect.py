"""Readers cannot write, on whatever medium the file lies."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from wicketd.storage import connect, migrate


@pytest.mark.parametrize("opens", [connect.reader, connect.unattended])
def test_a_reader_reads_and_cannot_write(
    tmp_path: Path, opens: Callable[[Path], sqlite3.Connection]
) -> None:
    path = tmp_path / "wicket.db"
    writer = connect.writer(path)
    migrate.migrate(writer, path, 0)
    writer.close()
    reader = opens(path)
    assert reader.execute("SELECT count(*) FROM agents").fetchone() == (0,)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM agents")
    reader.close()


def test_a_path_with_special_characters_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "odd ?#%20 name.db"
    connect.writer(path).close()
    connect.reader(path).close()
