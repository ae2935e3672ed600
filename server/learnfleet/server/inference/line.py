"""Items that wait for one model. Plain values and given times: nothing here waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from learnfleet.server.errors import DeadlineExceeded, ServiceError
from learnfleet.server.inference.ports import Answered, InferOptions, Input


@dataclass(eq=False)
class Waiting:
    """An item, and who is to be told what becomes of it. Times are seconds of a monotonic clock."""

    item: Input
    options: InferOptions
    arrived: float
    deadline: float  # it is not begun later
    answer: asyncio.Future[Answered]
    was_lost: bool = False  # with a replica that died, perhaps of it


class Full(Exception):
    """There is no room for so many items."""


class Line:
    """A bounded queue. A batch has items of equal options only, the oldest first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._groups: dict[InferOptions, deque[Waiting]] = {}

    def __len__(self) -> int:
        return sum(len(group) for group in self._groups.values())

    def add(self, items: Sequence[Waiting]) -> None:
        """All or none. Raises Full."""
        if len(self) + len(items) > self._limit:
            raise Full
        for item in items:
            self._groups.setdefault(item.options, deque()).append(item)

    def put_back(self, items: Sequence[Waiting]) -> None:
        """Of a batch that was not computed: before all others, and whatever the limit."""
        for item in reversed(items):
            self._groups.setdefault(item.options, deque()).appendleft(item)

    def put_back_lost(self, items: Sequence[Waiting], why: str) -> None:
        """Of a replica that died: once more on another, each alone. What kills two of them would kill a third."""
        again = [item for item in items if not item.was_lost]
        for item in items:
            if item.was_lost and not item.answer.done():  # an answer: others of the same call have theirs
                item.answer.set_result(Answered(error=f"two replicas were lost over it: {why}", is_lost=True))
        for item in again:
            item.was_lost = True
        self.put_back(again)

    def drop(self, now: float) -> None:
        """Forget those that nobody waits for, and tell those whose time is over."""
        for options, group in list(self._groups.items()):
            kept: deque[Waiting] = deque()
            for item in group:
                if item.answer.done():
                    continue
                if item.deadline <= now:
                    item.answer.set_exception(DeadlineExceeded("the time was over before the item's turn came"))
                    continue
                kept.append(item)
            self._groups[options] = kept
            if not kept:
                del self._groups[options]

    def oldest(self) -> float | None:
        """When the one that waits longest arrived."""
        return min((group[0].arrived for group in self._groups.values()), default=None)

    def due_at(self, size: int, max_delay_s: float) -> float | None:
        """When the next batch may go: at once if it is full, else when its oldest item has waited for long enough."""
        group = self._next()
        if group is None:
            return None
        return group[0].arrived + (max_delay_s if len(group) < size else 0.0)

    @property
    def is_next_suspect(self) -> bool:
        """Whether the next item was with a replica that died. It is to go alone, so as to take no other along."""
        group = self._next()
        return group is not None and group[0].was_lost

    def take(self, size: int) -> list[Waiting]:
        """The next batch: at most so many, of the options of the one that waits longest; a suspect is one alone."""
        group = self._next()
        if group is None:
            return []
        taken = [group.popleft()]
        while group and len(taken) < size and not (taken[0].was_lost or group[0].was_lost):
            taken.append(group.popleft())
        if not group:
            del self._groups[taken[0].options]
        return taken

    def take_all(self) -> list[Waiting]:
        taken = [item for group in self._groups.values() for item in group]
        self._groups.clear()
        return taken

    def _next(self) -> deque[Waiting] | None:
        return min(self._groups.values(), key=lambda group: group[0].arrived, default=None)


async def answers_of(waiting: Sequence[Waiting], timeout_s: float | None) -> tuple[Answered, ...]:
    """What became of all of them. Whatever ends the wait, nobody computes in vain."""
    futures = [item.answer for item in waiting]
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.wait(futures) if futures else None
    except TimeoutError:
        raise DeadlineExceeded(f"no answer in {timeout_s:g} s") from None
    finally:
        for future in futures:
            future.cancel()
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise errors[0]
    return tuple(future.result() for future in futures)


def fail(waiting: Sequence[Waiting], error: ServiceError) -> None:
    """Tell those who still wait."""
    for item in waiting:
        if not item.answer.done():
            item.answer.set_exception(error)
