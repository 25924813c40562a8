"""CVE-2025-68158: a state of somebody else, a state twice, a state too late. Each 403.

Removals tried: without `used_at IS NULL` in `storage.oauth_flows.take` the second redemption
passes; without `expires_at > ?` the late one does.
"""

import asyncio
from pathlib import Path

import pytest

from tests.support.sign_ins import at_provider, open_scene
from wicketd.domain.errors import Forbidden


@pytest.mark.requirement("CVE-2025-68158")
async def test_a_state_is_redeemed_once(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        query = await at_provider(await scene.begin())
        await scene.back(scene.ann, query)
        with pytest.raises(Forbidden):
            await scene.back(scene.ann, query)
        assert len(scene.server.token_requests) == 1
        assert await scene.reasons() == ["state_used"]


async def test_of_many_redemptions_at_once_one_wins(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        query = await at_provider(await scene.begin())
        tries = [scene.back(scene.ann, query) for _ in range(16)]
        found = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(not isinstance(one, Forbidden) for one in found) == 1
        assert len(scene.server.token_requests) == 1


@pytest.mark.requirement("CVE-2025-68158")
async def test_a_state_is_too_late_after_ten_minutes(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        query = await at_provider(await scene.begin())
        scene.state.clock.pass_s(600)
        with pytest.raises(Forbidden):
            await scene.back(scene.ann, query)
        assert scene.server.token_requests == []
        assert await scene.reasons() == ["state_late"]


@pytest.mark.parametrize("state", ["x" * 43, "", "%F0%9F%98%80", "A" * 3000])
async def test_a_state_that_nobody_made_is_refused(tmp_path: Path, state: str) -> None:
    async with open_scene(tmp_path) as scene:
        await scene.begin()
        with pytest.raises(Forbidden):
            await scene.back(scene.ann, f"code=c&state={state}".encode())
        assert scene.server.token_requests == []


async def test_a_state_of_one_service_is_not_redeemed_at_anothers_address(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        scene.state.connectors["open"] = (
            scene.upstream.connector()
            .replace('key = "notes"', 'key = "open"')
            .replace('name = "Notes"', 'name = "Open"')
        )
        scene.state.files.put(scene.state.catalogue())
        await scene.state.service(key="open")
        query = await at_provider(await scene.begin())
        with pytest.raises(Forbidden):
            await scene.back(scene.ann, query, service="open")
        assert scene.server.token_requests == []
        assert await scene.reasons() == ["other_service"]


@pytest.mark.parametrize("name", ["code", "state", "iss"])
async def test_a_parameter_that_stands_twice_is_refused(tmp_path: Path, name: str) -> None:
    async with open_scene(tmp_path) as scene:
        query = await at_provider(await scene.begin())
        with pytest.raises(Forbidden):
            await scene.back(scene.ann, query + f"&{name}=other".encode())
        assert scene.server.token_requests == []
        assert await scene.reasons() == ["parameter_twice"]
