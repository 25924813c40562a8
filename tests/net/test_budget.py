import asyncio

from wicketd.net.budget import ByteBudget


async def test_a_reader_waits_until_others_have_given_bytes_back() -> None:
    budget = ByteBudget(100)
    await budget.take(80)
    waiting = asyncio.get_running_loop().create_task(budget.take(40))
    await asyncio.sleep(0)
    assert not waiting.done()
    budget.give(80)
    await asyncio.wait_for(waiting, 1)
    assert budget.held_bytes == 40


async def test_a_lone_reader_is_never_refused_its_own_chunk() -> None:
    budget = ByteBudget(100)
    await asyncio.wait_for(budget.take(1000), 1)
    assert budget.held_bytes == 1000


async def test_a_cancelled_reader_takes_nothing_and_wakes_nobody_wrongly() -> None:
    budget = ByteBudget(100)
    await budget.take(100)
    first = asyncio.get_running_loop().create_task(budget.take(10))
    second = asyncio.get_running_loop().create_task(budget.take(20))
    await asyncio.sleep(0)
    first.cancel()
    budget.give(100)
    await asyncio.wait_for(second, 1)
    assert budget.held_bytes == 20
