"""The writer: one thread that owns the write connection and commits what has queued up.

Counterpart of `group` (what happens inside a commit) and `db` (which queues and listens). While a
group is flushed to disk the next one gathers. Everything shared with the loop crosses by the queue
and by `call_soon_threadsafe`, once per group.
"""

import sqlite3
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, TypeAlias

from wicketd.storage.group import Unit, refuse, run_group, take_back

GROUP_CAP: Final = 256
"""Units a commit may carry: bounds how long the last of them waits."""

Alone: TypeAlias = Callable[[sqlite3.Connection], Any]
"""Work on the bare connection between two groups, such as a checkpoint."""


class Errand:
    """Work that is no unit: it runs by itself, outside any transaction of the writer."""

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Alone, future: "Future[Any]") -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None

    def deliver(self) -> None:
        """Hands the outcome to the caller, on the loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class _End:
    """Queued behind the last work."""


_Item: TypeAlias = Unit[Any] | Errand | _End


class Writer:
    """Takes units in order of arrival.

    After a group that did not become durable it refuses every further unit until `heal` was run as
    an errand, so that nothing queued behind a failure slips in.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        loop: AbstractEventLoop,
        on_failure: Callable[[str], None],
    ) -> None:
        """`on_failure` gets the cause of a lost group, on the loop."""
        self._connection = connection
        self._loop = loop
        self._on_failure = on_failure
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._failure: str | None = None
        self._thread = Thread(target=self._run, name="wicket-writer", daemon=True)
        self._thread.start()

    def submit(self, work: "Unit[Any] | Errand") -> None:
        """Queues a unit or an errand; called on the loop."""
        self._queue.put(work)

    def stop(self) -> None:
        """Ends the thread behind everything queued so far and waits for it."""
        self._queue.put(_End())
        self._thread.join()

    def heal(self) -> None:
        """Accepts units again. Only for errands: it runs on the writer's thread."""
        self._failure = None

    def _run(self) -> None:
        item: _Item | None = None
        while True:
            item = item or self._queue.get()
            if isinstance(item, Unit):
                group, item = self._gather(item)
                self._commit(group)
            elif isinstance(item, Errand):
                self._run_errand(item)
                item = None
            else:
                return

    def _gather(self, first: Unit[Any]) -> "tuple[list[Unit[Any]], _Item | None]":
        """All units that queued up behind `first`, and what came behind them, if it was no unit."""
        group = [first]
        while len(group) < GROUP_CAP:
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
            if not isinstance(item, Unit):
                return group, item
            group.append(item)
        return group, None

    def _commit(self, group: list[Unit[Any]]) -> None:
        if self._failure is not None:
            refuse(group, self._failure)
            self._hand_over(group, None)
            return
        self._failure = run_group(self._connection, group)
        self._hand_over(group, self._failure)

    def _run_errand(self, errand: Errand) -> None:
        try:
            errand.result = errand.work(self._connection)
        except Exception as error:  # noqa: BLE001  # it belongs to whoever sent the errand
            take_back(self._connection)
            errand.error = error
        self._loop.call_soon_threadsafe(errand.deliver)

    def _hand_over(self, group: list[Unit[Any]], failure: str | None) -> None:
        def deliver() -> None:
            if failure is not None:
                self._on_failure(failure)
            for unit in group:
                unit.deliver()

        self._loop.call_soon_threadsafe(deliver)
