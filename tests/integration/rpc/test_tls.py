"""TLS and mTLS of the listener, and certificates that are renewed while it runs."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.access_files import access_file
from support.certificates import Authority, Issued
from support.rpc_server import RunningServer, running_server

from learnfleet.server.access.certificates import ServedCertificate, TlsFiles
from learnfleet.server.access.files import Unreadable
from learnfleet.v1 import job_service_pb2 as pb
from learnfleet.v1 import job_service_pb2_grpc

TIMEOUT_S = 20
AUTHORITY = Authority()


@pytest.fixture(autouse=True)
def _files_are_looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learnfleet.server.access.files._LOOK_EVERY_S", 0.05)


@pytest.fixture
def server(tmp_path: Path, root: Path) -> Iterator[RunningServer]:
    certificate, key = AUTHORITY.issue("first").write(tmp_path, "server")
    credentials = grpc.ssl_channel_credentials(AUTHORITY.pem)
    with running_server(
        tmp_path, root, credentials=credentials, tls_cert=certificate, tls_key=key, health_listen="127.0.0.1:0"
    ) as running:
        yield running


def status(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.StatusCode:
    """Of one call on a connection of its own."""
    channel = grpc.insecure_channel(address) if credentials is None else grpc.secure_channel(address, credentials)
    with channel:
        try:
            job_service_pb2_grpc.JobServiceStub(channel).ListJobs(pb.ListJobsRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def shown_name(address: str) -> str:
    """The common name of the certificate that a new handshake shows."""
    context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
        content = tls.getpeercert(binary_form=True)
    assert content is not None
    return str(x509.load_der_x509_certificate(content).subject.rdns[0].rfc4514_string())


def until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.05)


def test_with_tls_nothing_is_said_without_it_or_to_whom_others_vouch_for(server: RunningServer) -> None:
    assert status(server.address, grpc.ssl_channel_credentials(AUTHORITY.pem)) is grpc.StatusCode.OK
    assert status(server.address, None) is grpc.StatusCode.UNAVAILABLE
    assert status(server.address, grpc.ssl_channel_credentials(Authority().pem)) is grpc.StatusCode.UNAVAILABLE


def test_a_renewed_certificate_is_shown_without_a_restart_and_open_connections_stay(
    server: RunningServer, tmp_path: Path
) -> None:
    server.jobs.ListJobs(pb.ListJobsRequest(), timeout=TIMEOUT_S)
    assert shown_name(server.address) == "CN=first"
    AUTHORITY.issue("second").write(tmp_path, "server")
    until(lambda: shown_name(server.address) == "CN=second")
    server.jobs.ListJobs(pb.ListJobsRequest(), timeout=TIMEOUT_S)


@pytest.mark.parametrize("fault", ["half", "nonsense", "expired", "gone"])
def test_files_that_do_not_fit_change_nothing_and_are_told_of(
    server: RunningServer, tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    paths = tmp_path / "server.crt", tmp_path / "server.key"
    if fault == "half":
        paths[0].write_bytes(AUTHORITY.issue("half").certificate)
    elif fault == "nonsense":
        paths[1].write_text("nonsense")
    elif fault == "expired":
        AUTHORITY.issue("late", days=-1).write(tmp_path, "server")
    else:
        paths[0].unlink()
    until(lambda: shown_name(server.address) == "CN=first" and "what was read before stays" in caplog.text)
    AUTHORITY.issue("third").write(tmp_path, "server")
    until(lambda: shown_name(server.address) == "CN=third")


def test_when_the_certificate_that_is_shown_ends_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    certificate, key = AUTHORITY.issue(days=30).write(tmp_path, "server")
    served = ServedCertificate(TlsFiles(certificate, key))

    def days_left() -> int:
        return round((served.ends_at() - datetime.now(UTC)) / timedelta(days=1))

    assert days_left() == 30
    AUTHORITY.issue(days=90).write(tmp_path, "server")
    until(lambda: days_left() == 90)
    AUTHORITY.issue(days=-1).write(tmp_path, "server")  # not shown to anybody
    until(lambda: days_left() == 90 and "what was read before stays" in caplog.text)


def test_probes_are_answered_without_tls_and_nothing_else_is(server: RunningServer) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.rpc.health_port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        for service in ("", "learnfleet.v1.JobService"):
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert status(f"127.0.0.1:{server.rpc.health_port}", None) is grpc.StatusCode.UNIMPLEMENTED


def of(issued: Issued | None) -> grpc.ChannelCredentials:
    own = (issued.key, issued.certificate) if issued is not None else (None, None)
    return grpc.ssl_channel_credentials(AUTHORITY.pem, *own)


def test_with_mutual_tls_a_certificate_is_needed_and_says_who_calls(tmp_path: Path, root: Path) -> None:
    certificate, key = AUTHORITY.issue().write(tmp_path, "server")
    clients = Authority("of clients")
    settings = {"tls_client_ca": clients.write(tmp_path / "clients.crt"), "auth_file": access_file(tmp_path / "a.toml")}
    with running_server(tmp_path, root, tls_cert=certificate, tls_key=key, **settings) as server:
        ok, unknown, unavailable = grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE
        cases = {
            "none": (None, unavailable),
            "of others": (AUTHORITY.issue("gateway"), unavailable),
            "expired": (clients.issue("gateway", days=-1), unavailable),
            "not in the file": (clients.issue("stranger"), unknown),
            "by its common name": (clients.issue("gateway"), ok),
            "by its URI": (clients.issue("x", uris=["spiffe://test/trainer"]), ok),
        }
        assert {name: status(server.address, of(issued)) for name, (issued, _) in cases.items()} == {
            name: expected for name, (_, expected) in cases.items()
        }
        newcomers = Authority("of new clients")
        newcomers.write(tmp_path / "clients.crt")
        until(lambda: status(server.address, of(newcomers.issue("gateway"))) is ok)
        assert status(server.address, of(clients.issue("gateway"))) is unavailable


def test_a_server_does_not_begin_with_files_that_are_wrong(tmp_path: Path) -> None:
    certificate, key = AUTHORITY.issue().write(tmp_path, "server")
    other = AUTHORITY.issue().write(tmp_path, "other")[1]
    late = AUTHORITY.issue(days=-1).write(tmp_path, "late")
    (tmp_path / "empty").write_text("")
    for files, told in (
        (TlsFiles(certificate, other), r"other.key is not the key of the certificate in .*server.crt"),
        (TlsFiles(*late), r"late.crt has expired at \d"),
        (TlsFiles(certificate, tmp_path / "none"), "none cannot be read: No such file"),
        (TlsFiles(tmp_path / "empty", key), "empty has no certificate in PEM"),
        (TlsFiles(certificate, certificate), "server.crt is no private key in PEM"),
        (TlsFiles(certificate, key, tmp_path / "empty"), "empty has no certificate in PEM"),
    ):
        with pytest.raises(Unreadable, match=told):
            ServedCertificate(files)
