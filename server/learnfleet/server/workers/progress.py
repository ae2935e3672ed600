"""Where a run stands in this worker: for the lines of its log, and as spans of the trace that asked for it."""

from __future__ import annotations

import logging
from threading import Thread

from learnfleet.server.telemetry import trace_context
from learnfleet.server.telemetry.tracing import OpenSpan, TraceSettings, Tracing, TracingNotInstalled
from learnfleet.server.workers.protocol import RunRequest

_STEP_EVERY = 100  # steps, of which one is a span; the first of each epoch always is

_log = logging.getLogger(__name__)


class Progress:
    """A `RunObserver` of the trainer's. Told by the thread that trains, read by others."""

    def __init__(self, tracing: Tracing, request: RunRequest, rank: int) -> None:
        self.epoch: int | None = None
        self._tracing, self._rank = tracing, rank
        parent = trace_context.parse(request.traceparent)
        self._is_traced = tracing.is_on and parent is not None and parent.is_sampled
        self._run: OpenSpan | None = None
        self._epoch: OpenSpan | None = None
        self._step: OpenSpan | None = None
        if self._is_traced:
            attributes: dict[str, str | int] = {
                "job": f"jobs/{request.job_id}",
                "attempt": request.attempt,
                "rank": rank,
            }
            self._run = tracing.begin("job.attempt", parent, attributes)
        self._until_step = 0  # steps that are no spans

    def epoch_begins(self, stage: int, epoch: int) -> None:
        self.epoch, self._until_step = epoch, 0
        if self._is_traced:
            self._epoch = self._begin("epoch", self._run, stage=stage, epoch=epoch, rank=self._rank)

    def step_begins(self, step: int) -> None:
        if not self._is_traced:
            return
        if self._until_step == 0:
            self._step = self._begin("step", self._epoch, step=step, rank=self._rank)
            self._until_step = _STEP_EVERY
        self._until_step -= 1

    def step_ends(self) -> None:
        _end(self._step)
        self._step = None

    def epoch_ends(self) -> None:
        _end(self._step)
        _end(self._epoch)
        self._step = self._epoch = None

    def ended(self, error: str = "") -> None:
        """The run is over. What is not sent yet is sent in a thread of its own: the next run need not wait for it."""
        self.epoch_ends()
        _end(self._run, error)
        self._run = None
        if self._is_traced:
            Thread(target=self._tracing.flush, name="traces", daemon=True).start()

    def _begin(self, name: str, parent: OpenSpan | None, **attributes: int) -> OpenSpan | None:
        return None if parent is None else self._tracing.begin(name, parent.context, attributes)


def _end(span: OpenSpan | None, error: str = "") -> None:
    if span is not None:
        span.end(error)


def worker_tracing(settings: TraceSettings, rank: int) -> Tracing:
    """For this process. Where a worker cannot make spans its jobs run without."""
    try:
        return Tracing(settings, "learnfleet-worker", {"rank": rank})
    except TracingNotInstalled as error:
        _log.warning("%s", error)
        return Tracing(TraceSettings(), "learnfleet-worker")
