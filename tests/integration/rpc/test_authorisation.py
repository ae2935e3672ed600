"""Every RPC, by everybody, over every transport: what is answered is what docs/security.md says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from support.access_files import access_file, bearer, token_of
from support.certificates import Authority
from support.naming_requests import MODEL, NAMELESS, make_things_of_red, naming_requests
from support.role_table import OPEN, roles_in_the_docs
from support.rpc_server import RunningServer, refusal, running_server
from support.stand_in_inference import FixedInference

from learnfleet.oip import inference_pb2, inference_pb2_grpc
from learnfleet.server.config import Config
from learnfleet.server.rpc.oip.unsupported import UNSUPPORTED
from learnfleet.server.tracking.mlflow_client import mlflow_client
from learnfleet.server.tracking.version_tags import TENANT_TAG

TIMEOUT_S = 20
TABLE = roles_in_the_docs()
RANKS = {OPEN: 0, "viewer": 1, "user": 2, "admin": 3}
UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
REFUSED = (UNAUTHENTICATED, DENIED)
STRANGERS: Mapping[str, list[tuple[str, str]]] = {
    "no": [],
    "bad": [("authorization", f"Bearer {token_of('nobody')}")],
    "bad scheme": [("authorization", f"Basic {token_of('admin')}")],
    "two": [*bearer("admin"), *bearer("admin")],
    "expired": bearer("expired"),
}
KNOWN = {"viewer": "viewer", "user": "user", "other": "user", "admin": "admin"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    """MLflow's address, with a model of red's."""
    config = Config(folder := tmp_path_factory.mktemp("registry"), mlflow_uri=f"sqlite:///{folder}/mlflow.db")
    mlflow_client(config).create_registered_model("reds", {TENANT_TAG: "red"})
    return config.tracking_uri


@contextlib.contextmanager
def a_server(folder: Path, root: Path, registry: str, transport: str) -> Iterator[RunningServer]:
    """That knows the people of the access file, and a model of red's."""
    settings: dict[str, object] = {"auth_file": access_file(folder / "access.toml"), "mlflow_uri": registry}
    settings["auth_failed_logins"] = 100_000  # the matrix has hundreds of them
    credentials = None
    if transport != "plain":
        authority = Authority()
        settings["tls_cert"], settings["tls_key"] = authority.issue().write(folder, "server")
        own = authority.issue("a client that the file does not name") if transport == "mTLS" else None
        if own is not None:
            settings["tls_client_ca"] = authority.write(folder / "clients.crt")
        certificate, key = (own.certificate, own.key) if own is not None else (None, None)
        credentials = grpc.ssl_channel_credentials(authority.pem, key, certificate)
    inference = FixedInference(owners={MODEL: "red"})
    with running_server(folder, root, inference=inference, credentials=credentials, **settings) as server:
        yield server


@pytest.fixture(scope="module", params=["plain", "TLS", "mTLS"])
def secured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, root: Path, registry: str
) -> Iterator[RunningServer]:
    with a_server(tmp_path_factory.mktemp("secured"), root, registry, request.param) as server:
        yield server


@pytest.fixture(scope="module")
def of_red(secured: RunningServer) -> Mapping[str, Message]:
    """What names things of red's, by method."""
    return naming_requests(make_things_of_red(secured, bearer("user")))


def answer(
    server: RunningServer, method: str, metadata: list[tuple[str, str]], request: Message | None = None
) -> grpc.StatusCode:
    """The status of one call; without `request` of an empty message, or of a stream without any."""
    service, _, name = method.strip("/").partition("/")
    streams = (True, True)
    if name not in UNSUPPORTED:
        found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
        streams = bool(found.client_streaming), bool(found.server_streaming)
    content = request.SerializeToString() if request is not None else b""
    given: object = iter([content] if request is not None else []) if streams[0] else content
    kinds = {
        (False, False): server.channel.unary_unary,
        (False, True): server.channel.unary_stream,
        (True, False): server.channel.stream_unary,
        (True, True): server.channel.stream_stream,
    }
    try:
        answered = kinds[streams](method)(given, timeout=TIMEOUT_S, metadata=metadata)
        if streams[1]:
            next(answered, None)  # a watch has no end
            answered.cancel()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_strangers_are_let_in_nowhere_but_where_everybody_is(
    secured: RunningServer, of_red: Mapping[str, Message]
) -> None:
    for method, role in TABLE.items():
        for who, metadata in STRANGERS.items():
            code = answer(secured, method, metadata, of_red.get(method))
            if role == OPEN:
                assert code not in REFUSED, (method, who)
            else:
                assert code is UNAUTHENTICATED, (method, who)


