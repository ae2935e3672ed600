"""Ray's own door: a cluster that lets strangers in is not joined, and Ray's processes get no secrets of ours."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import ray
from support.faults.servers import free_port
from support.ray_head import ray_head

from learnfleet.server.config import Config
from learnfleet.server.workers.cluster import RayCluster
from learnfleet.server.workers.ray_access import OpenCluster, require_token, without_secrets
from learnfleet.server.workers.ray_host import RayHost, RaySettings

SECRETS = {
    "LEARNFLEET_STORE": "postgresql://u:canary@h/d",
    "LEARNFLEET_TOKEN": "canary",
    "MLFLOW_TRACKING_PASSWORD": "canary",
    "MLFLOW_TRACKING_TOKEN": "canary",
    "MLFLOW_TRACKING_USERNAME": "canary",
    "PGPASSWORD": "canary",
}


@contextmanager
def answering(code: grpc.StatusCode | None) -> Iterator[str]:
    """Something at a port that answers any call of Ray's with this, None: with success."""

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        if code is not None:
            context.abort(code, "as the test wants it")
        return b""

    class Any(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            return grpc.unary_unary_rpc_method_handler(answer) if details.method.startswith("/ray.rpc.") else None

    server = grpc.server(ThreadPoolExecutor(2), handlers=(Any(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_cluster_that_answers_strangers_is_refused_with_what_to_do(scheme: str) -> None:
    for code in (None, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED):
        with answering(code) as address, pytest.raises(OpenCluster, match="RAY_AUTH_MODE=token"):
            require_token(f"{scheme}{address}")
    with answering(grpc.StatusCode.UNAUTHENTICATED) as address:
        require_token(f"{scheme}{address}")


def test_whether_a_cluster_is_there_is_told_by_joining_it() -> None:
    require_token(f"127.0.0.1:{free_port()}")


def test_rays_processes_get_no_secrets_of_ours() -> None:
    given = without_secrets({**SECRETS, "PATH": "/bin", "RAY_AUTH_TOKEN_PATH": "/token", "MLFLOW_TRACKING_URI": "x"})
    assert given == {"PATH": "/bin", "RAY_AUTH_TOKEN_PATH": "/token", "MLFLOW_TRACKING_URI": "x"}


@pytest.mark.parametrize("mode", [None, "token"])
def test_a_ray_of_the_servers_own_has_a_token_that_nobody_else_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str | None
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    for name, value in {**SECRETS, **({"RAY_AUTH_MODE": mode} if mode else {})}.items():
        monkeypatch.setenv(name, value)
    seen: list[Mapping[str, str]] = []

    def start(socket: Path, environment: Mapping[str, str]) -> object:
        seen.append(environment)
        raise ConnectionError("far enough")

    cluster = RayCluster(Config(tmp_path), start, first_pause_s=0.01)  # type: ignore[arg-type]
    with pytest.raises(ConnectionError):
        cluster._connect(1)
    cluster.close()
    (environment,) = seen
    assert environment["RAY_AUTH_MODE"] == "token"
    token = Path(environment["RAY_AUTH_TOKEN_PATH"])
    assert len(token.read_text()) == 64
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert "canary" not in str(environment)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["token", "disabled"])
def test_a_head_with_a_token_is_told_from_one_without(tmp_path: Path, mode: str) -> None:
    with ray_head(tmp_path, mode) as head:
        for address in (head.address, head.client_address):
            _until_open(address.removeprefix("ray://"))
            if mode == "token":
                require_token(address)
            else:
                with pytest.raises(OpenCluster):
                    require_token(address)


@pytest.mark.slow
def test_a_cluster_that_ray_finds_by_itself_is_left_if_it_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ray_head(tmp_path, "disabled") as head:
        _until_open(head.address)
        monkeypatch.setenv("RAY_ADDRESS", head.address)
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", head.environment["RAY_AUTH_TOKEN_PATH"])
        with pytest.raises(OpenCluster):
            RayHost().connect(RaySettings("auto", "test", num_cpus=1, object_store_bytes=0))
        assert not ray.is_initialized()


def _until_open(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(60)
