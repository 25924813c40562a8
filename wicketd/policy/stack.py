"""One thread with a stack deep enough for the engine (policy spec, 3.5).

Counterpart of `policy.engine`, whose parsing recurses. Invariant: what runs here has 16 MiB,
whatever the platform's default is; work is done one after the other.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

STACK_BYTES: Final = 16 * 1024 * 1024


class BigStack:
    """Runs engine work that parses text; made once by `app.py`, closed with it.

    The thread starts in the constructor, since the stack size is a setting of the whole process
    that must not stay changed: call it before other threads start theirs.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="policy")
        before = threading.stack_size(STACK_BYTES)
        try:
            self._executor.submit(int).result()
        finally:
            threading.stack_size(before)

    async def run(self, work: Callable[[], T]) -> T:
        """Awaits `work` done on the thread; gives what it returns and raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def call(self, work: Callable[[], T]) -> T:
        """The same for callers without an event loop."""
        return self._executor.submit(work).result()

    def close(self) -> None:
        """Waits for running work and ends the thread."""
        self._executor.shutdown()
