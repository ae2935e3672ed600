"""Whether a Ray cluster keeps strangers out. Whoever it lets in runs code on its workers."""

from __future__ import annotations

from collections.abc import Mapping

import grpc

_TIMEOUT_S = 10.0
_CLIENT = "ray://"
# Each answers everybody where a cluster has no token, and nobody without it where it has. They change nothing.
_OF_CLIENT_SERVER = "/ray.rpc.RayletDriver/ClusterInfo"
_OF_GCS = "/ray.rpc.NodeInfoGcsService/CheckAlive"

# What is the server's own, and no business of Ray's processes: they run what users train.
_NOT_HANDED_ON = (
    "LEARNFLEET_STORE",
    "LEARNFLEET_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
    "PGPASSWORD",
)


class OpenCluster(RuntimeError):
    """A Ray cluster that answers without a token."""


def require_token(address: str) -> None:
    """Ask a cluster something without a token. Raises OpenCluster where it answers.

    Args:
        address: `host:port` of the head's GCS, or `ray://host:port`.
    """
    is_client = address.startswith(_CLIENT)
    with grpc.insecure_channel(address.removeprefix(_CLIENT)) as channel:
        ask = channel.unary_unary(_OF_CLIENT_SERVER if is_client else _OF_GCS)
        try:
            ask(b"", timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            # All but these come from behind the door; whether it can be reached at all, joining it will tell.
            if error.code() in (
                grpc.StatusCode.UNAUTHENTICATED,
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            ):
                return
    raise OpenCluster(
        f"the Ray cluster at {address} answers without a token, so that whoever reaches it runs code on its workers:"
        " start it with RAY_AUTH_MODE=token and a token, on every node (docs/security.md); or set"
        " RAY_AUTH_MODE=disabled for this server where the network keeps everybody else out"
    )


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for Ray's processes."""
    return {name: value for name, value in environment.items() if name not in _NOT_HANDED_ON}
