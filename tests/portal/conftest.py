"""One daemon for each module of this directory that asks for it."""

from collections.abc import Iterator

import pytest

from tests.support.portal import Portal, standing_portal


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with standing_portal(tmp_path_factory.mktemp("portal")) as running:
        yield running
