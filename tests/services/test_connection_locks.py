"""Locks of connections: turns are taken, waits end, and nobody waits for each other."""

import asyncio

import pytest

from wicketd.domain.errors import Conflict
from wicketd.domain.ids import ConnectionId
from wicketd.services.connection_locks import ConnectionLocks

A, B, C = ConnectionId("a"), ConnectionId("b"), ConnectionId("c")
LONG_S = 5.0


async def test_two_holders_of_one_connection_take_turns() -> None:
    locks, order = ConnectionLocks(), []

    async def work(name: str) -> None:
        async with locks.hold([A], LONG_S):
            order.append(f"{name} in")
            await asyncio.sleep(0)
            order.append(f"{name} out")

    await asyncio.gather(work("first"), work("second"))
    assert order == ["first in", "first out", "second in", "second out"]


async def test_other_connections_are_not_waited_for() -> None:
    locks = ConnectionLocks()
    async with locks.hold([A], LONG_S), locks.hold([B], 0.01):
        assert locks.is_held(A)
        assert locks.is_held(B)
    assert not locks.is_held(A)


async def test_holders_that_name_the_same_ones_in_another_order_do_not_wait_for_each_other() -> (
    None
):
    locks, rounds = ConnectionLocks(), 0

    async def work(ids: list[ConnectionId]) -> None:
        nonlocal rounds
        for _ in range(20):
            async with locks.hold(ids, LONG_S):
                await asyncio.sleep(0)
                rounds += 1

    await asyncio.gather(work([A, B, C]), work([C, B, A]), work([B, A, B]))
    assert rounds == 60


async def test_who_waits_too_long_is_refused_and_keeps_nothing() -> None:
    locks = ConnectionLocks()
    async with locks.hold([B], LONG_S):
        with pytest.raises(Conflict, match="Try again in a minute"):
            async with locks.hold([A, B], 0.01):
                pytest.fail("both were held")
        assert not locks.is_held(A)
    async with locks.hold([A, B], LONG_S):
        assert locks.is_held(B)


async def test_a_failure_inside_frees_the_connection() -> None:
    locks = ConnectionLocks()
    with pytest.raises(ValueError, match="inside"):
        async with locks.hold([A], LONG_S):
            raise ValueError("inside")
    assert not locks.is_held(A)


async def test_a_timeout_inside_is_the_holders_own() -> None:
    locks = ConnectionLocks()
    with pytest.raises(TimeoutError):
        async with locks.hold([A], LONG_S):
            raise TimeoutError
    assert not locks.is_held(A)


async def test_a_cancelled_wait_frees_what_it_had() -> None:
    locks = ConnectionLocks()
    async with locks.hold([B], LONG_S):
        waiting = asyncio.ensure_future(locks.hold([A, B], LONG_S).__aenter__())
        while not locks.is_held(A):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not locks.is_held(A)
