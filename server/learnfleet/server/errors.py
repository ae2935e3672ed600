"""Domain errors. They know no gRPC; rpc/status.py is the one place that turns them into a status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Code(Enum):
    """The gRPC status an error becomes."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNAVAILABLE = "UNAVAILABLE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"


@dataclass(frozen=True)
class FieldViolation:
    """A wrong field: its path as the caller wrote it (`learner_spec.data.folder.path`), and what would be right."""

    field: str
    description: str


class ServiceError(Exception):
    """Base of all errors that a caller may see. `reason` is a stable UPPER_SNAKE_CASE word for programs."""

    code: Code = Code.FAILED_PRECONDITION
    reason: str = "SERVICE_ERROR"


class InvalidArgument(ServiceError):
    """A request that can never succeed as it is; names every wrong field."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_ARGUMENT"

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in self.violations))


class NotFound(ServiceError):
    """A resource that does not exist."""

    code = Code.NOT_FOUND
    reason = "NOT_FOUND"

    def __init__(self, resource: str, hint: str = "") -> None:
        super().__init__(f"{resource} does not exist" + (f"; {hint}" if hint else ""))
        self.resource, self.hint = resource, hint


class AlreadyExists(ServiceError):
    """A name or request id that is taken by something else."""

    code = Code.ALREADY_EXISTS
    reason = "ALREADY_EXISTS"

    def __init__(self, resource: str, message: str) -> None:
        super().__init__(message)
        self.resource = resource


class FailedPrecondition(ServiceError):
    """A request that cannot be done in the present state of `subject`."""

    code = Code.FAILED_PRECONDITION
    reason = "FAILED_PRECONDITION"

    def __init__(self, subject: str, message: str) -> None:
        super().__init__(message)
        self.subject = subject


class ResourceExhausted(ServiceError):
    """Too much at once; try again later or with less."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "RESOURCE_EXHAUSTED"

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(ResourceExhausted):
    """Too many calls; the same one will do later."""

    reason = "RATE_LIMITED"


class Unauthenticated(ServiceError):
    """It is not known who calls."""

    code = Code.UNAUTHENTICATED
    reason = "NO_CREDENTIALS"


class TokenRefused(Unauthenticated):
    """A token that is not known, or not valid here."""

    reason = "TOKEN_REFUSED"


class TokenExpired(Unauthenticated):
    """A token that was good."""

    reason = "TOKEN_EXPIRED"

    def __init__(self) -> None:
        super().__init__("the token has expired; ask for a new one")


class PermissionDenied(ServiceError):
    """It is known who calls, and they may not."""

    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"


class Unavailable(ServiceError):
    """A part of the service is not ready; the same request may succeed later."""

    code = Code.UNAVAILABLE
    reason = "UNAVAILABLE"


class StoreUnavailable(Unavailable):
    """The database cannot be reached, or takes no writes. Nothing of the call has happened, or all of it."""

    reason = "STORE_UNAVAILABLE"


class WorkersStarting(Unavailable):
    """What is asked for needs an answer of the workers, which are coming up. Callers ask again, for as long."""

    reason = "WORKERS_STARTING"


class WorkersEnding(Unavailable):
    """What is asked for can be done once workers have ended, which takes moments."""

    reason = "WORKERS_ENDING"


class Draining(Unavailable):
    """The server stops: the same may be asked of another one, or of this one when it is back.

    `details` has where a stream stands, for the call that goes on with it.
    """

    reason = "SERVER_DRAINING"

    def __init__(self, message: str, details: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.details = dict(details or {})


class Deposed(StoreUnavailable):
    """Another server has the lease by now: what this one still writes in its name is refused."""

    reason = "DEPOSED"


class Unimplemented(ServiceError):
    """What cannot be done, and why."""

    code = Code.UNIMPLEMENTED
    reason = "UNIMPLEMENTED"


class DeadlineExceeded(ServiceError):
    """The caller let it take too long."""

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"
