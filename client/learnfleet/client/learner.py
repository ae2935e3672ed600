"""A learner on the server that reads like the local one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from learnfleet.client import cards
from learnfleet.client.asking import Ask
from learnfleet.client.components import Components, as_components
from learnfleet.client.errors import LearnfleetError
from learnfleet.client.examining import Examining
from learnfleet.client.job import Job
from learnfleet.client.lr_rules import Rules, names_of
from learnfleet.client.placement import Placement
from learnfleet.client.recorder import Recorder
from learnfleet.client.results import CheckpointInfo, LrFinding, ModelVersion, Prediction
from learnfleet.client.run_settings import RunSettings as RunSettings
from learnfleet.client.stage_specs import (
    Fit,
    FitFlatCos,
    FitOneCycle,
    FitSgdr,
    Lr,
    LrFind,
    Stage,
    Wd,
    fine_tune_stages,
)
from learnfleet.v1 import training_service_pb2 as pb

Item: TypeAlias = object  # a path, bytes, a PIL image or numbers, whose packages this one does not need


class RemoteLearner(Examining):
    """Made by `Client.cnn_learner` (a new one, on the server from its first job on) or `Client.learner`."""

    def fit(
        self,
        epochs: int,
        lr: Lr = slice(3e-3),
        wd: Wd = None,
        callbacks: Components = None,
        *,
        wait: bool = True,
    ) -> Job:
        """Train with a constant learning rate. Blocks with a live table, or returns the job at once (`wait=False`).

        Args:
            callbacks: of this fit only, by name: "csv_logger", or ("mixup", {"alpha": 0.4}).

        Raises InvalidArgumentError, JobFailedError, JobCancelledError.
        """
        return self.train([Fit(epochs, lr, wd, as_components(callbacks))], wait=wait)

    def fit_one_cycle(
        self,
        cyc_len: int,
        max_lr: Lr = slice(3e-3),
        moms: tuple[float, float] = (0.95, 0.85),
        div_factor: float = 25.0,
        pct_start: float = 0.3,
        final_div: float | None = None,
        wd: Wd = None,
        callbacks: Components = None,
        tot_epochs: int | None = None,
        start_epoch: int | None = None,
        *,
        wait: bool = True,
    ) -> Job:
        """Train with the one-cycle policy for `cyc_len` epochs. As `fit` otherwise."""
        own = as_components(callbacks)
        stage = FitOneCycle(cyc_len, max_lr, moms, div_factor, pct_start, final_div, wd, own, tot_epochs, start_epoch)
        return self.train([stage], wait=wait)

    def fit_fc(
        self,
        tot_epochs: int = 1,
        lr: Lr = slice(3e-3),
        moms: tuple[float, float] = (0.95, 0.85),
        start_pct: float = 0.72,
        wd: Wd = None,
        callbacks: Components = None,
        curve: str = "cosine",
        *,
        wait: bool = True,
    ) -> Job:
        """Train with a constant learning rate that is annealed at the end. As `fit` otherwise."""
        return self.train([FitFlatCos(tot_epochs, lr, moms, start_pct, curve, wd, as_components(callbacks))], wait=wait)

    def fit_sgdr(
        self,
        n_cycles: int,
        cycle_len: int,
        lr_max: Lr = slice(3e-3),
        cycle_mult: int = 2,
        wd: Wd = None,
        callbacks: Components = None,
        *,
        wait: bool = True,
    ) -> Job:
        """Train in cosine cycles with warm restarts. As `fit` otherwise."""
        return self.train([FitSgdr(n_cycles, cycle_len, lr_max, cycle_mult, wd, as_components(callbacks))], wait=wait)

    def fine_tune(
        self,
        epochs: int,
        base_lr: float = 2e-3,
        freeze_epochs: int = 1,
        lr_mult: float = 100.0,
        pct_start: float = 0.3,
        div: float = 5.0,
        wd: Wd = None,
        callbacks: Components = None,
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
        suggest_funcs: Rules | None = None,
        timeout: float | None = None,
    ) -> LrFinding:
        """Search a learning rate; the learner stays as it was. Rates, losses and suggestions by rule.

        `recorder.plot` draws it then.

        Args:
            suggest_funcs: the rules to give, such as (minimum, steep), or their names. Default: all.
        """
        wanted = names_of(suggest_funcs)
        job = self.train([LrFind(start_lr, end_lr, num_it, stop_div, wd)], wait=False)
        finding = job.wait(timeout).result.lr_findings[0].only(wanted)
        self.recorder = Recorder.of_search(finding)
        return finding

    def train(self, stages: Sequence[Stage], *, wait: bool = True) -> Job:
        """Run several stages as one job, after the freezes that wait for it. As `fit` otherwise."""
        queued = self.connection.call(self.connection.training.Train, self.train_request(stages))
        self.was_sent(queued.learner)
        self.last_fit_job = job = self.begun(queued)
        if wait:
            self.recorder = job.follow(silent=self.settings.silent)
        return job

    def dry_run(self, stages: Sequence[Stage]) -> Placement:
        """Where `train(stages)` would run now, or what it would wait for. All is checked, nothing is queued."""
        answer = self.connection.call(self.connection.training.Train, self.dry_run_request(stages))
        return Placement.from_proto(answer.placement)

    def predict(
        self,
        item: Item,
        top_k: int = 0,
        thresh: float | None = None,
        tta: bool = False,
        with_dropout: bool = False,
    ) -> Prediction:
        """Ask about one picture with the present state: fastai's triple. Raises InvalidArgumentError.

        Args:
            item: a path of a file that is here, the bytes of a picture file, or a PIL image.
            thresh: of several labels, those at least so probable are predicted.
            tta: average over zoomed and mirrored variants.
            with_dropout: dropout stays on.
        """
        self.come_to_be()
        request = Ask(self.name, top_k, thresh, tta).predict_request(item, dropout_samples=int(with_dropout))
        found = Prediction.from_proto(self.connection.call(self.connection.prediction.Predict, request))
        return found.samples[0] if with_dropout else found

    def predict_with_mc_dropout(self, item: Item, n_times: int = 10) -> list[Prediction]:
        """`predict` so many times, 1 to 100, with dropout on: how far the answers differ says how sure the model is."""
        self.come_to_be()
        request = Ask(self.name).predict_request(item, dropout_samples=n_times)
        return list(Prediction.from_proto(self.connection.call(self.connection.prediction.Predict, request)).samples)

    def save(self, name: str, with_opt: bool = True) -> CheckpointInfo:
        """Give the present state a name; one that is used is replaced. `with_opt=False`: without its optimiser."""
        self.come_to_be()
        request = self.save_request(name, with_opt)
        return CheckpointInfo.from_proto(self.connection.call(self.connection.training.Save, request))

    def checkpoints(self) -> list[CheckpointInfo]:
        """The states that `load` goes back to, newest first: saved ones, and those that jobs ended with or kept."""
        request = pb.ListCheckpointsRequest(learner=self.name)
        found = self.connection.call(self.connection.training.ListCheckpoints, request)
        return [CheckpointInfo.from_proto(message) for message in found.checkpoints]

    def load(self, name: str, with_opt: bool | None = None) -> RemoteLearner:
        """Go back to a state that was saved, that a job named after itself, or that it kept.

        Args:
            name: the last part, or all, of the checkpoint's name.
            with_opt: False: the optimiser starts anew. True: FailedPreconditionError where the state has none.
        """
        self.connection.call(self.connection.training.Load, self.load_request(name, with_opt))
        return self

    def purge(self) -> RemoteLearner:
        """Give back the memory and slots of the workers that hold it ready; its state stays, and the next job starts
        workers anew. Raises FailedPreconditionError while a job is at work on it.
        """
        self.connection.call(self.connection.training.Purge, pb.PurgeRequest(learner=self.require_name()))
        return self

    def delete(self) -> None:
        """Forget it on the server: its jobs, their events and its checkpoints; its workers are ended. What was exported
        stays. Raises FailedPreconditionError while one of its jobs has not ended.
        """
        self.connection.call(self.connection.training.DeleteLearner, pb.DeleteLearnerRequest(name=self.require_name()))

    def export(
        self, name: str = "", aliases: Sequence[str] = (), timeout: float | None = None, onnx: bool = True
    ) -> ModelVersion:
        """Make a version of model `name` (default: the learner's own name) in the registry, and wait for it.

        It answers `predict` as `models/{name}@newest`, and as `load_learner(learn.path, name)`.

        Args:
            aliases: further ones that are moved to this version.
            onnx: the model as ONNX, too. Where there is none the version's `onnx` says why.
        """
        self.come_to_be()
        queued = self.connection.call(self.connection.training.Export, self.export_request(name, aliases, onnx))
        result = self.done(queued, timeout).result
        return ModelVersion.from_name(result.model_version, result.onnx)

    def __repr__(self) -> str:
        return f"RemoteLearner({self.name or 'not on the server yet'})"

    def _repr_html_(self) -> str:
        if self.spec is not None:
            facts = {"architecture": self.spec.architecture, "data": self.path, "state": "not on the server yet"}
            return cards.card(self.name or "learner", facts)
        try:
            return self.info()._repr_html_()
        except LearnfleetError as error:
            return cards.card(self.name, {"state": error})
