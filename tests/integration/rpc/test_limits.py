"""What one connection, one call and one tenant may take: each limit against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.pictures import encoded, picture
from support.raw_http2 import ENHANCE_YOUR_CALM, NO_ERROR, GoAway, raw_connection
from support.rpc_server import FakeRuntime, RunningServer, refusal, running_server
from support.uploads import CONTENT, a_header, archive_bytes, chunks, files_of, left_in, pets, send, until

from learnfleet.client import Client
from learnfleet.server.config import Config
from learnfleet.server.rpc.hub import EventHub
from learnfleet.server.rpc.ports import ExplainOptions, Explanation
from learnfleet.server.store.sql import SqlStore
from learnfleet.v1 import dataset_service_pb2 as data_pb
from learnfleet.v1 import interpretation_service_pb2, job_service_pb2

EXHAUSTED, TOO_LATE = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.fixture
def serve(tmp_path: Path, root: Path) -> Iterator[Callable[..., RunningServer]]:
    """A server with settings of the test's own."""
    with contextlib.ExitStack() as servers:
        yield lambda **settings: servers.enter_context(running_server(tmp_path, root, **settings))


def test_the_greatest_message_is_a_setting(serve: Callable[..., RunningServer]) -> None:
    server = serve(max_message_mb=4)
    call = server.channel.unary_unary("/learnfleet.v1.JobService/GetJob")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"0" * (4 * 2**20 + 1), timeout=20)
    assert caught.value.code() is EXHAUSTED
    assert refusal(lambda: call(b"0" * (4 * 2**20 - 100), timeout=20)).code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_connection_has_so_many_calls_at_a_time(serve: Callable[..., RunningServer], a_request: Any) -> None:
    server = serve(max_concurrent_streams=2)
    with raw_connection(server.address) as connection:
        assert connection.max_concurrent_streams == 2
    job = server.training.Train(a_request())
    watches = [server.jobs.WatchJob(job_service_pb2.WatchJobRequest(name=job.name)) for _ in range(2)]
    for watch in watches:
        next(iter(watch))

    with pytest.raises(grpc.RpcError) as caught:
        server.jobs.GetJob(job_service_pb2.GetJobRequest(name=job.name), timeout=0.5)
    watches[0].cancel()

    assert caught.value.code() is TOO_LATE  # it has waited in the client
    assert server.jobs.GetJob(job_service_pb2.GetJobRequest(name=job.name), timeout=20).name == job.name


def test_a_tenant_has_so_many_jobs_that_have_not_ended(serve: Callable[..., RunningServer], a_request: Any) -> None:
    server = serve(max_queued=2)
    names = [server.training.Train(a_request()).name for _ in range(2)]
    refused = refusal(lambda: server.training.Train(a_request()))
    assert refused.code is EXHAUSTED
    assert "2" in refused.message
    found = server.jobs.ListJobs(job_service_pb2.ListJobsRequest()).jobs
    assert {job.name for job in found} == set(names), "nothing is left of the third"

    cancel, get = job_service_pb2.CancelJobRequest(name=names[0]), job_service_pb2.GetJobRequest(name=names[0])
    server.jobs.CancelJob(cancel)
    until(lambda: server.jobs.GetJob(get).HasField("end_time"), bool)
    assert server.training.Train(a_request()).name not in names


def test_a_client_that_pings_too_often_is_cut_off_and_others_are_not(serve: Callable[..., RunningServer]) -> None:
    server = serve(min_ping_s=60)
    with raw_connection(server.address) as abuser, raw_connection(server.address) as other:
        assert (abuser.max_concurrent_streams, other.max_concurrent_streams) == (1000, 1000)
        for _ in range(8):
            abuser.ping()
        assert abuser.wait_for_goaway() == GoAway(ENHANCE_YOUR_CALM, "too_many_pings")
        abuser.wait_for_end()
        server.jobs.ListJobs(job_service_pb2.ListJobsRequest(), timeout=20)


def test_a_client_that_does_not_answer_is_cut_off(serve: Callable[..., RunningServer]) -> None:
    server = serve(keepalive_s=1, keepalive_timeout_s=1)
    with raw_connection(server.address, answers=False) as silent:
        assert silent.wait_for_goaway() == GoAway(ENHANCE_YOUR_CALM, "ping_timeout")
        silent.wait_for_end()


def test_connections_end_at_their_age(serve: Callable[..., RunningServer]) -> None:
    server = serve(max_connection_age_s=0.5, max_connection_age_grace_s=1)
    with raw_connection(server.address) as connection:
        assert connection.wait_for_goaway() == GoAway(NO_ERROR, "max_age")
        connection.wait_for_end()


