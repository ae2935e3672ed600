"""Workers are killed at random moments, stopped, starved and given no disk; jobs end as those that were not."""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from collections.abc import Iterator

import psutil
import pytest
from support.faults import buggy_plugin
from support.faults.campaign import SEED, Disturbed, Run, begin, observe, progressed, wait_until
from support.faults.hungry_plugin import NAME
from support.faults.load import a_spec
from support.faults.scenes import Stage

from learnfleet.v1 import job_pb2, training_service_pb2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

JOBS, KILLS_A_JOB = 10, 3  # 30 moments; a job may lose workers so often and go on
_LATEST_S = 3.0  # after the processes are there: start-up, reading, first epochs; warm ones are done in 4 s
_STEP_S = 0.02


@pytest.mark.parametrize("seed", range(SEED, SEED + JOBS))
def test_a_job_whose_workers_are_killed_at_random_moments_ends_with_the_same_tensors(
    seed: int, disturbed: Disturbed
) -> None:
    moments = random.Random(seed)
    phases: list[str] = []

    def scene(stage: Stage) -> None:
        job = stage.fit_long()
        stage.load.watch(job, connections_of=15)
        killed: set[int] = set()
        for _ in range(KILLS_A_JOB):
            found = wait_until(lambda: new_workers(disturbed, killed) != [], 60)
            time.sleep(moments.uniform(0, _LATEST_S))
            info = stage.load.get(job)
            workers = new_workers(disturbed, killed)
            if not found or not workers or info.HasField("end_time"):
                break
            phases.append(phase_of(info))
            killed.add(workers[0].pid)
            workers[0].kill()
        stage.load.until_ended(job)

    run = observe(disturbed, scene, seed)
    assert not run.wrong, f"seed {seed}, killed at {phases}: {run}"
    assert len(phases) == KILLS_A_JOB, f"seed {seed}: the job was over after kills at {phases}"
    assert progressed(run.history)


def new_workers(disturbed: Disturbed, killed: set[int]) -> list[psutil.Process]:
    return [worker for worker in disturbed.workers() if worker.pid not in killed]


def phase_of(job: job_pb2.Job) -> str:
    state = job_pb2.JobState.Name(job.state).removeprefix("JOB_STATE_").lower()
    return f"{state}, epoch {job.progress.epoch}, batch {job.progress.batch}"


def test_workers_that_lose_their_moments_on_resume_are_found_by_their_tensors(disturbed: Disturbed) -> None:
    load, found = begin(disturbed, SEED), []
    spec = a_spec(pretrained=False, callbacks=((buggy_plugin.NAME, {"bug": "loses_its_moments"}),))
    for is_killed in (False, True):
        others = {worker.pid for worker in disturbed.workers()}
        job = load.train(spec, 6, checkpoint_policy=job_pb2.CheckpointPolicy(every_steps=2))
        if is_killed:
            load.until(job, lambda info: info.progress.epoch >= 2, "the third epoch")
            new_workers(disturbed, others)[0].kill()
        ended = load.until_state(job, "succeeded")
        assert ended.attempt == 1 + is_killed
        found.append((ended.result.checkpoint.model_sha256, ended.result.checkpoint.optimizer_sha256))
    load.close()
    assert found[0] != found[1]


@pytest.fixture
def buggy(disturbed: Disturbed) -> Iterator[Disturbed]:
    """Whose next start is one of a server with a planted bug, and which has no workers; without bugs afterwards."""
    load = begin(disturbed, SEED)
    learners = load.call(load.training.ListLearners, training_service_pb2.ListLearnersRequest(page_size=100)).learners
    for learner in learners:
        load.call(load.training.Purge, training_service_pb2.PurgeRequest(learner=learner.name))
    load.close()
    disturbed.server.kill()
    yield disturbed
    disturbed.server.sabotage = ""
    disturbed.server.kill()


def hang(disturbed: Disturbed) -> tuple[Run, set[int]]:
    """A job whose workers are stopped in its middle, and those of them that are there after its end."""
    stopped: set[int] = set()

    def scene(stage: Stage) -> None:
        job = stage.fit_long()
        stage.load.watch(job)
        stage.load.until(job, lambda found: found.progress.epoch >= 2, "the third epoch")
        for worker in disturbed.workers():
            stopped.add(worker.pid)
            os.kill(worker.pid, signal.SIGSTOP)
        stage.load.until_ended(job)

    run = observe(disturbed, scene, SEED)
    assert stopped
    return run, stopped & {worker.pid for worker in disturbed.workers()}


def test_a_worker_that_hangs_is_noticed_and_replaced(disturbed: Disturbed) -> None:
    run, left = hang(disturbed)
    assert not run.wrong, str(run)
    assert [ended.attempt for ended in run.history.ended] == [2]
    assert not left, "a worker that hangs was left at work"


def test_a_server_that_leaves_workers_at_work_that_hang_is_found(buggy: Disturbed) -> None:
    buggy.server.sabotage = "ends_no_workers"
    _, left = hang(buggy)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left


def hungry(disturbed: Disturbed, times: int) -> tuple[str, dict[str, object]]:
    """A callback that takes all memory in the third epoch, so many times."""
    marks = disturbed.server.folder / f"hungry-{uuid.uuid4().hex}"
    marks.write_text("again\n" * times)
    return NAME, {"at_step": 10, "marks": str(marks)}


def starve(disturbed: Disturbed, times: int) -> tuple[Run, list[tuple[str, int]]]:
    """A job that wants all memory so many times, and how it ends after how many attempts."""

    def scene(stage: Stage) -> None:
        spec = a_spec(pretrained=False, callbacks=(hungry(disturbed, times),))
        job = stage.load.train(spec, 6, checkpoint_policy=job_pb2.CheckpointPolicy(every_steps=2))
        stage.load.watch(job)
        stage.load.until_ended(job)

    run = observe(disturbed, scene, SEED)
    return run, [(ended.state, ended.attempt) for ended in run.history.ended]


@pytest.mark.parametrize(("times", "state", "attempts"), [(1, "succeeded", 2), (9, "failed", 2)])
def test_a_job_out_of_memory_is_tried_once_more_and_then_says_so(
    times: int, state: str, attempts: int, disturbed: Disturbed
) -> None:
    run, ended = starve(disturbed, times)
    assert not run.wrong, str(run)
    assert ended == [(state, attempts)]


def test_a_server_that_takes_want_of_memory_for_a_loss_is_found(buggy: Disturbed) -> None:
    buggy.server.sabotage = "takes_want_of_memory_for_a_loss"
    _, ended = starve(buggy, times=9)
    assert ended == [("failed", 4)]  # with the budget of another cause
