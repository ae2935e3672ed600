"""A learner on the server that reads like the local one."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from learnfleet.client.components import Component
from learnfleet.client.connection import Connection
from learnfleet.client.examining import Examining
from learnfleet.client.job import Job
from learnfleet.client.live import follow
from learnfleet.client.recorder import Recorder
from learnfleet.client.remote import RunSettings as RunSettings
from learnfleet.client.results import CheckpointInfo, JobInfo, LearnerInfo, LrFinding, ModelVersion, Prediction
from learnfleet.client.stage_specs import (
    Fit,
    FitFlatCos,
    FitOneCycle,
    FitSgdr,
    FreezeTo,
    Lr,
    LrFind,
    Stage,
    Wd,
    fine_tune_stages,
)
from learnfleet.v1 import prediction_service_pb2
from learnfleet.v1 import training_service_pb2 as pb


class RemoteLearner(Examining):
    """Made by `Client.cnn_learner` (a new one, on the server from its first job on) or `Client.learner`."""

    def fit(
        self,
        epochs: int,
        lr: Lr = slice(3e-3),
        wd: Wd = None,
        callbacks: Sequence[Component] = (),
        *,
        wait: bool = True,
    ) -> Job:
        """Train with a constant learning rate. Blocks with a live table, or returns the job at once (`wait=False`).

        Args:
            callbacks: of this fit only, by name: "csv_logger", or ("mixup", {"alpha": 0.4}).

        Raises InvalidArgumentError, JobFailedError, JobCancelledError.
        """
        return self.train([Fit(epochs, lr, wd, tuple(callbacks))], wait=wait)

    def fit_one_cycle(
        self,
        cyc_len: int,
        max_lr: Lr = slice(3e-3),
        moms: tuple[float, float] = (0.95, 0.85),
        div_factor: float = 25.0,
        pct_start: float = 0.3,
        final_div: float | None = None,
        wd: Wd = None,
        callbacks: Sequence[Component] = (),
        tot_epochs: int | None = None,
        start_epoch: int | None = None,
        *,
        wait: bool = True,
    ) -> Job:
        """Train with the one-cycle policy for `cyc_len` epochs. As `fit` otherwise."""
        own = tuple(callbacks)
        stage = FitOneCycle(cyc_len, max_lr, moms, div_factor, pct_start, final_div, wd, own, tot_epochs, start_epoch)
        return self.train([stage], wait=wait)

    def fit_fc(
        self,
        tot_epochs: int = 1,
        lr: Lr = slice(3e-3),
        moms: tuple[float, float] = (0.95, 0.85),
        start_pct: float = 0.72,
        wd: Wd = None,
        callbacks: Sequence[Component] = (),
        curve: str = "cosine",
        *,
        wait: bool = True,
    ) -> Job:
        """Train with a constant learning rate that is annealed at the end. As `fit` otherwise."""
        return self.train([FitFlatCos(tot_epochs, lr, moms, start_pct, curve, wd, tuple(callbacks))], wait=wait)

    def fit_sgdr(
        self,
        n_cycles: int,
        cycle_len: int,
        lr_max: Lr = slice(3e-3),
        cycle_mult: int = 2,
        wd: Wd = None,
        callbacks: Sequence[Component] = (),
        *,
        wait: bool = True,
    ) -> Job:
        """Train in cosine cycles with warm restarts. As `fit` otherwise."""
        return self.train([FitSgdr(n_cycles, cycle_len, lr_max, cycle_mult, wd, tuple(callbacks))], wait=wait)

    def fine_tune(
        self,
        epochs: int,
        base_lr: float = 2e-3,
        freeze_epochs: int = 1,
        lr_mult: float = 100.0,
        pct_start: float = 0.3,
        div: float = 5.0,
        wd: Wd = None,
        callbacks: Sequence[Component] = (),
        *,
        wait: bool = True,
    ) -> Job:
        """Train the head, then everything with discriminative rates (fastai v2), as one job. As `fit` otherwise."""
        stages = fine_tune_stages(epochs, base_lr, freeze_epochs, lr_mult, pct_start, div, wd, callbacks)
        return self.train(stages, wait=wait)

    def lr_find(
        self,
        start_lr: Lr = 1e-7,
        end_lr: Lr = 10.0,
        num_it: int = 100,
        stop_div: bool = True,
        wd: Wd = None,
        timeout: float | None = None,
    ) -> LrFinding:
        """Search a learning rate; the learner stays as it was. Rates, losses and suggestions by rule.

        `recorder.plot` draws it then.
        """
        job = self.train([LrFind(start_lr, end_lr, num_it, stop_div, wd)], wait=False)
        finding = job.wait(timeout).result.lr_findings[0]
        self.recorder = Recorder(search=finding)
        return finding

    def freeze(self) -> None:
        """Train only the head from the next fit on (the request goes to the server with it)."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Train all layer groups from the next fit on."""
        self.freeze_to(0)

    def freeze_to(self, n: int) -> None:
        """Train layer groups n and above from the next fit on. The optimiser starts anew, as in fastai."""
        self._pending.append(FreezeTo(n))

    def train(self, stages: Sequence[Stage], *, wait: bool = True) -> Job:
        """Run several stages as one job, after the freezes that wait for it."""
        request = pb.TrainRequest(
            stages=[stage.to_proto() for stage in (*self._pending, *stages)],
            resources=self.settings.resources(),
            checkpoint_policy=self.settings.checkpoint_policy(),
            request_id=str(uuid.uuid4()),
        )
        self.target(request)
        job = Job(self.connection, JobInfo.from_proto(self.connection.call(self.connection.training.Train, request)))
        self.settle(job)
        self._pending.clear()
        self.last_fit_job = job
        return self._follow(job) if wait else job

    def _follow(self, job: Job) -> Job:
        self.recorder = Recorder()
        events = job.watch()
        for event in events if self.settings.silent else follow(events):
            self.recorder.take(event)
        return job.refresh().check()

    def predict(
        self, item: str | Path | bytes, top_k: int = 0, thresh: float | None = None, tta: bool = False
    ) -> Prediction:
        """Ask about one picture with the present state. Raises InvalidArgumentError, FailedPreconditionError.

        Args:
            thresh: of several labels, those at least so probable are predicted.
            tta: average over zoomed and mirrored variants.
        """
        return predict(self.connection, self.name, item, top_k, thresh, tta)

    def save(self, name: str) -> CheckpointInfo:
        """Give the present state a name; one that is used is replaced."""
        request = pb.SaveRequest(learner=self.name, checkpoint_id=name)
        return CheckpointInfo.from_proto(self.connection.call(self.connection.training.Save, request))

    def checkpoints(self) -> list[CheckpointInfo]:
        """The states that `load` goes back to, newest first: saved ones, and those that jobs ended with or kept."""
        request = pb.ListCheckpointsRequest(learner=self.name)
        found = self.connection.call(self.connection.training.ListCheckpoints, request)
        return [CheckpointInfo.from_proto(message) for message in found.checkpoints]

    def load(self, name: str) -> RemoteLearner:
        """Go back to a state that was saved, that a job named after itself, or that it kept.

        Args:
            name: the last part, or all, of the checkpoint's name.
        """
        prefix = f"{self.name}/checkpoints/"
        request = pb.LoadRequest(checkpoint=prefix + name.removeprefix(prefix))
        self.connection.call(self.connection.training.Load, request)
        return self

    def purge(self) -> RemoteLearner:
        """Give back the memory and slots of the workers that hold it ready; its state stays, and the next job starts
        workers anew. Raises FailedPreconditionError while a job is at work on it.
        """
        self.connection.call(self.connection.training.Purge, pb.PurgeRequest(learner=self.require_name()))
        return self

    def export(self, name: str = "", aliases: Sequence[str] = (), timeout: float | None = None) -> ModelVersion:
        """Make a version of model `name` (default: the learner's own name) in the registry, and wait for it."""
        request = pb.ExportRequest(learner=self.name, model_id=name, aliases=aliases, request_id=str(uuid.uuid4()))
        job = Job(self.connection, JobInfo.from_proto(self.connection.call(self.connection.training.Export, request)))
        self.last_job = job
        return ModelVersion.from_name(job.wait(timeout).result.model_version)

    def info(self) -> LearnerInfo:
        """How it stands. Raises NotFoundError before the first fit."""
        request: Any = pb.GetLearnerRequest(name=self.name)
        return LearnerInfo.from_proto(self.connection.call(self.connection.training.GetLearner, request))


def predict(
    connection: Connection,
    model: str,
    item: str | Path | bytes,
    top_k: int = 0,
    thresh: float | None = None,
    tta: bool = False,
) -> Prediction:
    """Ask a model or learner about one picture file, or about its bytes."""
    content = item if isinstance(item, bytes) else Path(item).read_bytes()
    request = prediction_service_pb2.PredictRequest(model=model, image=content, top_k=top_k, thresh=thresh, tta=tta)
    return Prediction.from_proto(connection.call(connection.prediction.Predict, request))
