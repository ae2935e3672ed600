"""What can go wrong, as a tree of exceptions decoded from gRPC statuses and their google.rpc details."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from learnfleet.client.results import JobInfo

_DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True)
class FieldViolation:
    """A wrong field of a request: its path, and what would be right."""

    field: str
    description: str


class LearnfleetError(Exception):
    """Base of all errors of this package."""


LearnerError = LearnfleetError  # the trainer's name


class InvalidArgumentError(LearnfleetError):
    """The request can never succeed as it is; `violations` names every wrong field."""

    def __init__(self, message: str, violations: tuple[FieldViolation, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations


class NotFoundError(LearnfleetError):
    """There is no such job, learner, model or checkpoint."""


class AlreadyExistsError(LearnfleetError):
    """The name or request id is taken."""


class UnauthenticatedError(LearnfleetError):
    """The server does not know who calls: a token is missing, wrong or expired."""


class PermissionDeniedError(LearnfleetError):
    """The server knows who calls, and they may not."""


class FailedPreconditionError(LearnfleetError):
    """It cannot be done in the present state of things."""


class ResourceExhaustedError(LearnfleetError):
    """Too much at once, or too large."""


class UnavailableError(LearnfleetError):
    """The server cannot be reached, or is not ready."""


class DeadlineExceededError(LearnfleetError):
    """It took longer than allowed."""


class CancelledError(LearnfleetError):
    """The call was cancelled."""


class UnimplementedError(LearnfleetError):
    """The server does not do this."""


class InternalError(LearnfleetError):
    """A fault of the server."""


class PictureError(LearnfleetError):
    """One picture among several could not be predicted; the text says why. The others are answered."""


class JobFailedError(LearnfleetError):
    """A job that was waited for failed; `job` says why."""

    def __init__(self, job: JobInfo) -> None:
        super().__init__(f"{job.name} failed: {job.state_reason}")
        self.job = job


class JobCancelledError(LearnfleetError):
    """A job that was waited for was cancelled."""

    def __init__(self, job: JobInfo) -> None:
        super().__init__(f"{job.name} was cancelled")
        self.job = job


_BY_CODE: dict[grpc.StatusCode, type[LearnfleetError]] = {
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.CANCELLED: CancelledError,
    grpc.StatusCode.UNIMPLEMENTED: UnimplementedError,
}


_NOT_WRITTEN = 'Failed "execute_batch": (<grpc._cython.cygrpc.SendMessageOperation'
_TLS_FAULTS = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "Peer name", "CERTIFICATE_REQUIRED")


def from_rpc(error: grpc.RpcError) -> LearnfleetError:
    """The typed error of a failed call."""
    code, message = error.code(), error.details() or ""
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return InvalidArgumentError(message, _violations(error))
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in message:
        message += (
            ". Those are bytes: send less at a time, or raise the limit on both sides"
            " (`learnfleet serve --max-message-mb`, `Client.connect(max_message_mb=...)`)"
        )
    if is_broken_write(error):
        return UnavailableError(f"the connection broke while a message was sent, and gRPC lost why ({message})")
    if is_tls_fault(error):
        message += (
            ". Server and client must agree on TLS: `ca` names who vouches for the server's certificate, and one that"
            " speaks without TLS is reached with plaintext=True (LEARNFLEET_PLAINTEXT=1)"
        )
    return _BY_CODE.get(code, InternalError)(message)


def is_tls_fault(error: grpc.RpcError) -> bool:
    """Whether the connection failed over certificates, or TLS on one side only: that will not pass by itself."""
    message = error.details() or ""
    return error.code() is grpc.StatusCode.UNAVAILABLE and any(word in message for word in _TLS_FAULTS)


def is_broken_write(error: grpc.RpcError) -> bool:
    """Whether it is grpc.aio's own error for a message that could not be sent any more, which no server has said.

    It takes the place of what ended the call, mostly a broken connection, if the write fails before that is read:
    https://github.com/grpc/grpc/issues/36066.
    """
    return (
        isinstance(error, grpc.aio.AioRpcError)
        and error.code() is grpc.StatusCode.INTERNAL
        and str(error.debug_error_string()).startswith(_NOT_WRITTEN)
    )


def reason_of(error: grpc.RpcError) -> str:
    """The server's word for what has happened, such as WORKERS_STARTING; empty where it says none."""
    from google.rpc import error_details_pb2

    info = error_details_pb2.ErrorInfo()
    return str(info.reason) if _detail(error, info) else ""


def retry_delay_s_of(error: grpc.RpcError) -> float:
    """How long the server wants to be left alone; 0 where it does not say."""
    from google.rpc import error_details_pb2

    retry = error_details_pb2.RetryInfo()
    return float(retry.retry_delay.ToTimedelta().total_seconds()) if _detail(error, retry) else 0.0


def _violations(error: grpc.RpcError) -> tuple[FieldViolation, ...]:
    from google.rpc import error_details_pb2

    bad = error_details_pb2.BadRequest()
    if not _detail(error, bad):
        return ()
    return tuple(FieldViolation(v.field, v.description) for v in bad.field_violations)


def _detail(error: grpc.RpcError, detail: Message) -> bool:
    """Fill in what the error says of this kind; whether it says anything."""
    # Imported where an error is decoded: a session without errors does not pay for it.
    from google.rpc import status_pb2

    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            return any(each.Unpack(detail) for each in status_pb2.Status.FromString(value).details)
    return False