def test_each_role_may_do_what_the_page_says_and_no_more(secured: RunningServer) -> None:
    for method, least in TABLE.items():
        for who, role in KNOWN.items():
            code = answer(secured, method, bearer(who))
            if RANKS[role] < RANKS[least]:
                assert code is DENIED, (method, who, code)
            else:
                assert code not in REFUSED, (method, who, code)


def test_another_tenants_things_are_found_by_no_rpc(secured: RunningServer, of_red: Mapping[str, Message]) -> None:
    offered = {method for method in TABLE if method.rpartition("/")[2] not in UNSUPPORTED}
    assert set(of_red) | NAMELESS == offered, "each RPC names something, or is listed as one that does not"
    assert not set(of_red) & NAMELESS
    as_blue = [*bearer("admin"), ("learnfleet-tenant", "blue")]
    for method, request in of_red.items():
        for metadata in (bearer("other"), as_blue):
            code = answer(secured, method, metadata, request)
            expected = DENIED if TABLE[method] == "admin" and metadata != as_blue else grpc.StatusCode.NOT_FOUND
            assert code is expected, (method, metadata[-1], code)


def test_their_own_tenant_finds_them(secured: RunningServer, of_red: Mapping[str, Message]) -> None:
    looks = [method for method in of_red if TABLE[method] == "viewer" and "/GetPicture" not in method]
    not_there = {"GetInterpretation", "ReadInterpretationFile", "GetUpload", "ReadPredictions"}  # red has none either
    as_red = [*bearer("admin"), ("learnfleet-tenant", "red")]
    for method in looks:
        if method.rpartition("/")[2] in not_there or "ModelVersion" in method:
            continue
        for metadata in (bearer("viewer"), as_red):
            code = answer(secured, method, metadata, of_red[method])
            assert code in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT), (method, metadata, code)


def test_to_others_a_model_is_not_ready(secured: RunningServer, of_red: Mapping[str, Message]) -> None:
    call = inference_pb2_grpc.GRPCInferenceServiceStub(secured.channel).ModelReady
    request = inference_pb2.ModelReadyRequest(name="reds")
    ready = {who: call(request, timeout=TIMEOUT_S, metadata=bearer(who)).ready for who in ("viewer", "other")}
    assert ready == {"viewer": True, "other": False}


def test_only_admins_name_another_tenant(secured: RunningServer, of_red: Mapping[str, Message]) -> None:
    get_job = "/learnfleet.v1.JobService/GetJob"
    for who, tenant, expected in (
        ("user", "red", grpc.StatusCode.OK),
        ("user", "blue", DENIED),
        ("other", "red", DENIED),
        ("admin", "red", grpc.StatusCode.OK),
        ("admin", "blue", grpc.StatusCode.NOT_FOUND),
        ("admin", "No Tenant", grpc.StatusCode.INVALID_ARGUMENT),
    ):
        metadata = [*bearer(who), ("learnfleet-tenant", tenant)]
        assert answer(secured, get_job, metadata, of_red[get_job]) is expected, (who, tenant)


def test_refusals_say_why_and_what_to_do(secured: RunningServer) -> None:
    call = secured.channel.unary_unary("/learnfleet.v1.JobService/DeleteJob")
    refused = refusal(lambda: call(b"", timeout=TIMEOUT_S, metadata=bearer("viewer")))
    assert refused.reason == "PERMISSION_DENIED"
    assert refused.message == (
        "/learnfleet.v1.JobService/DeleteJob is for the role user, and you have viewer; ask for a token with that role"
    )
