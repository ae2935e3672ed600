"""What a client can ask of any model: what it gets wrong, whether another one is better, why it says what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from learnfleet.client.asked_of_models import Data, Questions, compare_request, explain_request, preds_request
from learnfleet.client.connection import Connection
from learnfleet.client.dataset_types import DatasetType
from learnfleet.client.explanation import Explanation
from learnfleet.client.found import Found
from learnfleet.client.interpretation import Again, Interpretation
from learnfleet.client.job import Job
from learnfleet.client.predictions import Predictions
from learnfleet.client.results import JobInfo, LearnerInfo
from learnfleet.client.run_settings import RunSettings
from learnfleet.v1 import interpretation_service_pb2 as pb
from learnfleet.v1 import job_pb2, prediction_service_pb2, training_service_pb2

REPORT = "report.html"


class Interpreting:
    """The part of `Client` that examines models. Jobs block until they are done, as those of learners do."""

    _connection: Connection

    def interpret(
        self,
        model: str,
        data: Data = None,
        ds_type: DatasetType = DatasetType.Valid,
        tta: bool = False,
        top_losses: int = 9,
        min_confused: int = 1,
        parts: Sequence[str] = (),
        slice_columns: Sequence[str] = (),
        metadata: str = "",
        void_class: str = "",
        timeout: float | None = None,
        least_losses: int = 0,
    ) -> Interpretation:
        """Find what `models/m/versions/v`, `models/m@alias` or `learners/l` gets wrong.

        Args:
            data: other pictures than those it was trained with: a data bunch, or `datasets/d`.
            parts: of `top_losses`, `heat_maps`, `confusion`, `class_report`, `calibration`, `curves`, `label_issues`,
                `duplicates`, `outliers`, `report`. Default: all that suit the labels.
            slice_columns: columns of `metadata`, a CSV file in the data's folder, by which accuracy is told apart.
            void_class: of masks, the class that does not count.
        """
        asked = Questions(
            ds_type, tta, top_losses, min_confused, data, tuple(parts), tuple(slice_columns), metadata, void_class
        ).more(least_losses, largest=False)
        return interpret(self._connection, asked, model, timeout)

    def get_preds(
        self,
        model: str,
        data: Data = None,
        ds_type: DatasetType = DatasetType.Valid,
        with_loss: bool = False,
        n_batch: int | None = None,
        tta: bool = False,
        timeout: float | None = None,
        activ: str | None = None,
    ) -> Predictions:
        """[predictions, targets] of a data set in its order, by any model, and losses if asked for.

        Args:
            data: other pictures than those it was trained with: a data bunch, or `datasets/d`.
            n_batch: only so many batches.
            tta: average over zoomed and mirrored variants.
            activ: "none" (raw outputs), "softmax" or "sigmoid", in place of the activation that suits the loss.
        """
        request = preds_request(model, data, ds_type, with_loss, n_batch, tta, activ)
        service = self._connection.prediction
        queued = self._connection.call(service.GetPreds, request)
        job = Job(self._connection, JobInfo.from_proto(queued)).wait(timeout)
        wanted = prediction_service_pb2.ReadPredictionsRequest(job=job.name)
        rows = self._connection.read(service.ReadPredictions, wanted)
        asked = training_service_pb2.GetLearnerRequest(name=queued.learner)
        learner = LearnerInfo.from_proto(self._connection.call(self._connection.training.GetLearner, asked))
        return Predictions.from_protos(rows, with_loss=with_loss, kind=learner.kind)

    def compare(
        self,
        baseline: str,
        candidate: str,
        data: Data = None,
        ds_type: DatasetType = DatasetType.Valid,
        examples: int = 24,
        timeout: float | None = None,
        settings: RunSettings = RunSettings(),  # noqa: B008
    ) -> Interpretation:
        """Two models on the same data: the candidate's interpretation, whose `comparison` says what got fixed or broke.

        Args:
            examples: how many pictures of each are listed.
        """
        request = compare_request(baseline, candidate, data, ds_type, examples, settings)
        service = self._connection.interpretation
        return _when_done(self._connection, self._connection.call(service.CompareVersions, request), timeout)

    def explain(self, model: str, item: object, method: str = "grad_cam", class_name: str = "") -> Explanation:
        """Where in one picture the score of a class comes from.

        Args:
            item: a path of a file that is here, the bytes of a picture file, or a PIL image.
            method: grad_cam (fast and coarse), integrated_gradients, or occlusion (the slowest).
            class_name: default: the predicted one.
        """
        request = explain_request(model, item, method, class_name)
        service = self._connection.interpretation
        return Explanation.from_proto(self._connection.call(service.ExplainPrediction, request))

    def interpretation(self, name: str) -> Interpretation:
        """One that is done, by `interpretations/{interpretation}`. Raises NotFoundError."""
        return read(self._connection, name)

    def interpretations(self, learner: str = "") -> Iterator[Found]:
        """Those that are done, newest first, without their parts; only of `learner` where it is given."""
        token = ""
        while True:
            request = pb.ListInterpretationsRequest(page_token=token, learner=learner)
            page = self._connection.call(self._connection.interpretation.ListInterpretations, request)
            yield from map(Found.from_proto, page.interpretations)
            token = page.next_page_token
            if not token:
                return

    def interpretation_file(self, name: str, file: str = REPORT) -> bytes:
        """A file of an interpretation: its report, or a picture that an item names."""
        return read_file(self._connection, name, file)


def interpret(connection: Connection, asked: Questions, model: str, timeout: float | None) -> Interpretation:
    """Ask, wait, and read. Raises JobFailedError, JobCancelledError, DeadlineExceededError."""
    queued = connection.call(connection.interpretation.Interpret, asked.of(model))

    def again(count: int, largest: bool) -> Interpretation:
        return interpret(connection, asked.more(count, largest=largest), model, timeout)

    return _when_done(connection, queued, timeout, again)


def _when_done(
    connection: Connection,
    queued: job_pb2.Job,
    timeout: float | None,
    again: Again | None = None,
) -> Interpretation:
    job = Job(connection, JobInfo.from_proto(queued)).wait(timeout)
    return read(connection, job.result.interpretation, again)


def read(connection: Connection, name: str, again: Again | None = None) -> Interpretation:
    """An interpretation that is done."""
    request = pb.GetInterpretationRequest(name=name)
    message = connection.call(connection.interpretation.GetInterpretation, request)
    return Interpretation.from_proto(message, again, lambda file: read_file(connection, name, file))


def read_file(connection: Connection, name: str, file: str) -> bytes:
    request = pb.ReadInterpretationFileRequest(name=name, file=file)
    chunks = connection.read(connection.interpretation.ReadInterpretationFile, request)
    return b"".join(chunk.content for chunk in chunks)
