"""Which job runs next, and what follows a failure."""

from __future__ import annotations

from datetime import UTC, datetime

from learnfleet.server.domain import JobBrief, JobKind, JobState, Resources
from learnfleet.server.rpc.ports import Capacity
from learnfleet.server.scheduling.policy import Held, admit

NOW = datetime(2030, 1, 2, tzinfo=UTC)
FOUR = Capacity(cpu_slots=4, gpu_slots=0, elastic=False)


def a_job(job_id: str, learner: str, workers: int = 2, kind: JobKind = JobKind.INTERPRET, gpus: int = 0) -> JobBrief:
    return JobBrief(job_id, learner, kind, Resources(workers, gpus), JobState.QUEUED, "", NOW)


def test_jobs_start_in_order_while_there_is_room_and_the_rest_say_what_they_wait_for() -> None:
    waiting = [a_job("a", "x"), a_job("b", "y"), a_job("c", "z", 1), a_job("d", "w", 1)]
    said = [admission.waits_for for admission in admit(waiting, [], [], FOUR)]
    assert said == ["", "", "needs 1 CPU slots, 0 of 4 are free", "waits behind jobs/c"]


def test_a_small_job_does_not_overtake_a_large_one_that_waits() -> None:
    held = [Held("busy", Resources(2), is_idle=False)]
    admissions = admit([a_job("large", "x", 3), a_job("small", "y", 1)], [], held, FOUR)
    assert all(admission.waits_for for admission in admissions)


def test_a_job_that_waits_holds_back_only_those_that_need_what_it_lacks() -> None:
    held = [Held("busy", Resources(1, 1), is_idle=False)]
    waiting = [a_job("gpu", "x", 2, gpus=1), a_job("cpu", "y", 2), a_job("gpu too", "z", 1, gpus=1)]
    said = [admission.waits_for for admission in admit(waiting, [], held, Capacity(8, 2, elastic=False))]
    assert said == ["needs 2 GPU slots, 1 of 2 are free", "", "waits behind jobs/gpu"]


def test_a_job_larger_than_the_cluster_holds_back_nobody_but_those_on_its_learner() -> None:
    waiting = [a_job("large", "x", 5), a_job("after it", "x", 1), a_job("small", "y", 4)]
    said = [admission.waits_for for admission in admit(waiting, [], [], FOUR)]
    assert said == ["needs 5 CPU slots, the cluster has 4", "waits for jobs/large, same learner", ""]


def test_one_job_at_a_time_works_on_a_learner() -> None:
    admissions = admit([a_job("b", "x")], [a_job("a", "x")], [Held("x", Resources(2), is_idle=False)], FOUR)
    assert admissions[0].waits_for == "waits for jobs/a, same learner"


def test_warm_workers_of_the_right_size_are_used_again_and_nothing_is_evicted() -> None:
    held = [Held("x", Resources(2), is_idle=True), Held("y", Resources(2), is_idle=True)]
    (admission,) = admit([a_job("a", "x")], [], held, FOUR)
    assert (admission.waits_for, admission.evict) == ("", ())


def test_the_longest_idle_workers_are_given_up_for_a_job_that_needs_their_slots() -> None:
    held = [
        Held("new", Resources(2), is_idle=True, idle_for_s=1),
        Held("old", Resources(2), is_idle=True, idle_for_s=9),
    ]
    (admission,) = admit([a_job("a", "x")], [], held, FOUR)
    assert (admission.waits_for, admission.evict) == ("", ("old",))


def test_an_export_needs_no_slot() -> None:
    held = [Held("busy", Resources(4), is_idle=False)]
    (admission,) = admit([a_job("a", "x", kind=JobKind.EXPORT)], [], held, FOUR)
    assert admission.waits_for == ""


def test_a_job_larger_than_the_cluster_says_so() -> None:
    (admission,) = admit([a_job("a", "x", 5)], [], [], FOUR)
    assert admission.waits_for == "needs 5 CPU slots, the cluster has 4"
