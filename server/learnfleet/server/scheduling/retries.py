"""What follows a failed attempt, as a pure function: which cause it has, and whether another one is made."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from learnfleet.server.domain import Cause, RetryPolicy
from learnfleet.server.workers.protocol import ErrorKind, RunError

_CAUSES = {
    ErrorKind.USER: Cause.USER,
    ErrorKind.STALE: Cause.SERVER,
    ErrorKind.SERVER: Cause.SERVER,
    ErrorKind.INTERNAL: Cause.WORKER_LOST,
    ErrorKind.LOST: Cause.WORKER_LOST,
    ErrorKind.OUT_OF_MEMORY: Cause.OUT_OF_MEMORY,
    ErrorKind.HANG: Cause.HANG,
    ErrorKind.PREEMPTED: Cause.PREEMPTED,
}
_ADVICE = {
    Cause.WORKER_LOST: "its log says more (GetJobLogs); allow more retry_policy.worker_lost where machines come and go",
    Cause.OUT_OF_MEMORY: "use a smaller batch_size, smaller pictures or precision bf16",
    Cause.HANG: "its log has the stacks of its threads (GetJobLogs); raise the server's hang_timeout_s if batches take"
    " that long",
    Cause.SERVER: "the server's log says more",
}
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Verdict:
    """What follows a failed attempt."""

    cause: Cause
    is_final: bool  # the job has failed; else another attempt is made
    reason: str
    retries: dict[str, int]  # by cause, this one counted where it is
    retry: int = 1  # which one of its cause the next attempt is, where it is counted


def cause_of(error: RunError) -> Cause:
    return _CAUSES[error.kind]


def judge(error: RunError, retries: Mapping[str, int], policy: RetryPolicy) -> Verdict:
    """Say what to do about a failed attempt.

    What the user asked for would fail again. A preemption is no fault of the job's and has no limit: a real fault shows
    again in the next attempt. Each other cause has a budget of its own.

    Args:
        retries: how many retries each cause has had in the job's life.
    """
    cause = cause_of(error)
    if cause is Cause.USER:
        return Verdict(cause, True, error.message, dict(retries))
    if cause is Cause.PREEMPTED:
        return Verdict(cause, False, f"{error.message}; goes on from its last checkpoint", counted(retries, cause))
    used, allowed = retries.get(cause, 0), allowed_for(cause, policy)
    if used >= allowed:
        tries = f"{used + 1} of {allowed + 1} attempts"
        return Verdict(cause, True, f"{error.message} ({tries}): {_ADVICE[cause]}", dict(retries))
    reason = f"{error.message}; retry {used + 1} of {allowed}"
    return Verdict(cause, False, reason, counted(retries, cause), used + 1)


def counted(retries: Mapping[str, int], cause: Cause) -> dict[str, int]:
    """One more of the cause."""
    return {**retries, cause.value: retries.get(cause, 0) + 1}


def allowed_for(cause: Cause, policy: RetryPolicy) -> int:
    """Retries that a policy grants a cause that is counted."""
    return {
        Cause.WORKER_LOST: policy.worker_lost,
        Cause.OUT_OF_MEMORY: policy.out_of_memory,
        Cause.HANG: policy.hang,
        Cause.SERVER: policy.server,
    }[cause]


def backoff_s(retry: int) -> float:
    """Pause before the `retry`-th (from 1) retry of one cause: none, then 1, 2, 4, ... s, by up to half less.

    Most faults are single ones, and a job that meets its first is to go on at once. Those that come again may be the
    machine's or the file system's, which many jobs share: they must not all come back at the same moment.
    """
    longest_s = min(_LONGEST_PAUSE_S, 2.0 ** (retry - 2)) if retry > 1 else 0.0
    return longest_s * random.uniform(0.5, 1.0)