def test_a_watch_that_is_cut_off_with_its_connection_goes_on_where_it_was(
    serve: Callable[..., RunningServer], a_request: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job ends only when it is watched for the third time."""
    begun: list[str] = []
    watching = EventHub.watching
    monkeypatch.setattr(EventHub, "watching", lambda hub, job: begun.append(job) or watching(hub, job))
    server = serve(max_connection_age_s=0.2, max_connection_age_grace_s=0.1)
    job = server.training.Train(a_request())
    with Client.connect(server.address) as client:
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.extend(e.sequence for e in client.job(job.name).watch()))
        thread.start()
        until(lambda: len(begun), lambda count: count >= 3)
        server.finish(job.name)
        thread.join(30)
    last = server.store.get_job(job.name.removeprefix("jobs/")).last_sequence
    assert seen == list(range(1, last + 1))


def test_connections_of_this_machine_may_be_of_any_age_unless_it_is_said(tmp_path: Path) -> None:
    ages = [Config(tmp_path, listen=listen).connection_age_s for listen in ("127.0.0.1:0", "[::1]:0", "0.0.0.0:0")]
    assert ages == [0, 0, 3600]
    assert Config(tmp_path, listen="0.0.0.0:0", max_connection_age_s=0).connection_age_s == 0


class Slow(FakeRuntime):
    """Explains for ever, and notes whether it was let go."""

    def __init__(self, store: SqlStore) -> None:
        super().__init__(store)
        self.let_go = threading.Event()

    async def explain(self, model: str, image: bytes, options: ExplainOptions) -> Explanation:
        try:
            await asyncio.Event().wait()
        finally:
            self.let_go.set()
        raise AssertionError("unreachable")


@pytest.mark.parametrize("timeout_s", [None, 600.0])
def test_no_call_takes_longer_than_the_server_lets_it(tmp_path: Path, root: Path, timeout_s: float | None) -> None:
    """Whether its caller sets no deadline, or one that is too late."""
    store = SqlStore(f"sqlite:///{tmp_path / 'slow.db'}")
    runtime = Slow(store)
    limits = {"call_default_s": 0.2, "call_max_s": 0.3}
    request = interpretation_service_pb2.ExplainPredictionRequest(model="learners/x", image=encoded(picture(0)))
    with running_server(tmp_path, root, store=store, runtime=runtime, **limits) as server:
        told = refusal(lambda: server.interpretation.ExplainPrediction(request, timeout=timeout_s))
        assert runtime.let_go.wait(20)
        assert told.code is TOO_LATE
        assert f"within {0.2 if timeout_s is None else 0.3} s" in told.message


def test_a_sender_that_falls_silent_is_given_up_and_may_go_on(serve: Callable[..., RunningServer]) -> None:
    server = serve(stream_silence_s=0.5)
    header, go_on = a_header(CONTENT), threading.Event()

    def messages() -> Iterator[data_pb.CreateDatasetRequest]:
        yield header
        yield from chunks(CONTENT, 0, 3000)
        go_on.wait(60)

    told = refusal(lambda: server.datasets.CreateDataset(messages()))
    go_on.set()
    assert told.code is TOO_LATE
    send(server, header, *chunks(CONTENT, 3000))
    assert files_of(server) == pets()


def test_a_tenant_keeps_no_more_bytes_than_its_quota(serve: Callable[..., RunningServer]) -> None:
    kept = sum(map(len, pets().values()))
    more = archive_bytes(pets(4))
    server = serve(tenant_max_bytes=kept + len(more) - 1)
    send(server, a_header(CONTENT), *chunks(CONTENT))

    told = refusal(lambda: send(server, a_header(more), *chunks(more)))
    assert (told.code, "over its quota" in told.message) == (EXHAUSTED, True)
    others = iter([a_header(CONTENT, dataset_id="others"), *chunks(CONTENT)])
    server.datasets.CreateDataset(others, metadata=[("learnfleet-tenant", "others")])  # each tenant has its own
    server.datasets.DeleteDataset(data_pb.DeleteDatasetRequest(name="datasets/pets"))
    send(server, a_header(more), *chunks(more))
    assert left_in(server) == []


def test_what_unpacks_to_more_than_the_quota_leaves_nothing_behind(serve: Callable[..., RunningServer]) -> None:
    """The archive is small enough, its content is not."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**pets(), "cat/notes.txt": bytes(200_000)}.items():
            archive.writestr(name, content)
    content = buffer.getvalue()
    server = serve(tenant_max_bytes=100_000)
    header = a_header(content, format=data_pb.ARCHIVE_FORMAT_ZIP)

    told = refusal(lambda: send(server, header, *chunks(content)))

    assert (told.code, "over its quota of 100,000" in told.message) == (EXHAUSTED, True)
    assert [path for path in server.config.data_dir.glob("datasets/*/*") if path.is_dir()] == []


def test_open_uploads_count_for_the_quota_before_they_have_come(serve: Callable[..., RunningServer]) -> None:
    server = serve(tenant_max_bytes=len(CONTENT) + 100)
    begun = a_header(CONTENT)
    refusal(lambda: send(server, begun, *chunks(CONTENT, 0, 1000)))
    told = refusal(lambda: send(server, a_header(CONTENT), *chunks(CONTENT)))
    assert (told.code, f"{len(CONTENT):,} on their way" in told.message) == (EXHAUSTED, True)
