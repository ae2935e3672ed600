"""A server that runs, as its clients find it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from learnfleet.oip import inference_pb2
from learnfleet.server.doctor.finding import Finding, fail, ok, warn
from learnfleet.server.installed import installed_version

_SUBJECT = "server"
_TIMEOUT_S = 10.0
_SLOW_S = 1.0
_SERVICES = ("", "learnfleet.v1.TrainingService", "learnfleet.v1.JobService", "learnfleet.v1.PredictionService")


def check_running(channel: grpc.Channel, address: str) -> Iterator[Finding]:
    """By what needs no rights: health, and the Open Inference Protocol's metadata."""
    health = health_pb2_grpc.HealthStub(channel)
    began_s = time.monotonic()
    try:
        told = {name: _status(health, name) for name in _SERVICES}
    except grpc.RpcError as error:
        advice = "see that it runs and that this machine may reach its port; its log says more"
        yield fail(_SUBJECT, f"{address} does not answer: {error.code().name} {error.details()}", advice)
        return
    took_s = (time.monotonic() - began_s) / len(told)
    down = [name or "the server" for name, status in told.items() if status != "SERVING"]
    if down:
        advice = "it is starting, or was told to stop: ask again in a minute"
        yield fail(_SUBJECT, f"{address} answers, and does not serve: {', '.join(down)}", advice)
    elif took_s > _SLOW_S:
        what = f"{address} serves, and takes {took_s:.1f} s for an answer"
        yield warn(_SUBJECT, what, "look at its CPU, and at what lies between")
    else:
        yield ok(_SUBJECT, f"{address} serves, and answers in {took_s * 1000:.0f} ms")
    yield from _version(channel)


def _status(health: health_pb2_grpc.HealthStub, service: str) -> str:
    answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=_TIMEOUT_S)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def _version(channel: grpc.Channel) -> Iterator[Finding]:
    ask = channel.unary_unary(
        "/inference.GRPCInferenceService/ServerMetadata",
        inference_pb2.ServerMetadataRequest.SerializeToString,
        inference_pb2.ServerMetadataResponse.FromString,
    )
    try:
        theirs = ask(inference_pb2.ServerMetadataRequest(), timeout=_TIMEOUT_S).version
    except grpc.RpcError as error:
        told = f"it does not tell its version: {error.code().name} {error.details()}"
        yield warn(_SUBJECT, told, "ask as somebody who may: a token, a certificate")
        return
    if theirs != installed_version():
        yield warn(_SUBJECT, f"it is learnfleet {theirs}, and this is {installed_version()}", "use the same version")
    else:
        yield ok(_SUBJECT, f"it is learnfleet {theirs}, as this is")
