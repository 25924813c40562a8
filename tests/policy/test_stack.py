"""The thread on which the engine may recurse (policy spec, 3.5)."""

import threading
from collections.abc import Iterator

import pytest

from tests.support.policies import two_services
from wicketd.policy import engine
from wicketd.policy.stack import BigStack


@pytest.fixture
def stack() -> Iterator[BigStack]:
    made = BigStack()
    yield made
    made.close()


async def test_work_runs_on_its_one_thread_and_gives_what_it_gives(stack: BigStack) -> None:
    first = await stack.run(threading.current_thread)
    assert stack.call(threading.current_thread) is first
    assert first is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        await stack.run(lambda: 1 // 0)


async def test_the_engine_parses_the_deepest_passed_text_there(stack: BigStack) -> None:
    text = f"permit (principal, action, resource) when {{ {'(' * 60}true{')' * 60} }};"
    assert len(await stack.run(lambda: engine.facts_of(text))) == 1
    assert await stack.run(lambda: str(engine.parse_schema(two_services().text)))


@pytest.mark.usefixtures("stack")
def test_starting_it_leaves_the_processs_stack_size_alone() -> None:
    assert threading.stack_size() == 0
