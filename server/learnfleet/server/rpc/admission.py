"""Which calls are let in, and how many are at work: all, until the server stops."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator

from google.protobuf.descriptor import MethodDescriptor

from learnfleet.server.errors import Draining

# Calls that begin nothing: they are answered to the last, so that callers see what becomes of their jobs. What is asked
# of a job is in the store before it is answered, and done by whichever server schedules next.
_HARMLESS = re.compile(
    r"(Get(?!Preds$)|List|Watch|Read)\w*|(Cancel|Pause|Resume)Job|Server(Live|Ready|Metadata)|Model(Ready|Metadata)"
)


class Admission:
    """The door of a server. From the event loop's thread."""

    def __init__(self) -> None:
        self.is_closed = False
        self.cut_off = 0  # calls with one answer that were let in, and ended without it since `close`
        self._at_work = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._waiting: set[asyncio.Timeout] = set()

    def close(self) -> None:
        """Let in only what begins nothing, and ask of nobody to send on. What is at work goes on."""
        self.is_closed = True
        for waiting in self._waiting:
            if not waiting.expired():
                waiting.reschedule(0)  # in the past

    def check(self, method: MethodDescriptor) -> None:
        """Raises Draining for a call that is not let in."""
        if self.is_closed and not _HARMLESS.fullmatch(method.name):
            raise Draining("this server stops, and takes on nothing new: ask again in a moment, here or at another one")

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """While a call with one answer is worked on."""
        self._at_work += 1
        self._idle.clear()
        try:
            yield
        except asyncio.CancelledError:  # by the end of the server's grace; or its caller has gone
            self.cut_off += self.is_closed
            raise
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._idle.set()

    @contextlib.contextmanager
    def interrupting(self, waiting: asyncio.Timeout) -> Iterator[None]:
        """While a caller's next message is waited for: as the server stops, `waiting` is over."""
        self._waiting.add(waiting)
        if self.is_closed:
            waiting.reschedule(0)
        try:
            yield
        finally:
            self._waiting.discard(waiting)

    async def idle(self, within_s: float) -> int:
        """Wait until no call is at work, for so long at most; how many are left."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        return self._at_work
