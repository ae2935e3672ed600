"""Exit codes, and errors as lines for people."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import typer

from learnfleet.client.errors import (
    AlreadyExistsError,
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    JobCancelledError,
    JobFailedError,
    LearnfleetError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)

JOB_FAILED, USAGE, NOT_FOUND, PRECONDITION, UNAVAILABLE, CANCELLED, DENIED, INTERRUPTED = 1, 2, 3, 4, 5, 6, 7, 130

HELP = (
    "Exit codes: 0 done; 1 the job failed, or the server has a fault; 2 wrong usage or an invalid argument; "
    "3 not found; 4 not possible in the present state, or it exists already; 5 the server cannot be reached in time; "
    "6 the job was cancelled; 7 the server does not know you, or you may not; 130 interrupted (the job goes on)."
)

_CODES: tuple[tuple[type[Exception], int], ...] = (
    (JobFailedError, JOB_FAILED),
    (JobCancelledError, CANCELLED),
    (InvalidArgumentError, USAGE),
    (NotFoundError, NOT_FOUND),
    (FailedPreconditionError, PRECONDITION),
    (AlreadyExistsError, PRECONDITION),
    (UnavailableError, UNAVAILABLE),
    (DeadlineExceededError, UNAVAILABLE),
    (UnauthenticatedError, DENIED),
    (PermissionDeniedError, DENIED),
)


@contextlib.contextmanager
def reported(job_hint: list[str] | None = None) -> Iterator[None]:
    """Turn errors into one line a wrong field on stderr and an exit code. `job_hint` names a job being followed."""
    try:
        yield
    except LearnfleetError as error:
        for text in lines_of(error):
            say(f"error: {text}")
        raise typer.Exit(next((code for kind, code in _CODES if isinstance(error, kind)), JOB_FAILED)) from None
    except (ValueError, OSError) as error:
        say(f"error: {error}")
        raise typer.Exit(USAGE) from None
    except KeyboardInterrupt:
        for name in job_hint or []:
            say(f"\n{name} goes on: `learnfleet watch {name}` to see it, `learnfleet cancel {name}` to stop it")
        raise typer.Exit(INTERRUPTED) from None


def lines_of(error: LearnfleetError) -> list[str]:
    if isinstance(error, InvalidArgumentError) and error.violations:
        return [f"{violation.field or 'request'}: {violation.description}" for violation in error.violations]
    return [str(error)]


def say(text: str) -> None:
    """To people, on stderr."""
    print(text, file=sys.stderr, flush=True)
