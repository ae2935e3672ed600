"""One run in a worker: its events, its way to an outcome, and the trainer call that is its work."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from learnfleet.server.domain import CheckpointPolicy, Json
from learnfleet.server.redact import redacted
from learnfleet.server.telemetry import trace_context
from learnfleet.server.workers.failures import described
from learnfleet.server.workers.journal import Journal, journal_path
from learnfleet.server.workers.progress import Progress
from learnfleet.server.workers.protocol import (
    ExamineRun,
    Phase,
    RunError,
    RunRequest,
    TrainRun,
    WorkerEvent,
    WorkerStatus,
    state_token,
)
from learnfleet.trainer.heartbeat import HEARTBEAT

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner
    from learnfleet.trainer.run_context import RunContext

INTERPRETATION_DIR = "interpretation"
INTERPRETATION_FILE = "interpretation.json"
REPORT_FILE = "report.html"
PREDICTIONS_DIR = "predictions"
PICTURES_DIR = "pictures"
_EVENTS_A_POLL = 1000

_log = logging.getLogger(__name__)


def _stage_line(data: Json) -> str:
    return f"stage {data['index']}: {data['description']}"


def _epoch_line(data: Json) -> str:
    values = zip(data["names"], data["values"], strict=False)
    return "  ".join(f"{name} {value:.6g}" for name, value in values if isinstance(value, int | float))


_LOGGED = {"stage": _stage_line, "epoch": _epoch_line}


class Run:
    """One attempt at one job on this rank."""

    def __init__(self, request: RunRequest, rank: int, progress: Progress | None = None) -> None:
        self.request, self.rank, self.progress = request, rank, progress
        self.stop_requested = Event()
        self._lock = Lock()
        self._events: deque[WorkerEvent] = deque()
        self._first = 0  # number of the oldest event in memory
        self._outcome: Json | None = None
        self._error: RunError | None = None
        self._batches = self._said = 0  # what its beats are, besides those of the process
        self._journal = Journal(journal_path(Path(request.job_dir), request.attempt, rank))

    def is_of(self, request: RunRequest) -> bool:
        return (self.request.job_id, self.request.attempt) == (request.job_id, request.attempt)

    @property
    def ended(self) -> bool:
        return self._outcome is not None or self._error is not None

    def log_fields(self) -> dict[str, str | int]:
        """What lines of the log that are written meanwhile belong to; of the last run, once it is over."""
        request = self.request
        found: dict[str, str | int] = {"job": f"jobs/{request.job_id}", "attempt": request.attempt, "rank": self.rank}
        if request.learner_id:
            found |= {"learner": f"learners/{request.learner_id}", "tenant": request.tenant}
        if self.progress is not None and self.progress.epoch is not None:
            found["epoch"] = self.progress.epoch
        trace = trace_context.parse(request.traceparent)
        return found if trace is None else {**found, "trace_id": trace.trace_id}

    def is_stop_requested(self) -> bool:
        """Whether it is to end. Asked at every batch, which is what tells a run that gets on from one that hangs."""
        self._batches += 1
        return self.stop_requested.is_set()

    @property
    def _is_long(self) -> bool:
        """Until the first batch it reads, builds and compiles; validating may compile anew."""
        return not self._batches or bool(self.request.spec.get("compiled")) or HEARTBEAT.is_long

    def emit(self, event_id: str, kind: str, data: Json) -> None:
        """Keep an event until it is acknowledged. From any thread."""
        event = WorkerEvent(event_id, kind, data, time.time())
        self._said += kind != "system"  # what hangs is measured all the same
        if kind in _LOGGED:
            _log.info("%s", _LOGGED[kind](data))
        with self._lock:
            self._journal.append(event)
            self._events.append(event)

    def status(self, acknowledged: int) -> WorkerStatus:
        """Forget the events before number `acknowledged`, and give the next ones."""
        with self._lock:
            while self._events and self._first < acknowledged:
                self._events.popleft()
                self._first += 1
            events = tuple(self._events)[:_EVENTS_A_POLL]
            # An end is told only with the last events, so that whoever hears of it has heard them all.
            phase = self._phase() if len(events) == len(self._events) else Phase.RUNNING
            beats = self._batches + self._said + HEARTBEAT.count
            return WorkerStatus(
                phase, os.getpid(), self._first, events, self._outcome, self._error, beats, self._is_long
            )

    def _phase(self) -> Phase:
        if self._error is not None:
            return Phase.FAILED
        return Phase.RUNNING if self._outcome is None else Phase.DONE

    def done(self, outcome: Json) -> None:
        with self._lock:
            self._outcome = outcome

    @contextlib.contextmanager
    def reporting(self) -> Iterator[None]:
        """Whatever is raised inside is the run's error."""
        try:
            yield
        except Exception as error:
            _log.exception("job %s, attempt %s failed", self.request.job_id, self.request.attempt)
            with self._lock:
                error_told = described(error)
                self._error = replace(error_told, message=redacted(error_told.message))
        finally:
            self._journal.close()
            if self.progress is not None:
                self.progress.ended(self._error.message if self._error is not None else "")


