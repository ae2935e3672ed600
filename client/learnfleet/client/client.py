"""The way in: `Client.connect`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from learnfleet.client.asking import Ask
from learnfleet.client.connection import MAX_MESSAGE_MB, Connection
from learnfleet.client.errors import PictureError
from learnfleet.client.interpreting import Interpreting
from learnfleet.client.job import Job
from learnfleet.client.learner import Item, RemoteLearner
from learnfleet.client.learner_options import LearnerMaker
from learnfleet.client.listing import jobs_request, learners_request
from learnfleet.client.results import JobInfo, LearnerInfo, Prediction
from learnfleet.client.run_settings import RunSettings
from learnfleet.client.security import security_for
from learnfleet.client.specs import LearnerSpec
from learnfleet.v1 import job_service_pb2

if TYPE_CHECKING:
    from learnfleet.client.datasets import Datasets
    from learnfleet.client.registry import Models

DEFAULT_ADDRESS = "127.0.0.1:8470"
ADDRESS_VARIABLE = "LEARNFLEET_ADDRESS"


class Client(LearnerMaker[RemoteLearner], Interpreting):
    """A connection to a control server. Usable as a context manager; safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    def connect(
        cls,
        address: str | None = None,
        timeout_s: float = 60.0,
        retry_s: float = 60.0,
        max_message_mb: int = MAX_MESSAGE_MB,
        ca: str | PathLike[str] | None = None,
        cert: str | PathLike[str] | None = None,
        key: str | PathLike[str] | None = None,
        token: str | Path | None = None,
        plaintext: bool | None = None,
        token_in_clear: bool | None = None,
        tenant: str | None = None,
    ) -> Client:
        """A client of the server at `address` (host:port). The connection is made with the first call.

        Args:
            address: default: the variable LEARNFLEET_ADDRESS, else 127.0.0.1:8470.
            timeout_s: limit of each call.
            retry_s: how long a server that cannot be reached is tried again.
            max_message_mb: the greatest message in MiB; the server has such a limit, too.
            ca: PEM file of the authorities that vouch for the server. Default: LEARNFLEET_CA, else those gRPC knows.
            cert, key: PEM files of the client's own certificate. Default: LEARNFLEET_CERT, LEARNFLEET_KEY.
            token: who calls, or a Path that is read again when it changes. Default: LEARNFLEET_TOKEN, else the file of
                LEARNFLEET_TOKEN_FILE.
            plaintext: speak without TLS to an address that is not loopback. (To loopback TLS is only spoken where `ca`
                or `cert` is given.) Default: LEARNFLEET_PLAINTEXT, else False.
            token_in_clear: send the token without TLS, for everyone on the way to read. Default:
                LEARNFLEET_TOKEN_IN_CLEAR, else False.
            tenant: for whom; another than one's own is for admins. Default: LEARNFLEET_TENANT, else one's own.

        Raises ValueError for what does not go together, OSError for files that cannot be read.
        """
        where = address or os.environ.get(ADDRESS_VARIABLE, DEFAULT_ADDRESS)
        security = security_for(where, ca, cert, key, token, plaintext, token_in_clear, tenant)
        return cls(Connection(where, timeout_s, retry_s, max_message_mb, security))

    @property
    def datasets(self) -> Datasets:
        """Data sets on the server: `upload`, `register`, `get`, `list`, `delete`."""
        from learnfleet.client.datasets import Datasets  # with it come tarfile and hashlib

        return Datasets(self._connection)

    @property
    def models(self) -> Models:
        """Model versions on the server: `list`, `get`, `versions`, `version`, `set_alias`, `delete_alias`."""
        from learnfleet.client.registry import Models

        return Models(self._connection)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def learner(self, name: str, settings: RunSettings = RunSettings()) -> RemoteLearner:  # noqa: B008
        """An existing learner, by `learners/{learner}`. Raises NotFoundError."""
        learner = RemoteLearner(self._connection, name, None, settings)
        learner.info()
        return learner

    def new_learner(self, spec: LearnerSpec, name: str, settings: RunSettings) -> RemoteLearner:
        """A learner of a specification made elsewhere. It comes to be on the server with its first job."""
        return RemoteLearner(self._connection, f"learners/{name}" if name else "", spec, settings)

    def learners(self) -> Iterator[LearnerInfo]:
        """All learners, newest first."""
        token = ""
        while True:
            page = self._connection.call(self._connection.training.ListLearners, learners_request(token))
            yield from map(LearnerInfo.from_proto, page.learners)
            token = page.next_page_token
            if not token:
                return

    def job(self, name: str) -> Job:
        """A job, by `jobs/{job}`. Raises NotFoundError."""
        message = self._connection.call(self._connection.jobs.GetJob, job_service_pb2.GetJobRequest(name=name))
        return Job(self._connection, JobInfo.from_proto(message))

    def jobs(self, learner: str = "", states: Sequence[str] = ()) -> Iterator[Job]:
        """Jobs, newest first; only those of `learner` and in `states` (such as "RUNNING") where given."""
        token = ""
        while True:
            page = self._connection.call(self._connection.jobs.ListJobs, jobs_request(token, learner, states))
            for message in page.jobs:
                yield Job(self._connection, JobInfo.from_proto(message))
            token = page.next_page_token
            if not token:
                return

    def predict(
        self,
        model: str,
        item: Item,
        top_k: int = 0,
        thresh: float | None = None,
        tta: bool = False,
        outputs: Sequence[str] = (),
        dropout_samples: int = 0,
    ) -> Prediction:
        """Ask `models/m/versions/v`, `models/m@alias` or `learners/l` about one picture.

        Args:
            item: a path of a file that is here, the bytes of a picture file, a PIL image, a file of a data set
                (`dataset://pets/dog.jpg`), or numbers [3, height, width] of the size that the model sees: uint8 pixels,
                or float32 that are normalised already.
            thresh: of several labels, those at least so probable are predicted.
            tta: average over zoomed and mirrored variants.
            outputs: what else is wanted: "logits", "embedding", "activated".
            dropout_samples: also so many predictions with dropout on, up to 100: the answer's `samples`.
        """
        request = Ask(model, top_k, thresh, tta, outputs).predict_request(item, dropout_samples)
        return Prediction.from_proto(self._connection.call(self._connection.prediction.Predict, request))

    def predict_batch(
        self,
        model: str,
        items: Iterable[Item] | str | Path,
        top_k: int = 0,
        thresh: float | None = None,
        tta: bool = False,
        outputs: Sequence[str] = (),
    ) -> list[Prediction | PictureError]:
        """Ask about several pictures, or all of a folder. One that cannot be predicted has its error in its place."""
        from learnfleet.client.predicting import predict_batch

        return predict_batch(self._connection, Ask(model, top_k, thresh, tta, outputs), items)

    def predict_stream(
        self,
        model: str,
        items: Iterable[Item] | str | Path,
        top_k: int = 0,
        thresh: float | None = None,
        tta: bool = False,
        outputs: Sequence[str] = (),
        in_flight: int = 64,
    ) -> Iterator[tuple[Item, Prediction | PictureError]]:
        """(picture, answer) of any number of pictures, or of a folder, in the order in which they are ready.

        `items` is read as the answers come, at most `in_flight` pictures ahead. After a lost connection it goes on, and
        what had no answer is sent again.
        """
        from learnfleet.client.predicting import predict_stream

        return predict_stream(self._connection, Ask(model, top_k, thresh, tta, outputs), items, in_flight)
