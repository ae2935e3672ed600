"""Who is let in, what those who are not are told, and what the log says of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from support.access_files import access_file, bearer, token_of
from support.rpc_server import RunningServer, refusal, running_server

from learnfleet.client import Client
from learnfleet.client.errors import PermissionDeniedError, UnauthenticatedError
from learnfleet.server.rpc.status import DETAILS_KEY
from learnfleet.v1 import job_service_pb2 as pb

TIMEOUT_S = 20
LIST = pb.ListJobsRequest()


@pytest.fixture(autouse=True)
def _files_are_looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learnfleet.server.access.files._LOOK_EVERY_S", 0.05)


@pytest.fixture
def server(tmp_path: Path, root: Path) -> Iterator[RunningServer]:
    limits = (("red", "read", 0.5, 3), ("*", "write", 1.0, 1))
    auth = access_file(tmp_path / "access.toml")
    with running_server(tmp_path, root, auth_file=auth, rate_limits=limits) as running:
        yield running


def test_what_is_wrong_with_a_login_is_told_and_the_token_is_in_no_log(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = token_of("nobody")
    cases: dict[str, list[tuple[str, str]]] = {
        "NO_CREDENTIALS": [],
        "TOKEN_REFUSED": [("authorization", f"bearer {secret}")],
        "TOKEN_EXPIRED": bearer("expired"),
    }
    for reason, metadata in cases.items():
        refused = refusal(lambda metadata=metadata: server.jobs.ListJobs(LIST, timeout=TIMEOUT_S, metadata=metadata))  # type: ignore[misc]
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, reason)
        assert f"login refused: {reason} from 127.0.0.1, /learnfleet.v1.JobService/ListJobs" in caplog.text
        assert secret not in refused.message
    assert secret not in caplog.text
    assert token_of("expired") not in caplog.text


def test_who_fails_too_often_is_told_to_wait_while_others_of_the_address_are_let_in(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    reasons = [
        refusal(lambda: server.jobs.ListJobs(LIST, timeout=TIMEOUT_S, metadata=[("authorization", "Bearer x")])).reason
        for _ in range(40)
    ]
    assert reasons[0] == "TOKEN_REFUSED"
    assert reasons[-1] == "RATE_LIMITED"
    assert caplog.text.count("login refused") < 10
    assert server.jobs.ListJobs(LIST, timeout=TIMEOUT_S, metadata=bearer("other")).jobs == []


def test_a_tenant_that_calls_too_often_is_told_when_to_come_again_and_others_are_not_bothered(
    server: RunningServer,
) -> None:
    for _ in range(3):
        server.jobs.ListJobs(LIST, timeout=TIMEOUT_S, metadata=bearer("user"))
    with pytest.raises(grpc.RpcError) as refused:  # also as another user of the same tenant
        server.jobs.ListJobs(LIST, timeout=TIMEOUT_S, metadata=bearer("viewer"))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailer = dict(refused.value.trailing_metadata())
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status_pb2.Status.FromString(trailer[DETAILS_KEY]).details)
    assert 0 < retry.retry_delay.ToTimedelta().total_seconds() <= 2
    server.jobs.ListJobs(LIST, timeout=TIMEOUT_S, metadata=bearer("other"))


def test_a_client_waits_until_its_tenant_may_call_again(server: RunningServer) -> None:
    with Client.connect(server.address, token=token_of("user"), retry_s=20) as client:
        assert [list(client.jobs()) for _ in range(4)] == [[]] * 4


def test_a_client_is_told_that_it_is_not_known_or_may_not(server: RunningServer) -> None:
    with Client.connect(server.address) as nobody, pytest.raises(UnauthenticatedError, match="no token came"):
        list(nobody.jobs())
    may_not = pytest.raises(PermissionDeniedError, match="is for the role user, and you have viewer")
    with Client.connect(server.address, token=token_of("viewer")) as viewer, may_not:
        viewer.models.delete_alias("models/m@a")


def test_taking_an_entry_out_of_the_file_ends_what_its_token_may_do(server: RunningServer) -> None:
    path = server.config.auth_file
    assert path is not None
    server.jobs.ListJobs(LIST, timeout=TIMEOUT_S, metadata=bearer("admin"))
    path.write_text(path.read_text().replace('name = "admin"', 'name = "gone"\nexpires = 2020-01-01T00:00:00Z'))

    def code() -> grpc.StatusCode:
        try:
            server.jobs.ListJobs(LIST, timeout=TIMEOUT_S, metadata=bearer("admin"))
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    while code() is grpc.StatusCode.OK:
        time.sleep(0.05)
    assert code() is grpc.StatusCode.UNAUTHENTICATED


def test_with_nobody_asked_everybody_is_anybody_and_names_their_tenant(tmp_path: Path, root: Path) -> None:
    with running_server(tmp_path, root) as server:
        server.jobs.ListJobs(LIST, timeout=TIMEOUT_S, metadata=[("learnfleet-tenant", "blue")])
        server.jobs.ListJobs(LIST, timeout=TIMEOUT_S, metadata=[("authorization", "Bearer whatever")])


def test_nothing_of_a_strangers_message_is_read(server: RunningServer) -> None:
    """A call that has sent its headers and no message yet is refused: it waits for none."""
    call = server.channel.stream_unary("/learnfleet.v1.JobService/GetJob")
    never = threading.Event()

    def silent() -> Iterator[bytes]:
        never.wait(TIMEOUT_S)
        yield b""

    try:
        with pytest.raises(grpc.RpcError) as refused:
            call(silent(), timeout=TIMEOUT_S)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    finally:
        never.set()


def test_a_call_without_its_message_is_told_so(server: RunningServer) -> None:
    call = server.channel.stream_unary("/learnfleet.v1.JobService/GetJob")
    with pytest.raises(grpc.RpcError) as refused:
        call(iter([]), timeout=TIMEOUT_S, metadata=bearer("other"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