def execute(learner: Learner, run: Run) -> Json:
    """Do the run's work. All ranks must call."""
    from learnfleet.trainer.interruption import Interrupted

    work = run.request.work
    if isinstance(work, TrainRun):
        return _train(learner, run, work)
    try:
        return {"stopped": False, **_examine(learner, run, work.work)}
    except Interrupted:
        return {"stopped": True}


def _context(run: Run, policy: CheckpointPolicy = CheckpointPolicy()) -> RunContext:  # noqa: B008
    from learnfleet.trainer.run_context import RunContext

    request = run.request
    return RunContext(
        job_id=request.job_id,
        attempt=request.attempt,
        emit=run.emit,
        stop_requested=run.is_stop_requested,
        checkpoint_root=Path(request.checkpoint_root),
        checkpoint_every_s=policy.every_s,
        checkpoint_every_steps=policy.every_steps,
        keep_last=policy.keep_last,
        keep_best=policy.keep_best,
        keep_every=policy.keep_every,
        picture_dir=Path(request.job_dir) / PICTURES_DIR,
        observer=run.progress,
    )


def _train(learner: Learner, run: Run, work: TrainRun) -> Json:
    from learnfleet.trainer.run import run_train
    from learnfleet.trainer.spec import stage_from_json

    resume = run.request.resume_path
    outcome = run_train(
        learner,
        [stage_from_json(stage) for stage in work.stages],
        _context(run, work.policy),
        Path(resume) if resume else None,
    )
    return {
        "stopped": outcome.stopped,
        "checkpoint": outcome.checkpoint.to_json() if outcome.checkpoint else None,
        "metrics": outcome.metrics,
        "exact": outcome.exact,
    }


def _examine(learner: Learner, run: Run, work: dict[str, Any]) -> Json:
    """Interpret, validate, predict or draw; what cannot be told in an outcome is written to the job's folder."""
    from learnfleet.server.workers.interpret import interpret
    from learnfleet.trainer import run_evaluate

    context, folder = _context(run), Path(run.request.job_dir)
    options = {name: value for name, value in work.items() if name != "kind"}
    if work["kind"] == "validate":
        return run_evaluate.run_validate(learner, context, **options)
    if work["kind"] == "get_preds":
        options.pop("subject", None)  # is what has been built
        return run_evaluate.run_get_preds(learner, context, output_dir=folder / PREDICTIONS_DIR, **options)
    if work["kind"] == "show" and work["what"] == "describe":
        return run_evaluate.run_describe(learner, context, freeze_to=work.get("freeze_to"))
    if work["kind"] == "show":
        options.pop("freeze_to", None)  # of descriptions alone
        return run_evaluate.run_show(learner, context, **options)
    return interpret(learner, context, folder / INTERPRETATION_DIR, options)


def final_token(request: RunRequest, outcome: Json) -> str | None:
    """Token of the state that memory holds after the run, None where no checkpoint that anybody names has it."""
    if isinstance(request.work, ExamineRun):
        return request.start.token if request.start else None
    if outcome["stopped"]:
        return None
    checkpoint = outcome["checkpoint"]
    return state_token(request.job_id, checkpoint["model_sha256"], checkpoint["optimizer_sha256"])
