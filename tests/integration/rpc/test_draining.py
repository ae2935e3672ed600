"""A server that was told to stop: what it still answers, what it refuses, and where streams are to go on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.fuzz import MODULES
from support.pictures import encoded, picture
from support.rpc_server import FakeRuntime, RunningServer, refusal, running_server
from support.stand_in_inference import FixedInference
from support.uploads import CONTENT, a_header, chunks, files_of, pets, send, size_of, until

from learnfleet.oip import inference_pb2 as oip
from learnfleet.oip import inference_pb2_grpc as oip_grpc
from learnfleet.server.doctor.finding import Level
from learnfleet.server.doctor.running import check_running
from learnfleet.server.inference.ports import InferOptions, Input, Reply
from learnfleet.server.rpc.ports import ExplainOptions, Explanation
from learnfleet.server.store.sql import SqlStore
from learnfleet.v1 import (
    dataset_service_pb2,
    interpretation_service_pb2,
    job_service_pb2,
    prediction_service_pb2,
)

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
# What begins nothing. All others, also those that are yet to come, are to be refused.
ANSWERED = {
    *("GetUpload", "GetDataset", "ListDatasets", "GetInterpretation", "ListInterpretations", "ReadInterpretationFile"),
    *("GetJob", "ListJobs", "WatchJob", "GetPicture", "GetJobLogs", "CancelJob", "PauseJob", "ResumeJob"),
    *("GetModel", "ListModels", "GetModelVersion", "ListModelVersions", "ReadPredictions"),
    *("GetLearner", "ListLearners", "ListCheckpoints"),
    *("ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata"),
}
UNSUPPORTED = {"RepositoryModelLoad", "RepositoryModelUnload"}
METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if method.name not in UNSUPPORTED
]


def ask(server: RunningServer, method: MethodDescriptor) -> None:
    """With an empty request."""
    path, content = f"/{method.containing_service.full_name}/{method.name}", GetMessageClass(method.input_type)()
    kind = ("stream" if method.client_streaming else "unary", "stream" if method.server_streaming else "unary")
    call = getattr(server.channel, "_".join(kind))(path, type(content).SerializeToString)
    answer = call(iter([content]) if method.client_streaming else content, timeout=20)
    if method.server_streaming:
        list(answer)


def test_what_begins_anything_is_refused_with_when_to_try_again_and_all_else_is_answered(
    server: RunningServer,
) -> None:
    server.stop_admitting()
    refused = set()
    for method in METHODS:
        try:
            ask(server, method)
        except grpc.RpcError as error:
            if error.code() is UNAVAILABLE:
                told = refusal(lambda m=method: ask(server, m))
                assert (told.reason, told.retry_after_s) == ("SERVER_DRAINING", 1.0), method.name
                refused.add(method.name)
    assert {method.name for method in METHODS} - refused == ANSWERED


def test_health_says_so_of_every_service(server: RunningServer) -> None:
    server.stop_admitting()
    stub = health_pb2_grpc.HealthStub(server.channel)
    for name in ("", *server.rpc.services):
        told = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=20)
        assert told.status == health_pb2.HealthCheckResponse.NOT_SERVING, name


def test_clients_of_kserve_are_told_that_it_lives_and_is_not_ready(server: RunningServer) -> None:
    stub = oip_grpc.GRPCInferenceServiceStub(server.channel)
    assert stub.ServerReady(oip.ServerReadyRequest(), timeout=20).ready
    server.stop_admitting()
    assert stub.ServerLive(oip.ServerLiveRequest(), timeout=20).live
    assert not stub.ServerReady(oip.ServerReadyRequest(), timeout=20).ready


def test_a_watch_goes_on_and_then_ends_with_its_place(server: RunningServer, a_request: Any) -> None:
    job = server.training.Train(a_request())
    watch = server.jobs.WatchJob(job_service_pb2.WatchJobRequest(name=job.name), timeout=60)
    seen = [event.sequence for event in next(watch).events]
    server.stop_admitting()
    server.store.set_reasons({job.name.removeprefix("jobs/"): "waits for a server"})
    cancelled = server.jobs.PauseJob(job_service_pb2.PauseJobRequest(name=job.name), timeout=20)
    assert cancelled.name == job.name
    server.end_watches()

    def to_the_end() -> None:
        for answer in watch:
            seen.extend(event.sequence for event in answer.events)

    told = refusal(to_the_end)

    assert (told.code, told.reason) == (UNAVAILABLE, "SERVER_DRAINING")
    assert told.metadata == {"after_sequence": str(seen[-1])}


def test_a_log_that_is_followed_ends_with_its_place(server: RunningServer, a_request: Any) -> None:
    job = server.training.Train(a_request())
    logs = server.jobs.GetJobLogs(job_service_pb2.GetJobLogsRequest(name=job.name, follow=True), timeout=60)
    until(lambda: server.hub.watchers(job.name.removeprefix("jobs/")), lambda count: count == 1)
    server.end_watches()
    told = refusal(lambda: list(logs))
    assert (told.reason, told.metadata) == ("SERVER_DRAINING", {"after_position": "0"})


def test_an_upload_is_told_how_far_it_came_and_goes_on_at_the_next_server(tmp_path: Path, root: Path) -> None:
    header, told_to_stop = a_header(CONTENT), threading.Event()
    with running_server(tmp_path, root) as server:

        def messages() -> Iterator[dataset_service_pb2.CreateDatasetRequest]:
            yield header
            yield from chunks(CONTENT, 0, 5000)
            told_to_stop.wait(60)

        call = server.datasets.CreateDataset.future(messages(), timeout=60)
        until(lambda: size_of(server, header), lambda size: size == 5000)
        server.stop_admitting()
        told = refusal(call.result)
        told_to_stop.set()
    upload = {"upload_id": header.header.upload_id, "received_bytes": "5000"}
    assert (told.code, told.reason, told.metadata) == (UNAVAILABLE, "SERVER_DRAINING", upload)
    with running_server(tmp_path, root) as server:
        send(server, header, *chunks(CONTENT, 5000))
        assert files_of(server) == pets()


@dataclass
class Held(FixedInference):
    """Answers when it is let."""

    may_answer: threading.Event = field(default_factory=threading.Event)

    async def infer(
        self, model: str, inputs: Sequence[Input], options: InferOptions, timeout_s: float | None = None
    ) -> Reply:
        reply = await super().infer(model, inputs, options, timeout_s)
        await asyncio.to_thread(self.may_answer.wait, 60)
        return reply


def test_a_stream_of_pictures_is_answered_as_far_as_it_was_read(tmp_path: Path, root: Path) -> None:
    pb = prediction_service_pb2
    inference, go_on = Held(), threading.Event()

    def requests() -> Iterator[pb.PredictStreamRequest]:
        yield pb.PredictStreamRequest(settings=pb.PredictStreamSettings(model="learners/x"))
        for number in range(3):
            item = pb.StreamItem(id=str(number), input=pb.Input(image=encoded(picture(number))))
            yield pb.PredictStreamRequest(item=item)
        go_on.wait(60)

    answered: list[str] = []
    with running_server(tmp_path, root, inference=inference) as server:
        answers = server.prediction.PredictStream(requests(), timeout=60)
        until(lambda: len(inference.asked), lambda count: count == 3)
        server.stop_admitting()
        inference.may_answer.set()
        told = refusal(lambda: answered.extend(answer.id for answer in answers))
        go_on.set()
    assert (told.code, told.reason) == (UNAVAILABLE, "SERVER_DRAINING")
    assert sorted(answered) == ["0", "1", "2"]


class Thoughtful(FakeRuntime):
    """Explains when it is let."""

    def __init__(self, store: SqlStore) -> None:
        super().__init__(store)
        self.asked, self.may_answer = threading.Event(), threading.Event()

    async def explain(self, model: str, image: bytes, options: ExplainOptions) -> Explanation:
        self.asked.set()
        await asyncio.to_thread(self.may_answer.wait, 60)
        return await super().explain(model, image, options)


def test_a_call_that_was_let_in_is_answered_and_waited_for(tmp_path: Path, root: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'own.db'}")
    runtime = Thoughtful(store)
    request = interpretation_service_pb2.ExplainPredictionRequest(model="learners/x", image=encoded(picture(0)))
    with running_server(tmp_path, root, store=store, runtime=runtime) as server:
        call = server.interpretation.ExplainPrediction.future(request, timeout=60)
        assert runtime.asked.wait(20)
        server.stop_admitting()

        def idle(within_s: float) -> int:
            return asyncio.run_coroutine_threadsafe(server.rpc.admission.idle(within_s), server.loop).result(60)

        assert idle(0.05) == 1
        runtime.may_answer.set()
        assert idle(60) == 0
        assert call.result().class_name == "dog"


def test_only_calls_are_refused_that_come_after_the_word(server: RunningServer, a_request: Any) -> None:
    assert server.training.Train(a_request()).name
    server.stop_admitting()
    assert refusal(lambda: server.training.Train(a_request())).reason == "SERVER_DRAINING"


def test_the_doctor_tells_a_server_that_serves_from_one_that_stops(server: RunningServer) -> None:
    serving = [finding.level for finding in check_running(server.channel, server.address)]
    server.stop_admitting()
    stopping = [finding.level for finding in check_running(server.channel, server.address)]
    assert (serving, stopping) == ([Level.OK, Level.OK], [Level.FAIL, Level.OK])
