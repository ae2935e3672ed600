"""Bytes that are no message, and messages that say nothing, to every RPC."""

from __future__ import annotations

import random

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from support.fuzz import MODULES

from learnfleet.server.commands.local_server import LocalServer

METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
# Requests that have nothing to say, or need not.
EMPTY = {
    "ListDatasets",
    "ListInterpretations",
    "ListJobs",
    "ListLearners",
    "ListModels",
    "ServerLive",
    "ServerReady",
    "ServerMetadata",
    "ModelReady",
}


def call(server: LocalServer, method: object, content: bytes) -> grpc.StatusCode:
    """The answer's code. While the workers start, the server asks to be asked again."""
    while (code := call_once(server, method, content)) is grpc.StatusCode.UNAVAILABLE:
        pass
    return code


def call_once(server: LocalServer, method: object, content: bytes) -> grpc.StatusCode:
    path = f"/{method.containing_service.full_name}/{method.name}"  # type: ignore[attr-defined]
    with grpc.insecure_channel(server.address) as channel:
        try:
            if method.client_streaming and method.server_streaming:  # type: ignore[attr-defined]
                list(channel.stream_stream(path)(iter([content]), timeout=60))
            elif method.client_streaming:  # type: ignore[attr-defined]
                channel.stream_unary(path)(iter([content]), timeout=60)
            elif method.server_streaming:  # type: ignore[attr-defined]
                list(channel.unary_stream(path)(content, timeout=60))
            else:
                channel.unary_unary(path)(content, timeout=60)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def is_message(method: object, content: bytes) -> bool:
    try:
        GetMessageClass(method.input_type)().ParseFromString(content)  # type: ignore[attr-defined]
    except Exception:
        return False
    return True


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_bytes_that_are_no_message_are_an_invalid_argument(server: LocalServer, method: object) -> None:
    chance = random.Random(7)
    garbage = [content for content in (chance.randbytes(40) for _ in range(30)) if not is_message(method, content)]
    assert garbage
    assert {call(server, method, content) for content in garbage[:10]} == {grpc.StatusCode.INVALID_ARGUMENT}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_an_empty_message_has_an_answer_or_is_an_invalid_argument(server: LocalServer, method: object) -> None:
    expected = grpc.StatusCode.OK if method.name in EMPTY else grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
    assert call(server, method, b"") is expected
