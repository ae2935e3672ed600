"""What a job is to run on, and dry runs, over a real port."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from support.rpc_server import FakeCatalog, RunningServer, refusal

from learnfleet.server import names
from learnfleet.server.domain import Resources
from learnfleet.server.rpc.ports import Capacity, Placed
from learnfleet.server.store.base import Page
from learnfleet.v1 import job_pb2, training_service_pb2

Make = Callable[..., training_service_pb2.TrainRequest]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, Resources(1)),
        ({"num_workers": 2}, Resources(2)),
        ({"num_workers": 3, "min_workers": 1, "max_workers": 4}, Resources(3, 0, 1, 4)),
        ({"min_workers": 2}, Resources(2, 0, 2)),
        ({"max_workers": 4}, Resources(1, 0, None, 4)),
        ({"num_workers": 9, "min_workers": 4}, Resources(9, 0, 4)),  # four slots: it will run on as many
    ],
    ids=str,
)
def test_workers_are_a_number_or_a_range(
    server: RunningServer, a_request: Make, asked: dict[str, int], expected: Resources
) -> None:
    request = a_request(resources=asked)
    request.learner_spec.data.batch_size = 12
    made = server.training.Train(request, timeout=20)
    assert server.store.get_job(names.parse_job(made.name)).resources == expected
    assert made.resources.max_workers == (expected.max_workers or 0)


def test_the_next_job_of_a_learner_has_the_range_of_its_last_unless_it_says_otherwise(
    server: RunningServer, a_request: Make
) -> None:
    server.training.Train(a_request(learner_id="pets", resources={"num_workers": 2, "max_workers": 3}), timeout=20)
    again = server.training.Train(a_request(learner="learners/pets"), timeout=20)
    fixed = server.training.Train(a_request(learner="learners/pets", resources={"num_workers": 2}), timeout=20)
    assert (again.resources.num_workers, again.resources.max_workers) == (2, 3)
    assert (fixed.resources.num_workers, fixed.resources.max_workers) == (2, 0)


def test_a_batch_must_be_enough_for_the_most_workers(server: RunningServer, a_request: Make) -> None:
    found = refusal(lambda: server.training.Train(a_request(resources={"max_workers": 5}), timeout=20))
    assert found.violations == {"learner_spec.data.batch_size": "a batch of 4 pictures cannot be shared by 5 workers"}


@pytest.mark.parametrize(
    ("asked", "room", "expected"),
    [
        ({"num_workers": 5}, Capacity(4, 0, elastic=False), "cluster has 4; lower it to 4 or less, or add nodes"),
        ({"num_workers": 5}, Capacity(1, 0, elastic=True, max_cpu_slots=4), "grows to 4; lower it to 4 or less, or"),
        ({"gpus_per_worker": 1}, Capacity(4, 0, elastic=True, max_gpu_slots=0), "grows to 0; use the other kind"),
        ({"num_workers": 5}, Capacity(1, 0, elastic=True), ""),  # who knows
        ({"num_workers": 4}, Capacity(1, 0, elastic=True, max_cpu_slots=4), ""),
    ],
)
def test_what_the_cluster_will_never_have_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    server: RunningServer,
    a_request: Make,
    asked: dict[str, int],
    room: Capacity,
    expected: str,
) -> None:
    async def capacity(self: FakeCatalog) -> Capacity:
        return room

    monkeypatch.setattr(FakeCatalog, "capacity", capacity)
    request = a_request(resources=asked, validate_only=True)
    request.learner_spec.data.batch_size = 12
    if not expected:
        server.training.Train(request, timeout=20)
        return
    found = refusal(lambda: server.training.Train(request, timeout=20))
    assert list(found.violations) == ["resources.num_workers"]
    assert expected in found.violations["resources.num_workers"]


def test_a_dry_run_tells_where_the_job_would_run_and_stores_nothing(server: RunningServer, a_request: Make) -> None:
    server.runtime.placed = Placed(("n1", "n2"), ("idle",), ())
    request = a_request(validate_only=True, learner_id="pets", priority=5, resources={"num_workers": 2})
    request.request_id = str(uuid.uuid4())
    answer = server.training.Train(request, timeout=20)
    assert (answer.name, answer.learner, answer.priority) == ("", "learners/pets", 5)
    assert [(worker.rank, worker.node) for worker in answer.placement.workers] == [(0, "n1"), (1, "n2")]
    assert list(answer.placement.gives_up) == ["learners/idle"]
    assert server.runtime.previewed[0].resources == Resources(2)
    assert server.store.list_jobs(Page())[0] == []
    assert server.store.list_learners(Page())[0] == []
    assert server.runtime.queued == []
    request.validate_only = False
    assert server.training.Train(request, timeout=20).name


def test_a_dry_run_tells_what_the_job_would_wait_for(server: RunningServer, a_request: Make) -> None:
    server.runtime.placed = Placed((), (), ("low",), "waits for jobs/low to stop")
    answer = server.training.Train(a_request(validate_only=True), timeout=20)
    assert list(answer.placement.preempts) == ["jobs/low"]
    assert answer.placement.waits_for == answer.state_reason == "waits for jobs/low to stop"


def test_a_dry_run_is_refused_as_the_job_would_be(server: RunningServer, a_request: Make) -> None:
    request = a_request(validate_only=True, stages=[job_pb2.Stage(fit=job_pb2.Fit(epochs=-1))])
    assert refusal(lambda: server.training.Train(request, timeout=20)).fields == {"stages[0].fit.epochs"}
