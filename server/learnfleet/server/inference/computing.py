"""The thread of a replica that computes. What is there for one model when it becomes free is computed together."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Thread
from typing import TYPE_CHECKING, TypeVar

from learnfleet.server.inference.ports import InferOptions, Output
from learnfleet.trainer.errors import LearnerError

if TYPE_CHECKING:
    from learnfleet.trainer.serving import ModelInput, PlainAnswer, ServedModel

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Computed:
    """The answers to the inputs of one call."""

    answers: list[PlainAnswer | LearnerError]
    infer_s: float  # of the whole batch
    batch_size: int
    speaks_for_batch: bool  # of the calls that were computed together one does


@dataclass(frozen=True, eq=False)
class _Call:
    model: ServedModel
    inputs: list[ModelInput]
    options: InferOptions
    most: int
    done: Future[Computed] = field(default_factory=Future)

    def goes_with(self, other: _Call) -> bool:
        return self.model is other.model and self.options == other.options


class Computing:
    """One thread, and always the same, for all that computes.

    Each that does so has a team of OpenMP's beside it, which is slow where there are two (trainer/threads.py).
    """

    def __init__(self, begin: Callable[[], None]) -> None:
        """`begin` is called in the thread before anything else."""
        self._begin = begin
        self._waiting: deque[_Call] = deque()
        self._tasks: deque[Callable[[], None]] = deque()
        self._told = Condition()
        Thread(target=self._run, name="compute", daemon=True).start()

    def compute(self, model: ServedModel, inputs: list[ModelInput], options: InferOptions, most: int) -> Computed:
        """Blocks. Inputs of calls that wait at the same time share batches of at most `most`; no call is divided.

        Raises what computing raises, to all whose inputs were computed together.
        """
        call = _Call(model, inputs, options, most)
        with self._told:
            self._waiting.append(call)
            self._told.notify()
        return call.done.result()

    def run(self, task: Callable[[], T]) -> T:
        """Have it done in the thread, before whatever waits. Blocks. Raises what it raises."""
        done: Future[T] = Future()
        with self._told:
            self._tasks.append(partial(_do, task, done))
            self._told.notify()
        return done.result()

    def _run(self) -> None:
        self._begin()
        while True:
            with self._told:
                self._told.wait_for(lambda: self._tasks or self._waiting)
                step = self._tasks.popleft() if self._tasks else partial(_answer, self._together())
            step()
            del step  # of a model that is forgotten nothing is kept

    def _together(self) -> list[_Call]:
        """The call that waits longest, and those that go with it as far as there is room."""
        calls = [self._waiting.popleft()]
        count = len(calls[0].inputs)
        for call in list(self._waiting):
            if call.goes_with(calls[0]) and count + len(call.inputs) <= min(call.most, calls[0].most):
                self._waiting.remove(call)
                calls.append(call)
                count += len(call.inputs)
        return calls


def _do(task: Callable[[], T], done: Future[T]) -> None:
    try:
        done.set_result(task())
    except Exception as error:
        done.set_exception(error)


def _answer(calls: list[_Call]) -> None:
    try:
        _compute(calls)
    except Exception as error:
        for call in calls:
            call.done.set_exception(error)


def _compute(calls: list[_Call]) -> None:
    first, inputs = calls[0], [item for call in calls for item in call.inputs]
    outputs, began = first.options.outputs, time.perf_counter()
    answers = iter(
        first.model.answer(
            inputs,
            first.options.thresh,
            first.options.tta,
            logits=Output.LOGITS in outputs,
            embedding=Output.EMBEDDING in outputs,
            activated=Output.ACTIVATED in outputs,
            dropout_samples=first.options.dropout_samples,
        )
    )
    infer_s = time.perf_counter() - began
    for call in calls:
        call.done.set_result(Computed([next(answers) for _ in call.inputs], infer_s, len(inputs), call is first))
