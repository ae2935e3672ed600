"""When runs of jobs and learners begin and end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from support.tracked_jobs import queue_job, run_job, start_job
from support.tracking import Tracking

from learnfleet.server.domain import JobState
from learnfleet.server.tracking.runs import Runs


def test_a_job_has_a_run_when_it_leaves_the_queue_and_not_before(tracking: Tracking) -> None:
    queue_job(tracking.store, "waiting")
    tracking.step_for(120)
    assert tracking.run_of("jobs/waiting") is None
    assert tracking.mlflow.calls == []
    tracking.store.transition("waiting", JobState.STARTING, attempt=1)
    tracking.exporter.wake("waiting")
    tracking.step_for(1)
    assert tracking.run_of("jobs/waiting").info.status == "RUNNING"


def test_a_job_that_is_cancelled_in_the_queue_has_a_run_that_was_killed(tracking: Tracking) -> None:
    queue_job(tracking.store, "unwanted")
    tracking.step_for(1)
    tracking.store.transition("unwanted", JobState.CANCELLED)
    tracking.exporter.wake("unwanted")
    tracking.step_for(1)
    assert tracking.run_of("jobs/unwanted").info.status == "KILLED"


def test_the_run_of_a_learner_ends_with_its_last_job_and_goes_on_with_the_next(tracking: Tracking) -> None:
    run_job(tracking.store, "pets")
    queue_job(tracking.store, "second", "pets")
    tracking.step_for(1)
    assert tracking.learner_run("pets") == ("RUNNING", None)
    start_job(tracking.store, "second")
    tracking.step_for(60)
    tracking.store.transition("second", JobState.FAILED)
    tracking.step_for(60)
    assert tracking.learner_run("pets") == ("FAILED", 61)
    queue_job(tracking.store, "third", "pets")
    start_job(tracking.store, "third")
    tracking.step_for(60)
    assert tracking.learner_run("pets")[0] == "RUNNING"
    tracking.store.transition("third", JobState.SUCCEEDED)
    tracking.step_for(60)
    assert tracking.learner_run("pets") == ("FINISHED", 181)


def test_the_run_of_a_learner_ends_as_its_last_job_did_though_mlflow_hears_of_an_earlier_one_later(
    tracking: Tracking,
) -> None:
    run_job(tracking.store, "slow")
    tracking.now_s = 10
    run_job(tracking.store, "quick", learner_id="slow")

    def fault(call: str, arguments: tuple[Any, ...]) -> Exception | None:
        run = tracking.run_of("jobs/slow")
        is_hit = call == "set_terminated" and run is not None and run.info.run_id in arguments
        return RuntimeError("500") if is_hit else None

    tracking.mlflow.fault = fault
    tracking.step_for(10)
    tracking.mlflow.fault = lambda call, arguments: None
    tracking.step_for(60)
    assert tracking.run_of("jobs/slow").info.status == "FINISHED"
    assert tracking.learner_run("slow") == ("FINISHED", 10)


def test_two_threads_that_want_the_run_of_a_job_make_one(tracking: Tracking) -> None:
    queue_job(tracking.store, "wanted")
    start_job(tracking.store, "wanted")
    job = tracking.store.get_job("wanted")
    connect: Any = lambda config: tracking.mlflow  # noqa: E731
    with ThreadPoolExecutor(2) as pool:
        run_ids = list(pool.map(lambda nth: Runs(tracking.config, tracking.store, connect).of_job(job), range(2)))
    assert run_ids[0] == run_ids[1]
    assert tracking.mlflow.calls.count("create_run") == 2  # the learner's and the job's
