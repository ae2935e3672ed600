"""A learner on the server, for asyncio."""

from __future__ import annotations

from collections.abc import Sequence

from learnfleet.client.aio_job import AsyncJob
from learnfleet.client.aio_training import AsyncTraining
from learnfleet.client.asked_of_models import Data, Questions
from learnfleet.client.asking import Ask
from learnfleet.client.components import Components
from learnfleet.client.dataset_types import DatasetType, Part, ds_type_of
from learnfleet.client.figures import Picture
from learnfleet.client.interpretation import Interpretation
from learnfleet.client.metric_order import in_order
from learnfleet.client.predictions import Predictions
from learnfleet.client.results import CheckpointInfo, LearnerInfo, ModelVersion
from learnfleet.client.values import Prediction, Values
from learnfleet.v1 import interpretation_service_pb2, job_pb2, job_service_pb2, prediction_service_pb2
from learnfleet.v1 import training_service_pb2 as pb


class AsyncLearner(AsyncTraining):
    """Made by `AsyncClient.cnn_learner` (a new one, on the server from its first job on) or `AsyncClient.learner`.

    Fits return their job at once; `await job.wait()`, or watch it. What examines waits for its answer.
    """

    # --- examining

    def dl(self, ds_type: DatasetType = DatasetType.Valid) -> Part:
        """Stands for that part of the data in `validate`."""
        return Part(ds_type, self.data, in_batches=True)

    async def validate(self, dl: DatasetType | Part | None = None, metrics: Components = None) -> Values:
        """Loss and metrics over a data set, [loss, *metrics]."""
        await self.come_to_be()
        request = self.validate_request(ds_type_of(dl, DatasetType.Valid), metrics)
        job = await self._done(await self.connection.call(self.connection.training.Validate, request))
        return Values(in_order(job.result.metrics, self.metrics_asked_for if metrics is None else metrics))

    async def get_preds(
        self, ds_type: DatasetType = DatasetType.Valid, with_loss: bool = False, n_batch: int | None = None
    ) -> Predictions:
        """[predictions, targets] of a data set in its order, and losses if asked for."""
        await self.come_to_be()
        return await self._predictions(self.preds_request(ds_type, with_loss, n_batch))

    async def TTA(  # noqa: N802  # fastai's name
        self,
        beta: float = 0.4,
        scale: float = 1.35,
        ds_type: DatasetType = DatasetType.Valid,
        with_loss: bool = False,
    ) -> Predictions:
        """As `get_preds`, averaged over augmented variants."""
        await self.come_to_be()
        return await self._predictions(self.preds_request(ds_type, with_loss, tta=(beta, scale)))

    async def _predictions(self, request: prediction_service_pb2.GetPredsRequest) -> Predictions:
        service = self.connection.prediction
        job = await self._done(await self.connection.call(service.GetPreds, request))
        wanted = prediction_service_pb2.ReadPredictionsRequest(job=job.name)
        rows = [row async for row in self.connection.read(service.ReadPredictions, wanted)]
        kind = (await self.info()).kind if self.data is None else self.data.kind
        return Predictions.from_protos(rows, with_loss=request.with_loss, kind=kind)

    async def predict(self, item: object, top_k: int = 0, thresh: float | None = None, tta: bool = False) -> Prediction:
        """Ask about one picture with the present state: fastai's triple."""
        await self.come_to_be()
        request = Ask(self.name, top_k, thresh, tta).predict_request(item)
        return Prediction.from_proto(await self.connection.call(self.connection.prediction.Predict, request))

    async def show_batch(self, rows: int = 5, ds_type: DatasetType = DatasetType.Train) -> Picture:
        """Items of a data set as the model sees them, in a square grid."""
        request = self.show_batch_request(rows, ds_type)
        queued = await self.connection.call(self.connection.interpretation.ShowBatch, request)
        self.exists_as(queued.learner)
        return await self._picture(queued)

    async def show_results(self, ds_type: DatasetType = DatasetType.Valid, rows: int = 5) -> Picture:
        """Items of a data set with their targets and predictions."""
        await self.come_to_be()
        request = self.show_results_request(rows, ds_type)
        return await self._picture(await self.connection.call(self.connection.interpretation.ShowResults, request))

    async def interpret(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        tta: bool = False,
        top_losses: int = 9,
        min_confused: int = 1,
        data: Data = None,
        parts: Sequence[str] = (),
        slice_columns: Sequence[str] = (),
        metadata: str = "",
        void_class: str = "",
    ) -> Interpretation:
        """Find what it gets wrong on a data set. As `RemoteLearner.interpret`."""
        await self.come_to_be()
        service = self.connection.interpretation
        asked = Questions(
            ds_type, tta, top_losses, min_confused, data, tuple(parts), tuple(slice_columns), metadata, void_class
        )
        request = asked.request(learner=self.require_name(), resources=self.settings.resources())
        job = await self._done(await self.connection.call(service.Interpret, request))
        wanted = interpretation_service_pb2.GetInterpretationRequest(name=job.result.interpretation)
        return Interpretation.from_proto(await self.connection.call(service.GetInterpretation, wanted))

    # --- what is kept

    async def info(self) -> LearnerInfo:
        """How it stands. Raises NotFoundError before its first job."""
        request = pb.GetLearnerRequest(name=self.name)
        return LearnerInfo.from_proto(await self.connection.call(self.connection.training.GetLearner, request))

    async def save(self, name: str) -> CheckpointInfo:
        """Give the present state a name; one that is used is replaced."""
        await self.come_to_be()
        request = pb.SaveRequest(learner=self.name, checkpoint_id=name)
        return CheckpointInfo.from_proto(await self.connection.call(self.connection.training.Save, request))

    async def checkpoints(self) -> list[CheckpointInfo]:
        """The states that `load` goes back to, newest first."""
        request = pb.ListCheckpointsRequest(learner=self.require_name())
        found = await self.connection.call(self.connection.training.ListCheckpoints, request)
        return [CheckpointInfo.from_proto(message) for message in found.checkpoints]

    async def load(self, name: str) -> AsyncLearner:
        """Go back to a state that was saved, that a job named after itself, or that it kept."""
        request = pb.LoadRequest(checkpoint=self.checkpoint_name(name))
        await self.connection.call(self.connection.training.Load, request)
        return self

    async def delete(self) -> None:
        """Forget it on the server. As `RemoteLearner.delete`."""
        request = pb.DeleteLearnerRequest(name=self.require_name())
        await self.connection.call(self.connection.training.DeleteLearner, request)

    async def purge(self) -> AsyncLearner:
        """Give back the memory and slots of the workers that hold it ready."""
        await self.connection.call(self.connection.training.Purge, pb.PurgeRequest(learner=self.require_name()))
        return self

    async def export(self, name: str = "", aliases: Sequence[str] = (), onnx: bool = True) -> ModelVersion:
        """Make a version of model `name` (default: the learner's own name) in the registry, and wait for it."""
        await self.come_to_be()
        queued = await self.connection.call(self.connection.training.Export, self.export_request(name, aliases, onnx))
        result = (await self._done(queued)).result
        return ModelVersion.from_name(result.model_version, result.onnx)

    # --- jobs

    async def come_to_be(self) -> None:
        """Make the learner on the server, where there is none yet, by having its data looked at."""
        if self.spec is not None:
            request = self.show_batch_request(1, DatasetType.Train)
            queued = await self.connection.call(self.connection.interpretation.ShowBatch, request)
            self.exists_as(queued.learner)
            await self._done(queued)

    async def _done(self, queued: job_pb2.Job) -> AsyncJob:
        return await self.begun(queued).wait()

    async def _picture(self, queued: job_pb2.Job) -> Picture:
        name = (await self._done(queued)).result.pictures[0]
        request = job_service_pb2.GetPictureRequest(name=name)
        return Picture.from_proto(await self.connection.call(self.connection.jobs.GetPicture, request))
