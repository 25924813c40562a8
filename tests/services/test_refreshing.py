"""Refreshes against a rotating authorization server: one flight, one POST, known effects."""

import asyncio
from pathlib import Path

from tests.support.oauth_connected import open_connected


async def test_an_old_token_is_renewed_before_it_is_used(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        first = await bob.token()
        bob.grow_old()
        second = await bob.token()
        assert second is not None
        assert second != first
        assert bob.server.admits(f"Bearer {second}")
        row = await bob.row()
        assert (row.generation, row.sealed_suite, row.error) == (3, 1, None)
        assert await bob.intent() is None
        assert (await bob.state.kinds())[-1] == "connection.refreshed"


async def test_waiters_share_one_refresh(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob:
        bob.grow_old()
        tokens = await asyncio.gather(*(bob.token() for _ in range(64)))
        assert len(set(tokens)) == 1
        assert tokens[0] is not None
        assert len(bob.server.token_requests) == 1
