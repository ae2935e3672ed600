"""One rank of a learner's worker group: a plain class that group.py makes a Ray actor of.

Torch is imported with the first call that needs it: the process answers at once. All of torch's work is done in one
thread, since its number of threads is a setting of the thread that asks; polls are answered by others meanwhile.
"""

from __future__ import annotations

import logging
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from learnfleet.server.domain import Json
from learnfleet.server.telemetry.logs import LogSettings, logged_to_stderr
from learnfleet.server.telemetry.tracing import TraceSettings
from learnfleet.server.workers.log_events import warnings_as_events
from learnfleet.server.workers.progress import Progress, worker_tracing
from learnfleet.server.workers.protocol import RunRequest, StartState, WorkerBusy, WorkerStatus
from learnfleet.server.workers.rank_log import logging_to, rank_log_path
from learnfleet.server.workers.run import Run, execute, final_token
from learnfleet.server.workers.stacks import all_stacks, crash_path, crashes_to
from learnfleet.server.workers.system_samples import Sampling, samples_as_events

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_FRESH = "<fresh>"  # no state_token looks like this

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerTelemetry:
    """How workers write their logs, and where they send their spans."""

    logs: LogSettings = field(default_factory=LogSettings)
    traces: TraceSettings = field(default_factory=TraceSettings)


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker is told at its start."""

    rank: int
    world_size: int
    device: str = "cpu"
    threads: int = 1  # torch's CPU threads; part of what exact resume needs to be the same
    collective_timeout_s: float = 60.0
    telemetry: WorkerTelemetry = field(default_factory=WorkerTelemetry)


class TrainWorker:
    """Holds a built learner between the jobs on it. One run at a time."""

    def __init__(self, config: WorkerConfig) -> None:
        os.environ["OMP_NUM_THREADS"] = str(config.threads)
        self._config = config
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="torch")
        self._lock = Lock()
        self._run: Run | None = None
        self._learner: Learner | None = None
        self._built_from: Json | None = None
        self._holds: str | None = None  # token of the state in memory, None: of no saved state
        self._tracing = worker_tracing(config.telemetry.traces, config.rank)

    def address(self) -> str:
        """host:port on this machine where the ranks can meet. The port was free a moment ago."""
        with socket.socket() as probe:
            probe.bind(("", 0))
            return f"{_own_host()}:{probe.getsockname()[1]}"

    def setup(self, init_method: str) -> int:
        """Join the other ranks at `init_method`, and return this process's id. Blocks until all have joined."""
        self._pool.submit(self._join, init_method).result()
        return os.getpid()

    def _join(self, init_method: str) -> None:
        from learnfleet.trainer.process import join_group

        config = self._config
        join_group(init_method, config.rank, config.world_size, config.device, config.collective_timeout_s)

    def start(self, request: RunRequest) -> None:
        """Begin a run. A repeat of the present one changes nothing. Raises WorkerBusy while another one runs."""
        with self._lock:
            if self._run is not None and self._run.is_of(request):
                return
            if self._run is not None and not self._run.ended:
                raise WorkerBusy(f"job {self._run.request.job_id} runs here; job {request.job_id} has to wait")
            self._run = Run(request, self._config.rank, Progress(self._tracing, request, self._config.rank))
            self._pool.submit(self._execute, self._run)

    def _execute(self, run: Run) -> None:
        holds, self._holds = self._holds, None
        request = run.request
        place = Path(request.job_dir), request.attempt, run.rank
        with (
            crashes_to(crash_path(*place)),
            logging_to(rank_log_path(*place)),
            logged_to_stderr(self._config.telemetry.logs, run.log_fields),
            run.reporting(),
            warnings_as_events(run.emit, request.attempt, run.rank),
        ):
            start = request.resume_path or "its start"
            _log.info("attempt %s at jobs/%s, process %s, from %s", request.attempt, request.job_id, os.getpid(), start)
            learner = self._prepared(request, holds)
            # What callbacks write (the best model, tables) is the job's, and never goes into the data's folder.
            learner.path = Path(request.job_dir)
            with samples_as_events(run.emit, self._sampling(request), learner.path):
                outcome = execute(learner, run)
            self._holds = final_token(request, outcome)
            _log.info("attempt %s %s", request.attempt, "was stopped" if outcome["stopped"] else "is done")
            run.done(outcome)

    def _sampling(self, request: RunRequest) -> Sampling:
        return Sampling(request.system_metrics_every_s, self._config.rank, self._config.world_size, request.attempt)

    def _prepared(self, request: RunRequest, holds: str | None) -> Learner:
        """The learner in the state that the request starts from, built or loaded only where memory differs from it."""
        from learnfleet.trainer.run import load_state

        wanted = request.start.token if request.start else _FRESH
        learner = self._learner if self._built_from == request.spec else None
        if learner is None or (request.start is None and holds != wanted):
            learner, holds = self._build(request.spec), _FRESH
        if request.resume_path is None and holds != wanted:
            load_state(learner, Path(_path_of(request.start)))
        return learner

    def _build(self, spec: Json) -> Learner:
        from learnfleet.trainer.build import build_learner
        from learnfleet.trainer.spec import LearnerSpec

        self._learner = None  # frees its memory before the next one takes as much
        config = self._config
        self._learner = build_learner(
            LearnerSpec.from_json(spec),
            device=config.device,
            rank=config.rank,
            world_size=config.world_size,
            threads=config.threads,
        )
        self._built_from = spec
        return self._learner

    def poll(self, job_id: str, acknowledged: int) -> WorkerStatus:
        """How the run of this job stands, with its events from number `acknowledged` on. Answers at once.

        Raises WorkerBusy if the present run is of another job.
        """
        return self._run_of(job_id).status(acknowledged)

    def stop(self, job_id: str) -> None:
        """Ask the run to end at the next batch. One that is over or was never started here needs nothing."""
        run = self._run
        if run is not None and run.request.job_id == job_id:
            run.stop_requested.set()

    def write_stacks(self, job_id: str) -> None:
        """Write where each thread stands to the log of this job's run."""
        run = self._run
        if run is not None and run.request.job_id == job_id:
            _log.warning("the threads of rank %s stand here:\n%s", run.rank, all_stacks())

    def ping(self) -> int:
        """This process's id."""
        return os.getpid()

    def _run_of(self, job_id: str) -> Run:
        run = self._run
        if run is None or run.request.job_id != job_id:
            raise WorkerBusy(f"job {job_id} was not started here")
        return run


def _path_of(start: StartState | None) -> str:
    assert start is not None, "a fresh learner needs no state"
    return start.path


def _own_host() -> str:
    """This machine's address as the other workers' machines know it."""
    import ray.util

    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
