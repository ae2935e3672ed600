"""What holds for every RPC: garbage, methods that are missing, what reflection lists, messages that are too great."""

from __future__ import annotations

import random

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from support.rpc_server import RunningServer, refusal

from learnfleet.server.rpc.handlers import handlers_of
from learnfleet.v1 import (
    dataset_service_pb2,
    interpretation_service_pb2,
    job_service_pb2,
    prediction_service_pb2,
    training_service_pb2,
)

MODULES = (
    dataset_service_pb2,
    interpretation_service_pb2,
    job_service_pb2,
    prediction_service_pb2,
    training_service_pb2,
)
SERVICES = [service for module in MODULES for service in module.DESCRIPTOR.services_by_name.values()]
FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
METHODS = [method for service in SERVICES for method in service.methods]


def send(server: RunningServer, method: MethodDescriptor, content: bytes) -> None:
    path = f"/{method.containing_service.full_name}/{method.name}"
    if method.client_streaming:
        server.channel.stream_unary(path)(iter([content]), timeout=20)
    elif method.server_streaming:
        list(server.channel.unary_stream(path)(content, timeout=20))
    else:
        server.channel.unary_unary(path)(content, timeout=20)


def code_of(server: RunningServer, method: MethodDescriptor, content: bytes) -> grpc.StatusCode:
    try:
        send(server, method, content)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def is_message(method: MethodDescriptor, content: bytes) -> bool:
    try:
        GetMessageClass(method.input_type)().ParseFromString(content)
    except DecodeError:
        return False
    return True


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_bytes_that_are_no_message_are_an_invalid_argument_with_details(
    server: RunningServer, method: MethodDescriptor
) -> None:
    chance = random.Random(method.name)
    garbage = [chance.randbytes(size) for size in (1, 3, 10, 40, 300) for _ in range(8)]
    garbage += [b"\x0a\x02\xff\xfe", b"\xff" * 20, b"\x0a\x7f"]  # no UTF-8, an endless number, a length past the end
    tried = [content for content in garbage if not is_message(method, content)]
    assert len(tried) > 20
    assert {refusal(lambda c=c: send(server, method, c)).code for c in tried} == {grpc.StatusCode.INVALID_ARGUMENT}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_messages_changed_at_random_never_bring_out_a_fault(server: RunningServer, method: MethodDescriptor) -> None:
    chance = random.Random(method.name)
    seed = bytes.fromhex("0a0c0a0a0a08706574732f2e2e2f120872657365743138220b0a09080112050d0000c07f")
    for _ in range(40):
        content = bytearray(seed)
        for _ in range(chance.randint(1, 6)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        assert code_of(server, method, bytes(content)) not in FAULTS, bytes(content)


def test_an_rpc_that_is_published_but_not_there_is_found_when_the_server_is_built() -> None:
    with pytest.raises(TypeError, match="get_job"):
        handlers_of(object(), job_service_pb2.DESCRIPTOR.services_by_name["JobService"])


def test_a_message_that_is_too_great_is_refused_and_the_server_goes_on(server: RunningServer) -> None:
    method = next(method for method in METHODS if method.name == "Predict")
    with pytest.raises(grpc.RpcError) as caught:
        send(server, method, b"0" * (33 * 1024 * 1024))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    server.jobs.ListJobs(job_service_pb2.ListJobsRequest(), timeout=20)


def test_reflection_lists_every_service_and_health_knows_each(server: RunningServer) -> None:
    listed = set(ProtoReflectionDescriptorDatabase(server.channel).get_services())
    names = {service.full_name for service in SERVICES}
    assert names | {"grpc.health.v1.Health"} <= listed
    stub = health_pb2_grpc.HealthStub(server.channel)
    answers = {stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=20).status for name in ("", *names)}
    assert answers == {health_pb2.HealthCheckResponse.SERVING}
