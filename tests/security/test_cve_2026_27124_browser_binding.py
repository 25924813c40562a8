"""CVE-2026-27124, GHSA-c2jp-c369-7pvx: a sign-in begun in one browser and finished in another.

At the service; the portal's own tests do it over HTTP. Removals tried: without `web_session_id`
in `storage.oauth_flows.take` browser B redeems the code of browser A; without `is_of` in
`flow_redeem` another member's sign-in is told as another browser's.
"""

from pathlib import Path

import pytest

from tests.support.sign_ins import at_provider, open_scene
from wicketd.domain.errors import Forbidden, NotFound


async def test_another_browser_of_the_same_account_redeems_nothing(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        query = await at_provider(await scene.begin())
        other = await scene.other_browser()
        with pytest.raises(Forbidden):
            await scene.back(other, query)
        assert scene.server.token_requests == []
        assert await scene.reasons() == ["other_browser"]
        # The one who began it still can: a stranger's try must not use the state up.
        await scene.back(scene.ann, query)


async def test_a_victim_lured_to_an_attackers_callback_is_connected_to_nothing(
    tmp_path: Path,
) -> None:
    async with open_scene(tmp_path) as scene:
        eve = await scene.other_member()
        query = await at_provider(await scene.begin(eve))
        with pytest.raises(Forbidden):
            await scene.back(scene.ann, query)
        assert scene.server.token_requests == []
        assert await scene.held() is None
        assert await scene.reasons() == ["other_member"]


async def test_another_browser_neither_confirms_nor_declines(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        page = await scene.signed_in()
        for visitor in (await scene.other_browser(), await scene.other_member()):
            with pytest.raises(NotFound):
                await scene.state.flows.confirm(visitor, page.flow_id)
            with pytest.raises(NotFound):
                await scene.state.flows.discard(visitor, page.flow_id)
        assert scene.server.revoked == []
        await scene.state.flows.confirm(scene.ann, page.flow_id)
