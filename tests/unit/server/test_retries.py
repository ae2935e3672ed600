"""What follows a failed attempt, by its cause."""

from __future__ import annotations

import copy
import errno

import pytest
import torch
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError

from learnfleet.server.domain import Cause, RetryPolicy
from learnfleet.server.scheduling.retries import backoff_s, judge
from learnfleet.server.workers.failures import death_of, described
from learnfleet.server.workers.protocol import ErrorKind, RunError
from learnfleet.trainer.errors import LearnerError

POLICY = RetryPolicy(worker_lost=3, out_of_memory=1, hang=2, server=3)
COUNTED = {
    ErrorKind.LOST: (Cause.WORKER_LOST, 3),
    ErrorKind.INTERNAL: (Cause.WORKER_LOST, 3),
    ErrorKind.OUT_OF_MEMORY: (Cause.OUT_OF_MEMORY, 1),
    ErrorKind.HANG: (Cause.HANG, 2),
    ErrorKind.SERVER: (Cause.SERVER, 3),
}


@pytest.mark.parametrize("kind", COUNTED)
def test_each_cause_has_a_budget_of_its_own(kind: ErrorKind) -> None:
    cause, allowed = COUNTED[kind]
    others = {other.value: 99 for other in Cause if other is not cause}
    retries = dict(others)
    for used in range(allowed):
        verdict = judge(RunError(kind, "it broke"), retries, POLICY)
        assert (verdict.cause, verdict.is_final) == (cause, False)
        assert f"retry {used + 1} of {allowed}" in verdict.reason
        retries = verdict.retries
    assert retries == {**others, cause.value: allowed}
    assert judge(RunError(kind, "it broke"), retries, POLICY).is_final


def test_a_final_reason_says_what_happened_how_often_and_what_to_do() -> None:
    error = RunError(ErrorKind.OUT_OF_MEMORY, "out of memory on rank 1")
    reason = judge(error, {"out_of_memory": 1}, POLICY).reason
    assert reason.startswith("out of memory on rank 1 (2 of 2 attempts): ")
    assert "batch_size" in reason
    assert "bf16" in reason


def test_what_the_user_asked_for_is_never_tried_again_and_told_as_it_is() -> None:
    verdict = judge(RunError(ErrorKind.USER, "bs: must be positive"), {}, POLICY)
    assert (verdict.cause, verdict.is_final, verdict.reason) == (Cause.USER, True, "bs: must be positive")


def test_a_preemption_is_tried_again_without_limit() -> None:
    error = RunError(ErrorKind.PREEMPTED, "the machine was taken away")
    verdict = judge(error, {"preempted": 1000, "worker_lost": 3}, POLICY)
    assert (verdict.is_final, verdict.retries) == (False, {"preempted": 1001, "worker_lost": 3})


def test_the_first_retry_comes_at_once_and_later_ones_after_pauses_that_double_and_differ() -> None:
    assert backoff_s(1) == 0
    for retry, longest_s in [(2, 1), (3, 2), (4, 4), (9, 30)]:
        pauses = [backoff_s(retry) for _ in range(50)]
        assert all(longest_s / 2 <= pause <= longest_s for pause in pauses)
        assert len(set(pauses)) > 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_that_runs_out_is_told_from_other_errors(error: Exception) -> None:
    assert described(error).kind is ErrorKind.OUT_OF_MEMORY
    wrapped = RuntimeError("a callback failed")
    wrapped.__cause__ = error
    assert described(wrapped).kind is ErrorKind.OUT_OF_MEMORY


def test_a_users_error_and_a_peer_that_hangs_and_anything_else_are_told_apart() -> None:
    assert described(LearnerError("bs", "must be positive")).kind is ErrorKind.USER
    timed_out = RuntimeError("[/gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 60000ms for recv operation")
    assert described(timed_out).kind is ErrorKind.HANG
    assert described(RuntimeError("Connection closed by peer [127.0.0.1]:1")).kind is ErrorKind.INTERNAL


@pytest.mark.parametrize(
    ("error", "oom_killed", "kind"),
    [
        (OutOfMemoryError("the node ran low on memory"), False, ErrorKind.OUT_OF_MEMORY),
        (ActorDiedError(), True, ErrorKind.OUT_OF_MEMORY),
        (RayActorError(None, "the node is gone", False, True), False, ErrorKind.PREEMPTED),
        (ActorDiedError(), False, ErrorKind.LOST),
    ],
    ids=["ray's monitor", "the kernel", "a machine taken away", "anything else"],
)
def test_why_a_worker_died_is_told_apart_and_crosses_processes(
    error: Exception, oom_killed: bool, kind: ErrorKind
) -> None:
    died = copy.copy(death_of(3, error, oom_killed=oom_killed))  # as pickle makes it anew
    assert died.kind is kind
    assert kind is ErrorKind.OUT_OF_MEMORY or "rank 3" in str(died)
