"""Era verdicts in the service's row."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.state import State, open_state
from wicketd.domain.catalogue import UpstreamEra
from wicketd.domain.ids import AgentId
from wicketd.proxy.eras import ServicePlace, Verdict
from wicketd.proxy.verdicts import StoredVerdicts


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[State]:
    async with open_state(tmp_path) as fresh:
        yield fresh


async def placed(state: State) -> ServicePlace:
    """The service `notes` under its connector file."""
    owner, _ = await state.connected()
    connector = state.files().get("notes")
    assert connector is not None
    return ServicePlace(owner.id, "notes", connector.sha256)


async def test_a_verdict_outlives_a_restart(state: State) -> None:
    place = await placed(state)
    verdict = Verdict(UpstreamEra.MODERN, 42)
    assert await StoredVerdicts(state.db).load(place) is None
    await StoredVerdicts(state.db).store(place, verdict)
    assert await StoredVerdicts(state.db).load(place) == verdict
    newer = Verdict(UpstreamEra.LEGACY, 43)
    await StoredVerdicts(state.db).store(place, newer)
    assert await StoredVerdicts(state.db).load(place) == newer


async def test_another_connector_file_has_no_verdict_yet(state: State) -> None:
    place = await placed(state)
    await StoredVerdicts(state.db).store(place, Verdict(UpstreamEra.MODERN, 42))
    assert await StoredVerdicts(state.db).load(replace(place, connector_sha256="0" * 64)) is None


async def test_a_service_that_is_not_stored_keeps_nothing(state: State) -> None:
    place = ServicePlace(AgentId("nobody"), "notes", "0" * 64)
    await StoredVerdicts(state.db).store(place, Verdict(UpstreamEra.MODERN, 42))
    assert await StoredVerdicts(state.db).load(place) is None
