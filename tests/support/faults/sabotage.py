"""The server with a planted bug, a strange machine, or neither: `python -m support.faults.sabotage <bug> serve ...`.

A harness that has never caught anything may be blind, so it must first catch each of these. They are put in from
outside: nothing of the product can be made to misbehave like this.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import subprocess
import sys
import threading
import time
import types
from collections.abc import AsyncGenerator, Callable
from typing import Any

from sqlalchemy import text
from support.faults import light_host

from learnfleet.server import failpoints
from learnfleet.server.domain import Job, JobState
from learnfleet.server.rpc.jobs import JobServicer
from learnfleet.server.scheduling import controller
from learnfleet.server.store.base import LogPage
from learnfleet.server.store.sql import SqlStore
from learnfleet.server.tracking.exporter import MlflowExporter
from learnfleet.server.workers import host_process
from learnfleet.server.workers.cluster import HostedGroup, RayCluster
from learnfleet.server.workers.protocol import ErrorKind, RunError

_LATE_S = 1.0
_JUMPS_S = (0.0, 3600.0, -3600.0, 0.0, 365 * 86400.0, -365 * 86400.0)
_JUMPS_A_SECOND = 3


def acknowledges_before_it_commits() -> None:
    """A job is written a second after its caller was told of it."""
    create = SqlStore.create_job

    def create_job(self: SqlStore, job: Job, **more: Any) -> Job:
        threading.Timer(_LATE_S, create, (self, job), more).start()
        return job

    SqlStore.create_job = create_job  # type: ignore[method-assign, assignment]


def forgets_request_ids() -> None:
    """A repeated request makes another job."""
    create = SqlStore.create_job

    def create_job(self: SqlStore, job: Job, **more: Any) -> Job:
        made = create(self, dataclasses.replace(job, request_id=None), **more)
        return dataclasses.replace(made, request_id=job.request_id)

    SqlStore.create_job = create_job  # type: ignore[method-assign, assignment]


def repeats_an_event_on_resume() -> None:
    _resumes_elsewhere(-1)


def skips_an_event_on_resume() -> None:
    _resumes_elsewhere(1)


def _resumes_elsewhere(by: int) -> None:
    watch = JobServicer.watch_job

    async def watch_job(self: JobServicer, request: Any) -> AsyncGenerator[Any, None]:
        if request.after_sequence > 0:
            request.after_sequence += by
        async for answer in watch(self, request):
            yield answer

    JobServicer.watch_job = watch_job  # type: ignore[method-assign, assignment]


def runs_again_what_has_ended() -> None:
    """A server that was started again queues the job that succeeded last once more."""
    if os.environ.get(failpoints.VARIABLE):
        return  # this is the one that is to be killed
    init = SqlStore.__init__

    def again(self: SqlStore, *given: Any, **more: Any) -> None:
        init(self, *given, **more)
        newest = "SELECT max(number) FROM jobs WHERE state = 'succeeded' AND kind = 'train'"
        with self._engine.begin() as connection:
            connection.execute(text(f"UPDATE jobs SET state = 'queued' WHERE number = ({newest})"))

    SqlStore.__init__ = again  # type: ignore[method-assign]


def leaves_old_workers_at_work() -> None:
    """A server that was started again looks for no workers, and starts others beside them."""
    RayCluster.find_group = lambda self, group: None  # type: ignore[method-assign]


def forgets_a_cancellation() -> None:
    """What somebody has asked of a job is not kept."""
    SqlStore.set_wanted = lambda self, job_id, *_, **__: self.get_job(job_id)  # type: ignore[method-assign]


def takes_what_was_stored_for_sent() -> None:
    """MLflow's cursor stands at the end of the log."""
    SqlStore.cursor = lambda self, consumer, job_id: self.get_job(job_id).last_sequence  # type: ignore[method-assign]


def leaves_the_learner_behind() -> None:
    """A fit succeeds, and the learner stays where it was."""
    transition = SqlStore.transition

    def forgetful(self: SqlStore, job_id: str, to: JobState, *given: Any, learner: Any = None, **more: Any) -> Job:
        return transition(self, job_id, to, *given, **more)

    SqlStore.transition = forgetful  # type: ignore[method-assign, assignment]


