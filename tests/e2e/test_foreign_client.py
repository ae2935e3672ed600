"""A client that has none of our generated code learns the services by reflection and calls them."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from learnfleet.server.commands.local_server import LocalServer


def test_reflection_lists_the_services_and_is_enough_to_call_get_job(server: LocalServer) -> None:
    with grpc.insecure_channel(server.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        names = {f"learnfleet.v1.{name}Service" for name in ("Training", "Job", "Prediction", "Interpretation")}
        others = {"grpc.health.v1.Health", "inference.GRPCInferenceService"}
        assert names | others <= set(database.get_services())
        method = DescriptorPool(database).FindServiceByName("learnfleet.v1.JobService").methods_by_name["GetJob"]
        call = channel.unary_unary(
            "/learnfleet.v1.JobService/GetJob",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        with pytest.raises(grpc.RpcError) as error:
            call(GetMessageClass(method.input_type)(name="jobs/not-there"), timeout=10)
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_health_is_serving(server: LocalServer) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(server.address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
