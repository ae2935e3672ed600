"""Domain errors as gRPC statuses with google.rpc details. The one place where the two meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from learnfleet.server.errors import (
    AlreadyExists,
    Code,
    Draining,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    ServiceError,
)
from learnfleet.server.redact import redacted
from learnfleet.server.text import shortened

DOMAIN = "learnfleet"
DETAILS_KEY = "grpc-status-details-bin"
_RETRY_DELAY_S = 1.0
# Peers refuse trailers of more than 8 KiB, and then the caller sees none of the error. A trailer holds the message
# percent-encoded (three bytes for one that is not ASCII), and base64 of the details, which repeat the message.
_MAX_MESSAGE_BYTES = 1500
_MAX_VIOLATIONS_BYTES = 2400
_MAX_VIOLATION_BYTES = 800
_MAX_FIELD_BYTES = 200
_MAX_NAME_BYTES = 300


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
    text = shortened(redacted(str(error)), _MAX_MESSAGE_BYTES)
    return text if text.isascii() else shortened(text, _MAX_MESSAGE_BYTES // 3)


def _details(error: ServiceError) -> Iterator[Message]:
    metadata = error.details if isinstance(error, Draining) else {}
    yield error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    if isinstance(error, InvalidArgument):
        yield error_details_pb2.BadRequest(field_violations=_violations(error.violations))
    if isinstance(error, NotFound | AlreadyExists):
        name = shortened(error.resource, _MAX_NAME_BYTES)
        yield error_details_pb2.ResourceInfo(resource_name=name, description=message_of(error))
    if isinstance(error, FailedPrecondition):
        violation = error_details_pb2.PreconditionFailure.Violation
        subject = shortened(error.subject, _MAX_NAME_BYTES)
        what = violation(type=error.reason, subject=subject, description=message_of(error))
        yield error_details_pb2.PreconditionFailure(violations=[what])
    if error.code in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED):
        delay_s = error.retry_after_s if isinstance(error, ResourceExhausted) else _RETRY_DELAY_S
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(delay_s * 1e9))
        yield retry


def _violations(violations: Sequence[FieldViolation]) -> list[error_details_pb2.BadRequest.FieldViolation]:
    """As many as there is room for; the last one then says how many there are besides."""
    told: list[error_details_pb2.BadRequest.FieldViolation] = []
    room = _MAX_VIOLATIONS_BYTES
    for violation in violations:
        field = shortened(violation.field, _MAX_FIELD_BYTES)
        description = shortened(redacted(violation.description), _MAX_VIOLATION_BYTES)
        message = error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
        room -= message.ByteSize()
        if room < 0:
            more = f"and {len(violations) - len(told)} more"
            return [*told, error_details_pb2.BadRequest.FieldViolation(description=more)]
        told.append(message)
    return told
