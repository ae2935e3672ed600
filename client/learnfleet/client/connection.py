"""A channel to a server: typed errors, deadlines, and retries where a repeat is safe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from learnfleet.client.errors import from_rpc
from learnfleet.client.open_streams import OpenStreams
from learnfleet.client.patience import Patience
from learnfleet.client.security import Security, security_for
from learnfleet.v1 import (
    dataset_service_pb2_grpc,
    interpretation_service_pb2_grpc,
    job_service_pb2_grpc,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
    training_service_pb2_grpc,
)

MAX_MESSAGE_MB = 32  # as servers have it unless they are told otherwise

_T = TypeVar("_T")


def channel_options(max_message_mb: int = MAX_MESSAGE_MB) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", max_message_mb * 2**20),
        ("grpc.max_send_message_length", max_message_mb * 2**20),
        # A server that was restarted is found again within a second, not after gRPC's two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]


class Services:
    """Stubs of all services on a channel, of either kind."""

    def __init__(self, channel: Any, max_message_mb: int) -> None:
        self.most_bytes = max_message_mb * 2**20
        self.training = training_service_pb2_grpc.TrainingServiceStub(channel)
        self.jobs = job_service_pb2_grpc.JobServiceStub(channel)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.interpretation = interpretation_service_pb2_grpc.InterpretationServiceStub(channel)
        self.datasets = dataset_service_pb2_grpc.DatasetServiceStub(channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(channel)
        self.streams = OpenStreams()


class Connection(Services):
    """A channel that blocks."""

    def __init__(
        self,
        address: str,
        timeout_s: float,
        retry_s: float,
        max_message_mb: int = MAX_MESSAGE_MB,
        security: Security | None = None,
    ) -> None:
        """Without `security` it is what the environment says. Raises ValueError, OSError."""
        self.address, self.timeout_s, self.retry_s = address, timeout_s, retry_s
        security = security or security_for(address)
        self._channel = security.channel(address, channel_options(max_message_mb))
        super().__init__(security.authorized(self._channel), max_message_mb)

    def close(self) -> None:
        self._channel.close()

    def call(self, rpc: Callable[..., _T], request: object) -> _T:
        """One unary call, repeated while the server is unavailable.

        Every call of this package is safe to repeat: reads, and creates that carry a request id.
        """
        patience = Patience(self.retry_s)
        while True:
            try:
                return rpc(request, timeout=self.timeout_s)
            except grpc.RpcError as error:
                pause_s = patience.pause_after(error)
            time.sleep(pause_s)

    def read(self, rpc: Callable[..., Any], request: object) -> Iterator[Any]:
        """All answers of one server stream. Raises this package's errors."""
        try:
            yield from self.stream(rpc, request)
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    def stream(self, rpc: Callable[..., Any], request: object) -> Iterator[Any]:
        """One server stream, ended when the caller stops reading. Raises grpc.RpcError."""
        with self.streams.one():
            call = rpc(request)
            try:
                yield from call
            finally:
                call.cancel()