def forgets_clients_that_are_gone() -> None:
    """What a watch has opened stays open when its client is gone."""
    watch, opened = JobServicer.watch_job, []

    def watch_job(self: JobServicer, request: Any) -> AsyncGenerator[Any, None]:
        opened.append(os.open(os.devnull, os.O_RDONLY))
        return watch(self, request)

    JobServicer.watch_job = watch_job  # type: ignore[method-assign]


def believes_a_clock_that_jumps() -> None:
    """Events are told in the order of their times."""
    wall_clock_jumps()
    read = SqlStore.read_log

    def read_log(self: SqlStore, *asked: Any) -> LogPage:
        page = read(self, *asked)
        return dataclasses.replace(page, events=sorted(page.events, key=lambda stored: stored.event.time))

    SqlStore.read_log = read_log  # type: ignore[method-assign]


def ends_no_workers() -> None:
    """Those that were to be ended go on beside the ones that are started in their place."""
    HostedGroup.kill = lambda self: None  # type: ignore[method-assign]


def takes_want_of_memory_for_a_loss() -> None:
    """A job that wants too much memory has as many retries as one whose worker was lost."""
    judge = controller.judge

    def careless(error: RunError, *budget: Any) -> Any:
        is_want = error.kind is ErrorKind.OUT_OF_MEMORY
        return judge(dataclasses.replace(error, kind=ErrorKind.LOST) if is_want else error, *budget)

    controller.judge = careless  # type: ignore[attr-defined]


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        acknowledges_before_it_commits,
        forgets_request_ids,
        repeats_an_event_on_resume,
        skips_an_event_on_resume,
        runs_again_what_has_ended,
        leaves_old_workers_at_work,
        forgets_a_cancellation,
        takes_what_was_stored_for_sent,
        leaves_the_learner_behind,
        forgets_clients_that_are_gone,
        believes_a_clock_that_jumps,
        ends_no_workers,
        takes_want_of_memory_for_a_loss,
    )
}


def wall_clock_jumps() -> None:
    """No bug but a machine whose clock is set by years, there and back, several times a second."""
    began_s = time.monotonic()
    real_s, real_now = time.time, datetime.datetime.now

    def off_s() -> float:
        return _JUMPS_S[int((time.monotonic() - began_s) * _JUMPS_A_SECOND) % len(_JUMPS_S)]

    class JumpingDatetime(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> JumpingDatetime:
            at = real_now(tz) + datetime.timedelta(seconds=off_s())
            return cls(*at.timetuple()[:6], at.microsecond, at.tzinfo)

    time.time = lambda: real_s() + off_s()
    for name, module in list(sys.modules.items()):
        if name.startswith("learnfleet.") and getattr(module, "datetime", None) is datetime.datetime:
            setattr(module, "datetime", JumpingDatetime)  # noqa: B010  no attribute that mypy knows of every module


async def _nothing(catalog: object) -> None:
    pass


def _with_light_workers() -> None:
    """The process beside the server is light_host.py."""

    def popen(command: list[str], **more: Any) -> subprocess.Popen[str]:
        light = [item.replace("learnfleet.server.workers.ray_host", "support.faults.light_host") for item in command]
        return subprocess.Popen(light, **more)

    host_process.subprocess = types.SimpleNamespace(  # type: ignore[assignment]
        Popen=popen, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired
    )


def _without_mlflow() -> None:
    """Nothing is told to it: its import takes longer than all else of a start."""
    MlflowExporter.start = lambda self: None  # type: ignore[method-assign]
    MlflowExporter.stop = lambda self, timeout_s=0.0: None  # type: ignore[method-assign]


def _main() -> None:
    from learnfleet.client.cli.main import main
    from learnfleet.server import app
    from learnfleet.server.commands import serve  # noqa: F401  all that is to be changed

    # A server on somebody else's Ray has a worker import torch at each start, for questions that nobody asks here: half
    # of all the time that a walk through the failpoints would take.
    app._warm_up = _nothing
    if light_host.VARIABLE in os.environ:
        _with_light_workers()
    if light_host.WITHOUT_MLFLOW in os.environ:
        _without_mlflow()
    {**BUGS, wall_clock_jumps.__name__: wall_clock_jumps, "": lambda: None}[sys.argv[1]]()
    del sys.argv[1]
    main()


if __name__ == "__main__":
    _main()
