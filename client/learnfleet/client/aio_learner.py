"""A learner on the server, for asyncio."""

from __future__ import annotations

from collections.abc import Sequence

from learnfleet.client.activations import of_passes, of_variants
from learnfleet.client.aio_job import AsyncJob
from learnfleet.client.aio_training import AsyncTraining
from learnfleet.client.arrays import Array
from learnfleet.client.asked_of_models import Data, Questions, explain_request
from learnfleet.client.asking import Ask
from learnfleet.client.components import Components
from learnfleet.client.dataset_types import DatasetType, Part, ds_type_of
from learnfleet.client.explanation import Explanation
from learnfleet.client.figures import Picture
from learnfleet.client.interpretation import Interpretation
from learnfleet.client.metric_order import in_order
from learnfleet.client.predictions import Predictions
from learnfleet.client.results import CheckpointInfo, Description, LearnerInfo, ModelVersion
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
        self,
        ds_type: DatasetType = DatasetType.Valid,
        activ: str | None = None,
        with_loss: bool = False,
        n_batch: int | None = None,
    ) -> Predictions:
        """[predictions, targets] of a data set in its order, and losses if asked for."""
        await self.come_to_be()
        return await self._predictions(self.preds_request(ds_type, with_loss, n_batch, activ))

    async def pred_batch(self, ds_type: DatasetType = DatasetType.Valid, activ: str | None = None) -> Array:
        """Predictions of the first batch of a data set, [N, ...]."""
        return (await self.get_preds(ds_type, activ, n_batch=1)).preds

    async def TTA(  # noqa: N802  # fastai's name
        self,
        beta: float | None = 0.4,
        scale: float = 1.35,
        ds_type: DatasetType = DatasetType.Valid,
        activ: str | None = None,
        with_loss: bool = False,
    ) -> Predictions:
        """As `get_preds`, averaged over augmented variants. `beta=None`: [predictions, mean of them, targets]."""
        await self.come_to_be()
        tta = of_variants(beta, scale)
        return await self._predictions(self.preds_request(ds_type, with_loss, activ=activ, tta=tta))

    async def tta(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        n: int = 4,
        beta: float = 0.25,
        use_max: bool = False,
        activ: str | None = None,
    ) -> Predictions:
        """As `TTA`, over `n` passes with the whole training augmentation (fastai v2 `tta`)."""
        await self.come_to_be()
        return await self._predictions(self.preds_request(ds_type, activ=activ, tta=of_passes(n, beta, use_max)))

    async def _predictions(self, request: prediction_service_pb2.GetPredsRequest) -> Predictions:
        service = self.connection.prediction
        job = await self._done(await self.connection.call(service.GetPreds, request))
        wanted = prediction_service_pb2.ReadPredictionsRequest(job=job.name)
        rows = [row async for row in self.connection.read(service.ReadPredictions, wanted)]
        kind = (await self.info()).kind if self.data is None else self.data.kind
        return Predictions.from_protos(rows, with_loss=request.with_loss, kind=kind)

    async def predict(
        self,
        item: object,
        top_k: int = 0,
        thresh: float | None = None,
        tta: bool = False,
        with_dropout: bool = False,
    ) -> Prediction:
        """Ask about one picture with the present state: fastai's triple."""
        await self.come_to_be()
        request = Ask(self.name, top_k, thresh, tta).predict_request(item, dropout_samples=int(with_dropout))
        found = Prediction.from_proto(await self.connection.call(self.connection.prediction.Predict, request))
        return found.samples[0] if with_dropout else found

    async def predict_with_mc_dropout(self, item: object, n_times: int = 10) -> list[Prediction]:
        """`predict` so many times, up to 100, with dropout on."""
        await self.come_to_be()
        request = Ask(self.name).predict_request(item, dropout_samples=n_times)
        answer = await self.connection.call(self.connection.prediction.Predict, request)
        return list(Prediction.from_proto(answer).samples)

    async def explain(self, item: object, method: str = "grad_cam", class_name: str = "") -> Explanation:
        """Where in one picture the score of a class comes from. As `RemoteLearner.explain`."""
        await self.come_to_be()
        request = explain_request(self.require_name(), item, method, class_name)
        service = self.connection.interpretation
        return Explanation.from_proto(await self.connection.call(service.ExplainPrediction, request))

    async def summary(self) -> str:
        """The network as a table: layers, shapes for one batch, parameters, what is trained."""
        return (await self.described()).network

    async def described(self) -> Description:
        """What it is made of. A learner that is not on the server yet comes to be there."""
        queued = await self.connection.call(self.connection.training.Describe, self.describe_request())
        self.exists_as(queued.learner)
        found = (await self._done(queued)).result.description
        assert found is not None, "a job that describes has found something"
        return found

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
        least_losses: int = 0,
    ) -> Interpretation:
        """Find what it gets wrong on a data set. As `RemoteLearner.interpret`."""
        await self.come_to_be()
        service = self.connection.interpretation
        asked = Questions(
            ds_type, tta, top_losses, min_confused, data, tuple(parts), tuple(slice_columns), metadata, void_class
        ).more(least_losses, largest=False)
        request = asked.request(learner=self.require_name(), resources=self.settings.resources())
        job = await self._done(await self.connection.call(service.Interpret, request))
        wanted = interpretation_service_pb2.GetInterpretationRequest(name=job.result.interpretation)
        return Interpretation.from_proto(await self.connection.call(service.GetInterpretation, wanted))

    # --- what is kept

    async def info(self) -> LearnerInfo:
        """How it stands. Raises NotFoundError before its first job."""
        request = pb.GetLearnerRequest(name=self.name)
        return LearnerInfo.from_proto(await self.connection.call(self.connection.training.GetLearner, request))

    async def save(self, name: str, with_opt: bool = True) -> CheckpointInfo:
        """Give the present state a name; one that is used is replaced."""
        await self.come_to_be()
        request = self.save_request(name, with_opt)
        return CheckpointInfo.from_proto(await self.connection.call(self.connection.training.Save, request))

    async def checkpoints(self) -> list[CheckpointInfo]:
        """The states that `load` goes back to, newest first."""
        request = pb.ListCheckpointsRequest(learner=self.require_name())
        found = await self.connection.call(self.connection.training.ListCheckpoints, request)
        return [CheckpointInfo.from_proto(message) for message in found.checkpoints]

    async def load(self, name: str, with_opt: bool | None = None) -> AsyncLearner:
        """Go back to a state that was saved, that a job named after itself, or that it kept."""
        await self.connection.call(self.connection.training.Load, self.load_request(name, with_opt))
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
