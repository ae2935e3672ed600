"""Pictures on their way: so many at a time, kept until they are answered, so that another call can send them again.

gRPC takes the messages of a stream in a thread of its own; the answers are read by the caller's.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator

from learnfleet.client.asking import Answer, answer_of, unreadable
from learnfleet.client.errors import PictureError
from learnfleet.client.inputs import input_of
from learnfleet.v1 import prediction_service_pb2 as pb

_Sent = tuple[object, pb.PredictStreamRequest]


class Sending:
    """The pictures of one `predict_stream`, over however many calls."""

    def __init__(self, items: Iterator[object], in_flight: int) -> None:
        if in_flight < 1:
            raise ValueError(f"in_flight is {in_flight}; must be at least 1")
        self._items, self._in_flight = items, in_flight
        self._changed = threading.Condition()
        self._reading = threading.Lock()  # of the caller's iterator, which takes one at a time
        self._unanswered: dict[str, _Sent] = {}
        self._untaken: deque[str] = deque()  # ids of those that no call has sent yet
        self._refused: deque[tuple[object, PictureError]] = deque()
        self._next_id = 0
        self.fault: BaseException | None = None  # that the caller's iterator has raised

    @contextlib.contextmanager
    def call(self) -> Iterator[Call]:
        """One call. When it is over, what it has not got an answer to is for the next one."""
        with self._changed:
            self._untaken = deque(self._unanswered)
        call = Call(self)
        try:
            yield call
        finally:
            with self._changed:
                call.is_over = True
                self._changed.notify_all()

    def take(self, response: pb.PredictStreamResponse) -> Iterator[tuple[object, Answer]]:
        """The picture that was answered, and what was found wrong here with others meanwhile."""
        with self._changed:
            sent = self._unanswered.pop(response.id, None)
            self._changed.notify_all()
        if sent is not None:
            yield sent[0], answer_of(response.result)
        yield from self.refused()

    def refused(self) -> Iterator[tuple[object, Answer]]:
        """Pictures that could not be sent."""
        while self._refused:
            yield self._refused.popleft()

    def next_for(self, call: Call) -> pb.PredictStreamRequest | None:
        """What a call is to send next, when there is room. None: nothing any more."""
        with self._reading:
            while self._has_room(call):
                with self._changed:
                    if self._untaken:
                        return self._unanswered[self._untaken.popleft()][1]
                try:
                    item = next(self._items)
                except StopIteration:
                    return None
                except BaseException as error:
                    self.fault = error
                    raise
                self._put(item)
            return None

    def _has_room(self, call: Call) -> bool:
        """Wait for room. False when the call is over."""
        with self._changed:
            self._changed.wait_for(lambda: call.is_over or self._untaken or len(self._unanswered) < self._in_flight)
            return not call.is_over

    def _put(self, item: object) -> None:
        try:
            message = input_of(item)
        except OSError as error:
            self._refused.append((item, unreadable(error)))
            return
        except Exception as error:
            self.fault = error
            raise
        with self._changed:
            self._next_id += 1
            name = str(self._next_id)
            request = pb.PredictStreamRequest(item=pb.StreamItem(id=name, input=message))
            self._unanswered[name] = item, request
            self._untaken.append(name)


class Call:
    """One of the calls."""

    def __init__(self, sending: Sending) -> None:
        self._sending, self.is_over = sending, False

    def requests(self, settings: pb.PredictStreamRequest) -> Iterator[pb.PredictStreamRequest]:
        """What it sends."""
        yield settings
        while (request := self._sending.next_for(self)) is not None:
            yield request
