"""Clients of a server that is disturbed: they submit, repeat themselves, cancel and watch, and note what they are told.

They speak to the stubs and not through the SDK, whose retries would hide what the server answers.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc
from support.faults.history import Cancel, Ended, History, Seen, Submit, Told, Watched

from learnfleet.client import ImageDataBunch
from learnfleet.client.specs import Fit, LearnerSpec
from learnfleet.server.config import Config
from learnfleet.server.domain import JobState
from learnfleet.server.rpc.status import DETAILS_KEY
from learnfleet.server.workers.journal import journals, read_journal
from learnfleet.v1 import (
    job_pb2,
    job_service_pb2,
    job_service_pb2_grpc,
    training_service_pb2,
    training_service_pb2_grpc,
)

ANSWER_S = 60.0  # for one answer, on a machine that does much else
PATIENCE_S = 240.0  # for a job's end, on a machine that does much else
_PAUSE_S = 0.1
_GONE = (grpc.StatusCode.NOT_FOUND,)
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
_NOT_EVEN_SENT = ("failed to connect", "onnection refused", "GOAWAY")
_STATES = {getattr(job_pb2, f"JOB_STATE_{state.name}"): str(state) for state in JobState}
_WORTH_ANOTHER_TRY = (*_AWAY, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)  # the latter noted as refusals


def a_spec(architecture: str = "squeezenet1_1", **options: Any) -> LearnerSpec:
    """A small network on few scans, with dropout and transforms: its numbers depend on every random choice."""
    return LearnerSpec(ImageDataBunch.from_folder("digits", size=32, bs=32), architecture, **options)


@dataclass
class Load:
    """Everything that clients do in one run, noted in `history`."""

    address: str
    data_dir: Path
    seed: int
    history: History = field(default_factory=History)
    refusals: list[str] = field(default_factory=list)  # answers that no client should get
    patience_s: float = PATIENCE_S
    unanswered: list[str] = field(default_factory=list)  # calls that a server let in and then left, of one answer

    def __post_init__(self) -> None:
        options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 300)]
        self._channel = grpc.insecure_channel(self.address, options)
        self.training = training_service_pb2_grpc.TrainingServiceStub(self._channel)
        self.jobs = job_service_pb2_grpc.JobServiceStub(self._channel)
        self._watchers: list[Thread] = []
        self._given_up = Event()
        self._before: set[str] = set()

    def close(self) -> None:
        self._given_up.set()
        for watcher in self._watchers:
            watcher.join(ANSWER_S)
        self._channel.close()

    # -- what clients do

    def call(self, rpc: Callable[..., Any], request: object, *, accept: tuple[grpc.StatusCode, ...] = ()) -> Any:
        """The answer, asked for again while the server is away; None for an error that is among `accept`."""
        until = time.monotonic() + self.patience_s
        while True:
            try:
                return rpc(request, timeout=ANSWER_S)
            except grpc.RpcError as error:
                code = error.code()
                if code in accept:
                    return None
                if code not in (
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                    grpc.StatusCode.CANCELLED,
                ):
                    self.refusals.append(f"{type(request).__name__}: {code.name} {error.details()}")
                elif _was_let_in(error):
                    self.unanswered.append(f"{type(request).__name__}: {code.name} {error.details()}")
                if code not in _WORTH_ANOTHER_TRY or time.monotonic() > until or self._given_up.is_set():
                    raise
            time.sleep(_PAUSE_S)

    def submit(self, rpc: Callable[..., Any], request: Any, tries: int = 1) -> str:
        """The job's name. The same request is sent `tries` times, and as often as it takes to be answered."""
        request.request_id = request.request_id or str(uuid.uuid4())
        for _ in range(tries):
            self.history.add(Submit(request.request_id, None))
            name = self.call(rpc, request).name
            self.history.add(Submit(request.request_id, name))
        return str(name)

    def train(self, target: str | LearnerSpec, epochs: int = 1, *, tries: int = 1, name: str = "", **more: Any) -> str:
        request = training_service_pb2.TrainRequest(stages=[Fit(epochs, 1e-3).to_proto()], **more)
        if isinstance(target, str):
            request.learner = target
        else:
            request.learner_spec.CopyFrom(target.to_proto())
            request.learner_id = name
        return self.submit(self.training.Train, request, tries)

    def cancel(self, job: str) -> None:
        """Noted only where the server said yes: a job may end before."""
        request = job_service_pb2.CancelJobRequest(name=job)
        if self.call(self.jobs.CancelJob, request, accept=(grpc.StatusCode.FAILED_PRECONDITION,)) is not None:
            self.history.add(Cancel(job))

    def watch(self, job: str, connections_of: int = 0) -> None:
        """In a thread, to the job's end. `connections_of`: leave and come back after so many events."""
        watcher = Thread(target=self._watch, args=(job, len(self._watchers), connections_of), daemon=True)
        self._watchers.append(watcher)
        watcher.start()

    def _watch(self, job: str, number: int, connections_of: int) -> None:
        seen: list[Seen] = []
        connections = 0
        while not self._given_up.is_set():
            connections += 1
            if self._watch_once(job, seen, connections_of):
                break
            time.sleep(_PAUSE_S)
        self.history.add(Watched(job, number, tuple(seen), connections))

    def _watch_once(self, job: str, seen: list[Seen], most: int) -> bool:
        """Whether the server said that this was all."""
        request = job_service_pb2.WatchJobRequest(name=job, after_sequence=seen[-1].sequence if seen else 0)
        call = self.jobs.WatchJob(request)
        began = len(seen)
        try:
            for answer in call:
                seen.extend(as_seen(event) for event in answer.events)
                if self._given_up.is_set() or (most and len(seen) - began >= most):
                    call.cancel()
                    return False
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                self.refusals.append(f"WatchJob: {error.code().name} {error.details()}")
                return True
            return False
        return True

    def get(self, job: str) -> job_pb2.Job:
        """Raises AssertionError where there is none."""
        found = self.call(
            self.jobs.GetJob, job_service_pb2.GetJobRequest(name=job), accept=(grpc.StatusCode.NOT_FOUND,)
        )
        assert found is not None, f"{job} is gone"
        return found

    def until(self, job: str, holds: Callable[[job_pb2.Job], bool], what: str) -> job_pb2.Job:
        """Raises AssertionError after `patience_s`, and when the job has ended without it."""
        until = time.monotonic() + self.patience_s
        return self._until(job, holds, what, until)

    def _until(self, job: str, holds: Callable[[job_pb2.Job], bool], what: str, until: float) -> job_pb2.Job:
        while not holds(found := self.get(job)):
            assert time.monotonic() < until, f"{job} is {_STATES[found.state]} ({found.state_reason}), wanted: {what}"
            time.sleep(_PAUSE_S)
        return found

    def until_state(self, job: str, *states: str) -> job_pb2.Job:
        return self.until(job, lambda found: _STATES[found.state] in states, " or ".join(states))

    def until_ended(self, job: str) -> job_pb2.Job:
        return self.until(job, _has_ended, "its end")

    # -- how it ended

    def clear(self) -> None:
        """Stop what a run before this one has left."""
        left = [job.name for job in self._all_jobs() if not JobState(_STATES[job.state]).final]
        for job in left:
            request = job_service_pb2.CancelJobRequest(name=job)
            self.call(self.jobs.CancelJob, request, accept=(grpc.StatusCode.FAILED_PRECONDITION,))
        for job in left:
            self.until_ended(job)

    def forget(self) -> None:
        """What there is now belongs to no run: the next `settle` leaves it out."""
        self._before = {job.name for job in self._all_jobs()}

    def settle(self, *, with_points: bool = False) -> History:
        """Wait for every job's end and every watcher, and read all again. The server is left alone meanwhile.

        Args:
            with_points: look into MLflow, too, when it has heard of everything.
        """
        until = time.monotonic() + self.patience_s  # for all of them
        for job in sorted(self.history.acknowledged()):
            with contextlib.suppress(AssertionError):  # the validators say it better
                self._until(job, _has_ended, "its end", until)
        for watcher in self._watchers:
            watcher.join(max(0.0, min(ANSWER_S, until - time.monotonic())))
        self._given_up.set()
        jobs = [job for job in self._all_jobs() if job.name not in self._before]
        self.history.listed = [job.name for job in jobs]
        self.history.ended = [self._ended(job) for job in jobs]
        if with_points:
            until = time.monotonic() + self.patience_s
            self.history.ended = [replace(ended, points=self._points(ended.job, until)) for ended in self.history.ended]
        return self.history

    def _all_jobs(self) -> Iterator[job_pb2.Job]:
        token = ""
        while True:
            request = job_service_pb2.ListJobsRequest(page_size=100, page_token=token)
            page = self.call(self.jobs.ListJobs, request)
            yield from page.jobs
            token = page.next_page_token
            if not token:
                return

    def _ended(self, job: job_pb2.Job) -> Ended:
        events = tuple(as_seen(event) for event in self._log(job.name))
        checkpoint = job.result.checkpoint
        return Ended(
            job.name,
            job.request_id,
            _STATES[job.state],
            job.attempt,
            events,
            (checkpoint.model_sha256, checkpoint.optimizer_sha256),
            tuple(self._journals(job)),
        )

    def _points(self, job: str, until: float) -> tuple[tuple[str, int, float], ...]:
        """Losses that MLflow has of a job, once it says that the job is over."""
        from mlflow.tracking import MlflowClient

        try:
            found = self._until(job, lambda found: found.HasField("tracking_run"), "a run in MLflow", until)
        except AssertionError:  # none at all
            return ()
        tracked = found.tracking_run
        client = MlflowClient(tracked.tracking_uri)
        while client.get_run(tracked.run_id).info.status == "RUNNING" and time.monotonic() < until:
            time.sleep(_PAUSE_S)
        history = client.get_metric_history(tracked.run_id, "valid_loss")
        return tuple((point.key, point.step, point.value) for point in history)

    def _log(self, job: str) -> list[job_pb2.Event]:
        """All events, up to what GetJob says is the last: of a job that never ends the watch would not, either."""
        last = self.get(job).last_sequence
        events: list[job_pb2.Event] = []
        call = self.jobs.WatchJob(job_service_pb2.WatchJobRequest(name=job), timeout=ANSWER_S)
        for answer in call:
            events += answer.events
            if events[-1].sequence >= last:
                break
        call.cancel()
        return events

    def _journals(self, job: job_pb2.Job) -> Iterator[Told]:
        learner_id, job_id = (name.rpartition("/")[2] for name in (job.learner, job.name))
        for attempt, path in journals(Config(self.data_dir).job_dir(learner_id, job_id)):
            times = [event.time_s for event in read_journal(path)]
            if times:
                rank = int(path.stem.rpartition("-")[2])
                yield Told(attempt, rank, min(times), max(times))


def _was_let_in(error: grpc.RpcError) -> bool:
    """Whether a server may have had a call that nobody answers: it neither refused it nor was it away.

    gRPC itself ends calls as CANCELLED that come as it closes; of those that were let in the server says that it cut
    them off.
    """
    refused = any(item.key == DETAILS_KEY for item in error.trailing_metadata() or ())
    is_late = error.code() is grpc.StatusCode.CANCELLED
    return not refused and not is_late and not any(words in error.details() for words in _NOT_EVEN_SENT)


def _has_ended(job: job_pb2.Job) -> bool:
    return JobState(_STATES[job.state]).final


def as_seen(event: job_pb2.Event) -> Seen:
    kind = str(event.WhichOneof("payload"))
    state = _STATES[event.state_changed.state] if kind == "state_changed" else ""
    epoch = event.epoch_finished.epoch if kind == "epoch_finished" else -1
    content = event.SerializeToString(deterministic=True)
    return Seen(event.sequence, kind, content, state, event.attempt, epoch)
