"""What clients do so that the server comes to a failpoint. Each scene has jobs that must end with known tensors."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import grpc
from google.protobuf import duration_pb2
from PIL import Image
from support.faults.load import Load, a_spec

from learnfleet.client import Client, InternalError, NotFoundError
from learnfleet.v1 import job_pb2, job_service_pb2, training_service_pb2

LEARNER = "learners/disturbed"
BASE = "base"  # the state that every scene begins with
EPOCHS = 12  # of a fit that lasts long enough to be disturbed in its middle
ENDLESS = 10_000  # epochs: a job that ends only when it is stopped
FITS = 2
_PICTURES = 12

_T = TypeVar("_T")
Digests = tuple[str, str]
References = Mapping[str, Digests]  # tensors of undisturbed fits from BASE on: "fit 1", "fit 2", "long fit"


@dataclass
class Stage:
    """Where scenes play: the load, and what they may do to the workers."""

    load: Load
    kill_a_worker: Callable[[], None]
    expects: dict[str, str] = field(default_factory=dict)  # what a job comes to, by its name: a key of References

    def fit(self, tries: int = 1) -> str:
        """The next epoch of LEARNER from BASE on."""
        job = self.load.train(LEARNER, tries=tries)
        self.expects[job] = f"fit {len(self.expects) + 1}"
        return job

    def fit_long(self) -> str:
        """Instead of any other fit: EPOCHS epochs from BASE on."""
        job = self.load.train(LEARNER, EPOCHS, checkpoint_policy=job_pb2.CheckpointPolicy(every_steps=2))
        self.expects[job] = "long fit"
        return job


Scene = Callable[[Stage], None]


def everyday(stage: Stage) -> None:
    """Two fits, the first asked for twice, an examination between them; one watcher stays, the other comes and goes."""
    load = stage.load
    first = stage.fit(tries=2)
    load.watch(first)
    load.watch(first, connections_of=3)
    checked = load.submit(load.training.Validate, training_service_pb2.ValidateRequest(learner=LEARNER), tries=2)
    load.watch(checked)
    second = stage.fit()
    load.watch(second, connections_of=5)
    for job in (first, checked, second):
        load.until_ended(job)


def tracked(stage: Stage) -> None:
    """As everyday life, and MLflow is asked afterwards what it has heard."""
    everyday(stage)


def cancelled(stage: Stage) -> None:
    """One job is stopped while it waits, one while it runs, and then the learner is trained as if neither had been."""
    load = stage.load
    runs = load.train(LEARNER, ENDLESS)
    load.watch(runs, connections_of=20)
    waits = load.train(LEARNER, ENDLESS)
    load.watch(waits)
    load.until(runs, lambda job: job.progress.batch > 0 or job.progress.epoch > 0, "a batch")
    load.cancel(waits)
    load.cancel(runs)
    load.until_ended(waits)
    load.until_ended(runs)
    last = stage.fit()
    load.watch(last)
    load.until_ended(last)


def failing(stage: Stage) -> None:
    """A job that takes longer than it may, and one after it."""
    load = stage.load
    late = load.train(LEARNER, ENDLESS, timeout=duration_pb2.Duration(seconds=2))
    load.watch(late)
    load.until_state(late, "failed")
    last = stage.fit()
    load.watch(last, connections_of=4)
    load.until_ended(last)


def named(stage: Stage) -> None:
    """A state is saved under a name while jobs come and go, and gone back to."""
    load = stage.load
    load.watch(first := stage.fit())
    load.until_ended(first)
    save = training_service_pb2.SaveRequest(learner=LEARNER, checkpoint_id="halfway")
    load.call(load.training.Save, save)
    load.call(load.training.Save, save)
    load.watch(second := stage.fit(), connections_of=4)
    load.until_ended(second)
    load.call(load.training.Load, training_service_pb2.LoadRequest(checkpoint=f"{LEARNER}/checkpoints/halfway"))
    again = load.train(LEARNER)  # from where the second began
    stage.expects[again] = "fit 2"
    load.until_ended(again)


def exported(stage: Stage) -> None:
    load = stage.load
    load.watch(first := stage.fit())
    load.until_ended(first)
    request = training_service_pb2.ExportRequest(learner=LEARNER, model_id="disturbed", aliases=["newest"])
    load.watch(out := load.submit(load.training.Export, request, tries=2))
    load.until_ended(out)


def released(stage: Stage) -> None:
    """The learner's workers are given up, and the next job has new ones."""
    load = stage.load
    load.watch(first := stage.fit())
    load.until_ended(first)
    # The workers of a job that has just ended may not be given back yet: then there is nothing to give up.
    for _ in range(2):
        load.call(load.training.Purge, training_service_pb2.PurgeRequest(learner=LEARNER), accept=_NOT_NOW)
    load.watch(second := stage.fit(), connections_of=4)
    load.until_ended(second)


def worker_killed(stage: Stage) -> None:
    """A worker dies in the middle of a fit."""
    load = stage.load
    disturbed = stage.fit_long()
    load.watch(disturbed, connections_of=10)
    load.until(disturbed, lambda job: job.progress.epoch >= 2, "the third epoch")
    stage.kill_a_worker()
    load.until_ended(disturbed)


