"""What a remote learner can be asked that leaves it as it is."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TypeAlias

from learnfleet.client.interpretation import Interpretation, Picture
from learnfleet.client.job import Job
from learnfleet.client.predictions import Predictions
from learnfleet.client.remote import Remote
from learnfleet.client.results import JobInfo
from learnfleet.client.specs import DatasetType, Metric, component_to_proto
from learnfleet.v1 import interpretation_service_pb2, job_pb2, job_service_pb2, prediction_service_pb2
from learnfleet.v1 import training_service_pb2 as pb

_Queued: TypeAlias = job_pb2.Job


class Examining(Remote):
    """The part of `RemoteLearner` that validates, predicts data sets, draws and interprets.

    Each call is a job; it blocks until the job is done, and `last_job` is that job. All raise JobFailedError,
    JobCancelledError, and TimeoutError after `timeout` seconds.
    """

    def validate(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        metrics: Sequence[Metric] | None = None,
        timeout: float | None = None,
    ) -> dict[str, float]:
        """Loss and metrics over a data set, by name. `metrics` None: the learner's own."""
        request = pb.ValidateRequest(
            learner=self.require_name(),
            dataset=ds_type.to_proto(),
            metrics=[component_to_proto(metric) for metric in metrics or ()],
            resources=self.settings.resources(),
            request_id=str(uuid.uuid4()),
        )
        return self._done(self.connection.call(self.connection.training.Validate, request), timeout).result.metrics

    def get_preds(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        with_loss: bool = False,
        n_batch: int | None = None,
        timeout: float | None = None,
    ) -> Predictions:
        """[predictions, targets] of a data set in its order, and losses if asked for. `n_batch`: only so many batches.

        Train is taken as Fix: in order, complete and not augmented.
        """
        request = self._preds_request(ds_type, with_loss)
        request.n_batch = n_batch or 0
        return self._read(request, timeout)

    def TTA(  # noqa: N802  # fastai's name
        self,
        beta: float = 0.4,
        scale: float = 1.35,
        ds_type: DatasetType = DatasetType.Valid,
        with_loss: bool = False,
        timeout: float | None = None,
    ) -> Predictions:
        """As `get_preds`, averaged over augmented variants: preds * beta + mean of the variants * (1 - beta)."""
        request = self._preds_request(ds_type, with_loss)
        request.tta.beta, request.tta.scale = beta, scale
        return self._read(request, timeout)

    def _preds_request(self, ds_type: DatasetType, with_loss: bool) -> prediction_service_pb2.GetPredsRequest:
        return prediction_service_pb2.GetPredsRequest(
            learner=self.require_name(),
            dataset=ds_type.to_proto(),
            with_loss=with_loss,
            resources=self.settings.resources(),
            request_id=str(uuid.uuid4()),
        )

    def _read(self, request: prediction_service_pb2.GetPredsRequest, timeout: float | None) -> Predictions:
        service = self.connection.prediction
        job = self._done(self.connection.call(service.GetPreds, request), timeout)
        rows = self.connection.read(
            service.ReadPredictions, prediction_service_pb2.ReadPredictionsRequest(job=job.name)
        )
        return Predictions.from_protos(rows, with_loss=request.with_loss)

    def show_batch(
        self, rows: int = 5, ds_type: DatasetType = DatasetType.Train, timeout: float | None = None
    ) -> Picture:
        """Items of a data set as the model sees them, in a square grid."""
        request = interpretation_service_pb2.ShowBatchRequest(
            dataset=ds_type.to_proto(),
            rows=rows,
            resources=self.settings.resources(),
            request_id=str(uuid.uuid4()),
        )
        self.target(request)
        job = self._begun(self.connection.call(self.connection.interpretation.ShowBatch, request))
        self.settle(job)
        return self._picture(job, timeout)

    def show_results(
        self, ds_type: DatasetType = DatasetType.Valid, rows: int = 5, timeout: float | None = None
    ) -> Picture:
        """Items of a data set with their targets and predictions."""
        request = interpretation_service_pb2.ShowResultsRequest(
            learner=self.require_name(),
            dataset=ds_type.to_proto(),
            rows=rows,
            resources=self.settings.resources(),
            request_id=str(uuid.uuid4()),
        )
        job = self._begun(self.connection.call(self.connection.interpretation.ShowResults, request))
        return self._picture(job, timeout)

    def interpret(
        self,
        top_losses: int = 9,
        min_confused: int = 1,
        timeout: float | None = None,
        ds_type: DatasetType = DatasetType.Valid,
        tta: bool = False,
    ) -> Interpretation:
        """Find what it gets wrong on a data set. `tta`: predict by test-time augmentation."""
        request = interpretation_service_pb2.InterpretRequest(
            learner=self.require_name(),
            top_losses=top_losses,
            min_confused=min_confused,
            dataset=ds_type.to_proto(),
            tta=tta,
            resources=self.settings.resources(),
            request_id=str(uuid.uuid4()),
        )
        service = self.connection.interpretation
        name = self._done(self.connection.call(service.Interpret, request), timeout).result.interpretation
        found = interpretation_service_pb2.GetInterpretationRequest(name=name)
        return Interpretation.from_proto(self.connection.call(service.GetInterpretation, found))

    def _begun(self, queued: _Queued) -> Job:
        self.last_job = Job(self.connection, JobInfo.from_proto(queued))
        return self.last_job

    def _done(self, queued: _Queued, timeout: float | None) -> Job:
        return self._begun(queued).wait(timeout)

    def _picture(self, job: Job, timeout: float | None) -> Picture:
        name = job.wait(timeout).result.pictures[0]
        message = self.connection.call(self.connection.jobs.GetPicture, job_service_pb2.GetPictureRequest(name=name))
        return Picture.from_proto(message)
