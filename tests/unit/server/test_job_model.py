"""Jobs against a model: whatever is asked of them, and whoever dies, they are where a few lines of Python say."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.fake_cluster import Fleet

from learnfleet.server.domain import TRANSITIONS, JobState, RetryPolicy, Wanted
from learnfleet.server.errors import AlreadyExists, FailedPrecondition
from learnfleet.server.store.base import Page

SLOTS = 2
BUDGETS = RetryPolicy()
WAITING = (JobState.QUEUED, JobState.RESTARTING)


@dataclass
class Modelled:
    """A job as it should be. Each has a learner of its own and needs one slot."""

    number: int
    state: JobState = JobState.QUEUED
    attempt: int = 0
    retries: dict[str, int] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"job{self.number}"

    def fault(self, cause: str, allowed: int) -> JobState:
        """A counted fault: what becomes of the job."""
        if self.retries.get(cause, 0) >= allowed:
            return JobState.FAILED
        self.retries[cause] = self.retries.get(cause, 0) + 1
        return JobState.RESTARTING


class JobMachine(RuleBasedStateMachine):
    """Asks for things at random, and waits after each until the service is where the model is."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.jobs: list[Modelled] = []
        self.fleet = self.new_server()

    def new_server(self) -> Fleet:
        fleet = Fleet(self.folder)
        fleet.cluster.cpu_slots = SLOTS
        fleet.scheduler.start()
        return fleet

    def teardown(self) -> None:
        for job in self.jobs:
            self.check_history(job)
        self.fleet.close()
        shutil.rmtree(self.folder)

    def check_history(self, job: Modelled) -> None:
        """Each state follows the one before by the table; a job that ended did so once."""
        events = self.fleet.store.read_events(job.id, 0)
        states = [JobState(stored.event.data["state"]) for stored in events if stored.event.kind == "state"]
        assert states[0] is JobState.QUEUED
        for before, after in pairwise(states):
            assert after in TRANSITIONS[before], f"{before} -> {after}"
        assert [stored.sequence for stored in events] == list(range(1, len(events) + 1))

    # -- the model's scheduler

    def admit(self) -> None:
        """Jobs that were interrupted go first, then the oldest."""
        waiting = sorted(
            (job for job in self.jobs if job.state in WAITING),
            key=lambda job: (job.state is JobState.QUEUED, job.number),
        )
        free = SLOTS - sum(job.state is JobState.RUNNING for job in self.jobs)
        for job in waiting[:free]:
            job.state, job.attempt = JobState.RUNNING, job.attempt + 1

    @invariant()
    def is_where_the_model_is(self) -> None:
        self.admit()
        expected = {job.id: (job.state, job.attempt, job.retries) for job in self.jobs}

        def found() -> dict[str, object]:
            listed, _ = self.fleet.store.list_jobs(Page(limit=1000))
            return {job.id: (job.state, job.attempt, dict(job.retries)) for job in listed}

        try:
            self.fleet.until(lambda: found() == expected)
        except AssertionError:
            raise AssertionError(f"{found()} is not {expected}") from None

    # -- what may happen

    @initialize(count=st.integers(1, 4))
    def begin(self, count: int) -> None:
        for _ in range(count):
            self.submit()

    @precondition(lambda self: len(self.jobs) < 8)
    @rule()
    def submit(self) -> None:
        job = Modelled(len(self.jobs))
        self.jobs.append(job)
        self.fleet.queue(job.id, request_id=job.id)

    @precondition(lambda self: self.jobs)
    @rule(pick=st.integers(0, 7), is_same=st.booleans())
    def submit_again(self, pick: int, is_same: bool) -> None:
        """A repeated request makes no second job, a changed one with its id none at all."""
        job = self.jobs[pick % len(self.jobs)]
        stored = self.fleet.store.get_job(job.id)
        if is_same:
            assert self.fleet.store.create_job(stored, learner=None, fingerprint="f").id == job.id
            return
        with pytest.raises(AlreadyExists):
            self.fleet.store.create_job(stored, learner=None, fingerprint="another")

    @precondition(lambda self: self.jobs)
    @rule(pick=st.integers(0, 7), wanted=st.sampled_from(Wanted))
    def ask(self, pick: int, wanted: Wanted) -> None:
        job = self.jobs[pick % len(self.jobs)]
        if job.state.final:
            with pytest.raises(FailedPrecondition):
                self.fleet.scheduler.ask(job.id, wanted)
            return
        self.fleet.scheduler.ask(job.id, wanted)
        if wanted is Wanted.CANCEL:
            job.state = JobState.CANCELLED
        elif wanted is Wanted.PAUSE:
            job.state = JobState.PAUSED
        elif job.state is JobState.PAUSED:
            job.state = JobState.QUEUED

    @precondition(lambda self: self.running())
    @rule(pick=st.integers(0, 1))
    def finish(self, pick: int) -> None:
        job = self.running()[pick % len(self.running())]
        self.fleet.cluster.finished.add(job.id)
        job.state = JobState.SUCCEEDED

    @precondition(lambda self: self.running())
    @rule(pick=st.integers(0, 1))
    def a_worker_dies(self, pick: int) -> None:
        job = self.running()[pick % len(self.running())]
        job.state = job.fault("worker_lost", BUDGETS.worker_lost)
        if job.state is JobState.RESTARTING:  # on the slots that it has
            job.state, job.attempt = JobState.RUNNING, job.attempt + 1
        self.fleet.cluster.workers_of(job.id).is_alive = False

    def running(self) -> list[Modelled]:
        return [job for job in self.jobs if job.state is JobState.RUNNING]

    @rule(is_orderly=st.booleans())
    def the_server_is_started_again(self, is_orderly: bool) -> None:
        for job in self.running():
            job.state = JobState.RESTARTING if is_orderly else job.fault("server", BUDGETS.server)
        if is_orderly:
            self.fleet.scheduler.stop()
        else:
            self.fleet.scheduler.abandon()  # it writes nothing more, as one that is killed
        self.fleet.store.close()
        self.fleet = self.new_server()


def check(max_examples: int, steps: int, *, is_random: bool) -> None:
    run_state_machine_as_test(
        JobMachine,
        settings=settings(
            max_examples=max_examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=not is_random,
            database=None,
            phases=[Phase.generate],  # what it finds is short enough, and waits for what does not come about are long
        ),
    )


def test_jobs_are_where_the_model_is() -> None:
    check(max_examples=6, steps=15, is_random=False)


@pytest.mark.slow
def test_jobs_are_where_the_model_is_in_long_histories() -> None:
    check(max_examples=100, steps=40, is_random=True)