def paused(stage: Stage) -> None:
    """A job is paused in the middle and resumed; it ends as one that was not."""
    load = stage.load
    job = stage.fit_long()
    load.watch(job, connections_of=10)
    load.until(job, lambda found: found.progress.epoch >= 1, "the second epoch")
    load.call(load.jobs.PauseJob, job_service_pb2.PauseJobRequest(name=job), accept=_NOT_NOW)
    load.until_state(job, "paused")
    load.call(load.jobs.ResumeJob, job_service_pb2.ResumeJobRequest(name=job), accept=_NOT_NOW)
    load.until_ended(job)


def deleted(stage: Stage) -> None:
    """A job that is over is deleted; the others stay."""
    load = stage.load
    load.watch(first := stage.fit())
    load.until_ended(first)
    gone = load.train(LEARNER, ENDLESS)
    load.cancel(gone)
    load.until_ended(gone)
    accept = (grpc.StatusCode.NOT_FOUND,)  # the call before was answered by nobody, and done
    load.call(load.jobs.DeleteJob, job_service_pb2.DeleteJobRequest(name=gone), accept=accept)
    load.history.deleted.add(gone)
    load.watch(second := stage.fit())
    load.until_ended(second)


def forgotten(stage: Stage) -> None:
    """A learner that has had a job is deleted while another one is trained; that one's jobs stay."""
    load = stage.load
    load.watch(first := stage.fit())
    name = f"forgotten-{uuid.uuid4().hex[:8]}"
    gone = load.train(a_spec(pretrained=False), name=name)
    load.until_ended(first)
    load.until_ended(gone)
    accept = (grpc.StatusCode.NOT_FOUND,)  # the call before was answered by nobody, and done
    request = training_service_pb2.DeleteLearnerRequest(name=f"learners/{name}")
    load.call(load.training.DeleteLearner, request, accept=accept)
    load.history.deleted.add(gone)
    load.watch(second := stage.fit())
    load.until_ended(second)


def _told(call: Callable[[], _T]) -> _T:
    """The answer; asked for once more by a caller who is told that the server has failed."""
    try:
        return call()
    except InternalError:
        return call()


def uploaded(stage: Stage) -> None:
    """A folder is uploaded, uploaded again without making a version, and forgotten; the learner is trained as ever."""
    with tempfile.TemporaryDirectory() as folder, Client.connect(stage.load.address) as client:
        for number in range(_PICTURES):
            path = Path(folder) / "pictures" / f"class-{number % 2}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((64, 64), 50 + number).save(path)
        name = f"set-{uuid.uuid4().hex[:8]}"
        upload = partial(client.datasets.upload, Path(folder) / "pictures", name, progress=False)
        made, again = _told(upload), _told(upload)
        assert len(made.versions) == len(again.versions) == 1, f"{name} has {len(again.versions)} versions"
        assert made.version.files == _PICTURES, f"{name} has {made.version.files} files"
        with contextlib.suppress(NotFoundError):  # the call before was answered by nobody, and done
            _told(lambda: client.datasets.delete(made.name))
        assert made.name not in [dataset.name for dataset in client.datasets.list()], f"{name} was deleted and is there"
    for _ in range(FITS):
        stage.load.watch(job := stage.fit())
        stage.load.until_ended(job)


_NOT_NOW = (grpc.StatusCode.FAILED_PRECONDITION,)

# The scene and the greatest number of hits at which a failpoint acts there; all others are met in everyday life.
_ELSEWHERE: Mapping[str, tuple[Scene, int]] = {
    "store.update_learner": (named, 1),
    "store.put_checkpoint": (named, 1),
    "store.transition.queued": (paused, 1),
    "store.transition.pausing": (paused, 1),
    "store.transition.paused": (paused, 1),
    "store.transition.restarting": (worker_killed, 1),
    "store.transition.cancelling": (cancelled, 1),
    "store.transition.cancelled": (cancelled, 2),
    "store.transition.failed": (failing, 1),
    "store.set_wanted": (cancelled, 1),
    "store.delete_job": (deleted, 1),
    "store.delete_learner": (forgotten, 1),
    "store.add_version": (uploaded, 1),
    "store.set_summary": (uploaded, 1),
    "store.delete_dataset": (uploaded, 1),
    "store.begin_upload": (uploaded, 1),
    "store.advance_upload": (uploaded, 1),
    "store.delete_upload": (uploaded, 1),
    "dataset.moved": (uploaded, 1),
    "store.next_generation": (released, 1),
    "store.put_group": (released, 1),
    "store.delete_group": (released, 1),
    "checkpoint.linked": (named, 1),
    "checkpoint.published": (named, 1),
    "job.stop_asked": (cancelled, 1),
    "job.failed": (worker_killed, 1),
    "group.started": (released, 1),
    "group.ended": (released, 1),
    "export.made": (exported, 1),
    "export.registered": (exported, 1),
    "store.append_events": (everyday, 2),
    "events.fetched": (everyday, 2),
    "store.set_tracking": (tracked, 2),
    "store.advance_cursor": (tracked, 3),
    "mlflow.run_made": (tracked, 2),
    "mlflow.sent": (tracked, 3),
    "store.transition.starting": (everyday, 3),
    "store.transition.running": (everyday, 3),
    "store.transition.succeeded": (everyday, 3),
    "store.create_job": (everyday, 3),
}


def scene_of(failpoint: str) -> tuple[Scene, int]:
    """What reaches a failpoint, and how often at least."""
    write = failpoint.removesuffix(".before").removesuffix(".after")
    return _ELSEWHERE.get(write, (everyday, 1))
