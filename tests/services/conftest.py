"""One state a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.state import State, open_state


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[State]:
    """A fresh administrative daemon."""
    async with open_state(tmp_path) as fresh:
        yield fresh
