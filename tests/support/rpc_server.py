"""The real gRPC server and the real store, with fakes for what is behind them: the cluster and its workers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from support.stand_in_inference import FixedInference

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.data.roots import DataRoots
from learnfleet.server.domain import Checkpoint, Job, JobState, Wanted
from learnfleet.server.errors import NotFound
from learnfleet.server.inference.ports import Inference
from learnfleet.server.rpc.hub import EventHub
from learnfleet.server.rpc.ports import Argument, Capacity, ExplainOptions, Explanation, FoundModel, Placed
from learnfleet.server.rpc.server import RpcServer, build_server
from learnfleet.server.rpc.status import DETAILS_KEY
from learnfleet.server.store.sql import SqlStore
from learnfleet.server.telemetry.telemetry import Telemetry
from learnfleet.server.tracking.registry import ModelNews, NoNews
from learnfleet.trainer import manifest
from learnfleet.trainer.body_info import BodyInfo, BodyTensors
from learnfleet.trainer.errors import LearnerError
from learnfleet.v1 import (
    dataset_service_pb2_grpc,
    interpretation_service_pb2_grpc,
    job_service_pb2_grpc,
    prediction_service_pb2_grpc,
    training_service_pb2_grpc,
)

START_TIMEOUT_S = 20


_COMPONENTS: dict[str, dict[str, tuple[Argument, ...]]] = {
    "metrics": {"accuracy": (), "top_k_accuracy": (Argument("k", "int", 5),)},
    "losses": {
        "cross_entropy": (Argument("axis", "int", -1),),
        "smoothed": (Argument("eps", "float", 0.1),),
        "bce_with_logits": (),
        "mse": (),
    },
    "callbacks": {
        "mixup": (Argument("alpha", "float", 0.4),),
        "early_stopping": (Argument("mode", "str", "auto", choices=("auto", "min", "max")),),
        "one_cycle": (Argument("lr_max", "float", None, required=True, many=True),),
    },
    "optimizers": {"adam": (Argument("eps", "float", 1e-8),), "sgd": ()},
    "transforms": {"cutout": (Argument("length", "float", 40, many=True),)},
}
RESNET18 = BodyInfo(3, BodyTensors("resnet18", {"conv1.weight": (64, 3, 7, 7)}, frozenset(), frozenset({"fc"})))


class FakeCatalog:
    """A cluster of four CPU workers that knows two architectures."""

    async def architectures(self) -> frozenset[str]:
        return frozenset({"resnet18", "timm/tf_efficientnet_lite0"})

    async def components(self, kind: str) -> Mapping[str, tuple[Argument, ...]]:
        return _COMPONENTS[kind]

    async def capacity(self) -> Capacity:
        return Capacity(cpu_slots=4, gpu_slots=0, elastic=False)

    async def body(self, architecture: str, cut: int | None) -> BodyInfo | None:
        if cut == 0:
            raise LearnerError("cut", "children()[:0] of resnet18 is empty, as it has 10 children")
        return RESNET18 if (architecture, cut) == ("resnet18", None) else None


@dataclass
class FakeRuntime:
    """Runs nothing; remembers what it was told."""

    store: SqlStore
    queued: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    previewed: list[Job] = field(default_factory=list)
    placed: Placed = field(default_factory=Placed)
    error: Exception | None = None
    models: dict[str, FoundModel] = field(default_factory=dict)

    def job_queued(self, job: Job) -> None:
        self.queued.append(job.id)

    async def preview(self, job: Job) -> Placed:
        self.previewed.append(job)
        return self.placed

    async def ask(self, job_id: str, wanted: Wanted) -> Job:
        job = self.store.set_wanted(job_id, wanted)
        return self.store.transition(job_id, JobState.CANCELLED, "cancelled") if wanted is Wanted.CANCEL else job

    async def is_warm(self, learner_id: str) -> bool:
        return learner_id == "warm"

    async def release_workers(self, learner_id: str) -> None:
        self.released.append(learner_id)

    async def find_model(self, model: str) -> FoundModel:
        if model not in self.models:
            raise NotFound(model)
        return self.models[model]

    async def explain(self, model: str, image: bytes, options: ExplainOptions) -> Explanation:
        if self.error is not None:
            raise self.error
        wanted = options.class_name or "dog"
        return Explanation(b"png", b"\0" * 24, (2, 3), wanted, 0.7, "dog", model)


@dataclass(frozen=True)
class RunningServer:
    """A server in a thread of this process, and stubs that speak to it over its port."""

    address: str
    channel: grpc.Channel
    config: Config
    store: SqlStore
    runtime: FakeRuntime
    inference: Inference
    hub: EventHub
    loop: asyncio.AbstractEventLoop
    stopping: asyncio.Event
    thread: threading.Thread
    rpc: RpcServer

    @property
    def training(self) -> training_service_pb2_grpc.TrainingServiceStub:
        return training_service_pb2_grpc.TrainingServiceStub(self.channel)

    @property
    def jobs(self) -> job_service_pb2_grpc.JobServiceStub:
        return job_service_pb2_grpc.JobServiceStub(self.channel)

    @property
    def prediction(self) -> prediction_service_pb2_grpc.PredictionServiceStub:
        return prediction_service_pb2_grpc.PredictionServiceStub(self.channel)

    @property
    def interpretation(self) -> interpretation_service_pb2_grpc.InterpretationServiceStub:
        return interpretation_service_pb2_grpc.InterpretationServiceStub(self.channel)

    @property
    def datasets(self) -> dataset_service_pb2_grpc.DatasetServiceStub:
        return dataset_service_pb2_grpc.DatasetServiceStub(self.channel)

    def notify(self, job_id: str) -> None:
        self.loop.call_soon_threadsafe(self.hub.notify, job_id)

    def stop(self) -> None:
        """End it now, as a server that is told to stop ends."""
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(START_TIMEOUT_S)

    # test controls

    def stop_admitting(self) -> None:
        """What a server does first when it is told to stop."""

        async def close() -> None:
            await self.rpc.set_serving(False)
            self.rpc.admission.close()

        asyncio.run_coroutine_threadsafe(close(), self.loop).result(START_TIMEOUT_S)

    def end_watches(self) -> None:
        self.loop.call_soon_threadsafe(self.hub.close)

    # what workers would have done

    def finish(self, name: str, result: dict[str, object] | None = None) -> None:
        """Bring a job to its end."""
        job_id = names.parse_job(name)
        for state in (JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED):
            self.store.transition(job_id, state, result=result if state.final else None)
        self.notify(job_id)

    def train_to_a_checkpoint(self, name: str, weights: bytes = b"weights", moments: bytes = b"") -> Checkpoint:
        """Finish a TRAIN job as the scheduler does: with a checkpoint that the learner then points at.

        `moments`: of its optimiser, if it has one.
        """
        job = self.store.get_job(names.parse_job(name))
        folder = self.config.checkpoint_root(job.learner_id) / f"{job.id}-0000000010-1"
        folder.mkdir(parents=True)
        (folder / manifest.MODEL_FILE).write_bytes(weights)
        if moments:
            (folder / manifest.OPTIMIZER_FILE).write_bytes(moments)
        state = {"classes": ["cat", "dog"], "frozen_to": 2, "lifetime_epoch": 3, "global_step": 10}
        (folder / manifest.STATE_FILE).write_text(json.dumps(state))
        manifest.write_manifest(folder, job_id=job.id, attempt=1, step=10, epoch=3)
        info = manifest.verify(folder)
        checkpoint = Checkpoint(
            job.learner_id,
            job.id,
            str(folder),
            10,
            3,
            info.model_sha256,
            info.optimizer_sha256,
            info.size_bytes,
            datetime.now(UTC),
        )
        learner = self.store.get_learner(job.learner_id)
        moved = replace(learner, checkpoint_id=job.id, classes=("cat", "dog"), frozen_to=2, epochs=3, steps=10)
        self.store.transition(job.id, JobState.STARTING, attempt=1)
        self.store.transition(job.id, JobState.RUNNING)
        result = {"checkpoint_id": job.id, "metrics": {"accuracy": 0.9}, "exact": True}
        self.store.transition(job.id, JobState.SUCCEEDED, result=result, learner=moved, checkpoint=checkpoint)
        self.notify(job.id)
        return checkpoint


@contextlib.contextmanager
def running_server(
    folder: Path,
    root: Path,
    *,
    store: SqlStore | None = None,
    runtime: FakeRuntime | None = None,
    inference: Inference | None = None,
    news: ModelNews | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    telemetry: Telemetry | None = None,
    **settings: Any,
) -> Iterator[RunningServer]:
    """A server on a free port whose data root is `root`; `store`, `runtime`, `inference` and `news` replace its own.

    `credentials`: of the channel, where the settings say TLS. `telemetry`: what calls and transitions are told to.
    """
    telemetry = telemetry or Telemetry()
    settings = {"data_roots": (root,), **settings}
    config = Config(folder / "data", listen="127.0.0.1:0", **settings)
    config.data_dir.mkdir(parents=True, exist_ok=True)
    store = store or SqlStore(config.store_url, moved=telemetry.job_moved)
    runtime, hub = runtime or FakeRuntime(store), EventHub()
    inference = inference or FixedInference()
    loop = asyncio.new_event_loop()
    started: Future[RpcServer] = Future()
    stop = asyncio.Event()

    async def serve() -> None:
        try:
            roots = DataRoots(config.data_roots, config.data_dir)
            told = news or NoNews()
            server = build_server(config, store, runtime, FakeCatalog(), hub, roots, inference, told, telemetry)
            await server.start()
            await server.set_serving(True)
            server.library.start()
        except BaseException as error:
            started.set_exception(error)
            raise
        started.set_result(server)
        await stop.wait()
        hub.close()
        server.library.close()
        await server.stop(None)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        rpc = started.result(START_TIMEOUT_S)
        address, options = f"127.0.0.1:{rpc.port}", [("grpc.max_send_message_length", -1)]
        with (
            grpc.secure_channel(address, credentials, options)
            if credentials is not None
            else grpc.insecure_channel(address, options)
        ) as channel:
            yield RunningServer(address, channel, config, store, runtime, inference, hub, loop, stop, thread, rpc)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_TIMEOUT_S)
        loop.close()
        store.close()


@dataclass(frozen=True)
class Refusal:
    """What a caller is told of an error."""

    code: grpc.StatusCode
    message: str
    violations: Mapping[str, str]  # by field
    reason: str
    metadata: Mapping[str, str] = field(default_factory=dict)  # of its ErrorInfo
    retry_after_s: float | None = None

    @property
    def fields(self) -> set[str]:
        return set(self.violations)


def refusal(call: Callable[[], object]) -> Refusal:
    """The error that `call` ends with, which must have the details we promise."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = caught.value
    trailer = {item.key: item.value for item in error.trailing_metadata() or ()}
    assert DETAILS_KEY in trailer, f"{error.code()} without details: {error.details()}"
    status = status_pb2.Status.FromString(trailer[DETAILS_KEY])
    assert error.code().value[0] == status.code
    bad, info, retry = error_details_pb2.BadRequest(), error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        detail.Unpack(bad)
        detail.Unpack(info)
        detail.Unpack(retry)
    violations = {violation.field: violation.description for violation in bad.field_violations}
    retry_after_s = retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None
    return Refusal(error.code(), error.details(), violations, info.reason, dict(info.metadata), retry_after_s)
