"""Threads for calls that may block for long, so that those which read the store never wait behind them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class LongCalls:
    """At most `threads` calls at a time; further ones wait for each other, and for nobody else.

    asyncio's own pool has few threads and answers all that is quick: GetJob, WatchJob, CancelJob. What may block for
    more than a second belongs here.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What `call` gives, or raises. It goes on in its thread where the caller does not wait for it."""
        context, loop = contextvars.copy_context(), asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: context.run(call, *args, **kwargs))


class SharedCalls(Generic[_T]):
    """Calls that go on without their callers, and that whoever asks for the same meanwhile waits for, too."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[_T]] = {}

    async def join(self, key: str, call: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """What the running call of this key gives or raises; `call` is begun where none is running."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(call())
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    def _ended(self, key: str, task: asyncio.Task[_T]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # told to whoever waited; it is no fault that nobody did
