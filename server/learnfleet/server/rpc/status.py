"""Domain errors as gRPC statuses with google.rpc details. The one place where the two meet."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from learnfleet.server.errors import AlreadyExists, Code, FailedPrecondition, InvalidArgument, NotFound, ServiceError

DOMAIN = "learnfleet"
DETAILS_KEY = "grpc-status-details-bin"
_RETRY_DELAY_S = 1
_MAX_MESSAGE_CHARACTERS = 2000


def status_code(error: ServiceError) -> grpc.StatusCode:
    return grpc.StatusCode[error.code.value]


def trailing_metadata(error: ServiceError) -> tuple[tuple[str, bytes]]:
    """The error as a serialised google.rpc.Status."""
    status = status_pb2.Status(code=code_pb2.Code.Value(error.code.value), message=message_of(error))
    for detail in _details(error):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return ((DETAILS_KEY, status.SerializeToString()),)


def message_of(error: ServiceError) -> str:
    return str(error)[:_MAX_MESSAGE_CHARACTERS]


def _details(error: ServiceError) -> Iterator[Message]:
    yield error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if isinstance(error, InvalidArgument):
        violation = error_details_pb2.BadRequest.FieldViolation
        yield error_details_pb2.BadRequest(
            field_violations=[violation(field=v.field, description=v.description) for v in error.violations]
        )
    if isinstance(error, NotFound | AlreadyExists):
        yield error_details_pb2.ResourceInfo(resource_name=error.resource, description=message_of(error))
    if isinstance(error, FailedPrecondition):
        violation = error_details_pb2.PreconditionFailure.Violation
        what = violation(type=error.reason, subject=error.subject, description=message_of(error))
        yield error_details_pb2.PreconditionFailure(violations=[what])
    if error.code in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.seconds = _RETRY_DELAY_S
        yield retry
