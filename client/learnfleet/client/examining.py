"""What a remote learner can be asked that leaves it as it is."""

from __future__ import annotations

from collections.abc import Sequence

from learnfleet.client.activations import of_passes, of_variants
from learnfleet.client.arrays import Array
from learnfleet.client.asked_of_models import Data, Questions, explain_request
from learnfleet.client.components import Components
from learnfleet.client.dataset_types import DatasetType, Part, ds_type_of
from learnfleet.client.explanation import Explanation
from learnfleet.client.figures import Figsize, Picture
from learnfleet.client.interpretation import Interpretation
from learnfleet.client.interpreting import read
from learnfleet.client.job import Job
from learnfleet.client.metric_order import in_order
from learnfleet.client.predictions import Predictions
from learnfleet.client.remote import Remote
from learnfleet.client.results import Description, LearnerInfo
from learnfleet.client.values import Values
from learnfleet.v1 import job_service_pb2, prediction_service_pb2
from learnfleet.v1 import training_service_pb2 as pb


class Examining(Remote):
    """The part of `RemoteLearner` that validates, predicts data sets, draws and interprets.

    Each call is a job; it blocks until the job is done, and `last_job` is that job. A learner that is not on the server
    yet comes to be there with it. All raise JobFailedError, JobCancelledError, and DeadlineExceededError after
    `timeout` seconds.
    """

    def dl(self, ds_type: DatasetType = DatasetType.Valid) -> Part:
        """Stands for that part of the data in `validate`."""
        return Part(ds_type, self.data, in_batches=True)

    def validate(
        self,
        dl: DatasetType | Part | None = None,
        metrics: Components = None,
        timeout: float | None = None,
    ) -> Values:
        """Loss and metrics over a data set, [loss, *metrics], which are also known by name.

        Args:
            dl: `learn.data.valid_dl`, `learn.dl(DatasetType.Fix)`, or the DatasetType itself. Default: Valid.
            metrics: instead of the learner's own.
        """
        self.come_to_be()
        request = self.validate_request(ds_type_of(dl, DatasetType.Valid), metrics)
        job = self.done(self.connection.call(self.connection.training.Validate, request), timeout)
        return Values(in_order(job.result.metrics, self.metrics_asked_for if metrics is None else metrics))

    def get_preds(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        activ: str | None = None,
        with_loss: bool = False,
        n_batch: int | None = None,
        timeout: float | None = None,
    ) -> Predictions:
        """[predictions, targets] of a data set in its order, and losses if asked for. `n_batch`: only so many batches.

        Train is taken as Fix: in order, complete and not augmented.

        Args:
            activ: "none" (raw outputs), "softmax" or "sigmoid", in place of the activation that suits the loss.
        """
        self.come_to_be()
        return self._predictions(self.preds_request(ds_type, with_loss, n_batch, activ), timeout)

    def pred_batch(
        self, ds_type: DatasetType = DatasetType.Valid, activ: str | None = None, timeout: float | None = None
    ) -> Array:
        """Predictions of the first batch of a data set, [N, ...]. As `get_preds`."""
        return self.get_preds(ds_type, activ, n_batch=1, timeout=timeout).preds

    def TTA(  # noqa: N802  # fastai's name
        self,
        beta: float | None = 0.4,
        scale: float = 1.35,
        ds_type: DatasetType = DatasetType.Valid,
        activ: str | None = None,
        with_loss: bool = False,
        timeout: float | None = None,
    ) -> Predictions:
        """As `get_preds`, averaged over augmented variants: preds * beta + mean of the variants * (1 - beta).

        `beta=None`: [predictions, mean of the variants, targets].
        """
        self.come_to_be()
        tta = of_variants(beta, scale)
        return self._predictions(self.preds_request(ds_type, with_loss, activ=activ, tta=tta), timeout)

    def tta(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        n: int = 4,
        beta: float = 0.25,
        use_max: bool = False,
        activ: str | None = None,
        timeout: float | None = None,
    ) -> Predictions:
        """As `TTA`, over `n` passes with the whole training augmentation (fastai v2 `tta`).

        Args:
            use_max: the greatest of all outputs instead of their mean.
        """
        self.come_to_be()
        return self._predictions(self.preds_request(ds_type, activ=activ, tta=of_passes(n, beta, use_max)), timeout)

    def _predictions(self, request: prediction_service_pb2.GetPredsRequest, timeout: float | None) -> Predictions:
        service = self.connection.prediction
        job = self.done(self.connection.call(service.GetPreds, request), timeout)
        wanted = prediction_service_pb2.ReadPredictionsRequest(job=job.name)
        rows = self.connection.read(service.ReadPredictions, wanted)
        return Predictions.from_protos(rows, with_loss=request.with_loss, kind=self._kind())

    def _kind(self) -> str:
        """What the targets are."""
        return self.info().kind if self.data is None else self.data.kind

    def show_batch(
        self,
        rows: int = 5,
        ds_type: DatasetType = DatasetType.Train,
        timeout: float | None = None,
        figsize: Figsize = None,
    ) -> Picture:
        """Items of a data set as the model sees them, in a square grid. `figsize`: inches it is shown in."""
        request = self.show_batch_request(rows, ds_type)
        queued = self.connection.call(self.connection.interpretation.ShowBatch, request)
        self.exists_as(queued.learner)
        return self._picture(self.begun(queued), timeout).sized(figsize)

    def show_results(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        rows: int = 5,
        figsize: Figsize = None,
        timeout: float | None = None,
    ) -> Picture:
        """Items of a data set with their targets and predictions. `figsize`: inches that a notebook shows it in."""
        self.come_to_be()
        request = self.show_results_request(rows, ds_type)
        queued = self.connection.call(self.connection.interpretation.ShowResults, request)
        return self._picture(self.begun(queued), timeout).sized(figsize)

    def summary(self, timeout: float | None = None) -> str:
        """The network as a table: layers, shapes for one batch, parameters, what is trained."""
        return self.described(timeout).network

    def described(self, timeout: float | None = None) -> Description:
        """What it is made of. A learner that is not on the server yet comes to be there."""
        queued = self.connection.call(self.connection.training.Describe, self.describe_request())
        self.exists_as(queued.learner)
        found = self.done(queued, timeout).result.description
        assert found is not None, "a job that describes has found something"
        return found

    def explain(self, item: object, method: str = "grad_cam", class_name: str = "") -> Explanation:
        """Where in one picture the score of a class comes from. A notebook shows it over the picture.

        Args:
            item: a path of a file that is here, the bytes of a picture file, or a PIL image.
            method: grad_cam (fast and coarse), integrated_gradients, or occlusion (the slowest).
            class_name: default: the predicted one.
        """
        self.come_to_be()
        request = explain_request(self.require_name(), item, method, class_name)
        service = self.connection.interpretation
        return Explanation.from_proto(self.connection.call(service.ExplainPrediction, request))

    def interpret(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        tta: bool = False,
        top_losses: int = 9,
        min_confused: int = 1,
        timeout: float | None = None,
        data: Data = None,
        parts: Sequence[str] = (),
        slice_columns: Sequence[str] = (),
        metadata: str = "",
        void_class: str = "",
        least_losses: int = 0,
    ) -> Interpretation:
        """Find what it gets wrong on a data set.

        Args:
            tta: predict by test-time augmentation.
            top_losses, least_losses: how many pictures with the greatest and with the least loss are listed and drawn,
                up to 100.
            min_confused: least count of a pair of classes that is listed as confused.
            data, parts, slice_columns, metadata, void_class: see `Client.interpret`.
        """
        asked = Questions(
            ds_type, tta, top_losses, min_confused, data, tuple(parts), tuple(slice_columns), metadata, void_class
        ).more(least_losses, largest=False)
        return self._interpreted(asked, timeout)

    def _interpreted(self, asked: Questions, timeout: float | None) -> Interpretation:
        self.come_to_be()
        request = asked.request(learner=self.require_name(), resources=self.settings.resources())
        queued = self.connection.call(self.connection.interpretation.Interpret, request)
        name = self.done(queued, timeout).result.interpretation
        return read(
            self.connection, name, lambda count, largest: self._interpreted(asked.more(count, largest=largest), timeout)
        )

    def info(self) -> LearnerInfo:
        """How it stands. Raises NotFoundError before its first job."""
        request = pb.GetLearnerRequest(name=self.name)
        return LearnerInfo.from_proto(self.connection.call(self.connection.training.GetLearner, request))

    def _picture(self, job: Job, timeout: float | None) -> Picture:
        name = job.wait(timeout).result.pictures[0]
        message = self.connection.call(self.connection.jobs.GetPicture, job_service_pb2.GetPictureRequest(name=name))
        return Picture.from_proto(message)
