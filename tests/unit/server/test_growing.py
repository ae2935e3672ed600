"""Clusters that grow: what they are asked for, and what jobs are told meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from support.fake_cluster import FakeCluster, Fleet
from support.situations import a_job, group_of, situation

from learnfleet.server.config import Config
from learnfleet.server.domain import JobBrief, JobState, Resources
from learnfleet.server.rpc.ports import Capacity, Demand, Node
from learnfleet.server.scheduling.plan import plan
from learnfleet.server.scheduling.planner import AtWork, Planner
from learnfleet.server.scheduling.situation import Hold
from learnfleet.server.store.sql import SqlStore


def growing(cpus: int, gpus: int = 0, *, most: int | None = None, serving: int = 0) -> Capacity:
    """One node, if it has any slots."""
    nodes = (Node("a", "a", cpus - serving, gpus, serving),) if cpus or gpus else ()
    return Capacity(cpus, gpus, elastic=True, nodes=nodes, max_cpu_slots=most, max_gpu_slots=most)


def told(job: JobBrief, room: Capacity) -> tuple[Hold | None, str]:
    (verdict,) = plan(situation([job], room=room))
    return verdict.hold, verdict.waits_for


def test_a_job_that_is_larger_than_the_cluster_waits_for_nodes() -> None:
    assert told(a_job("one", 3), growing(2)) == (
        Hold.NODES,
        "needs 3 CPU slots, the cluster has 2 until more nodes join",
    )
    assert told(a_job("one", 2, gpus=1), growing(0, most=2))[0] is Hold.NODES


def test_a_job_that_is_larger_than_the_cluster_may_grow_to_is_too_large() -> None:
    assert told(a_job("one", 3), growing(1, most=2)) == (Hold.TOO_LARGE, "needs 3 CPU slots, the cluster has 1")


@pytest.mark.parametrize(
    ("room", "hold"),
    [
        (growing(4, most=4, serving=1), Hold.SERVING),
        (growing(4, most=5, serving=1), Hold.NODES),
        (Capacity(4, 0, elastic=False, nodes=(Node("a", "a", 3, 0, 1),)), Hold.SERVING),
    ],
)
def test_slots_of_processes_that_predict_are_not_free(room: Capacity, hold: Hold) -> None:
    found, why = told(a_job("one", 4), room)
    assert found is hold
    assert why.startswith("needs 4 CPU slots, the cluster has 3")
    assert why.endswith("(1 more are with processes that predict)")
    assert told(a_job("one", 3), room) == (None, "")


# -- what is asked for


def demanded(
    folder: Path,
    waiting: Sequence[JobBrief],
    at_work: Sequence[JobBrief] = (),
    room: Capacity = growing(4),  # noqa: B008
    **settings: object,
) -> Demand:
    config = Config(folder, **settings)  # type: ignore[arg-type]
    planner = Planner(config, SqlStore(config.store_url))
    busy = [AtWork(job, 0.0, 0, is_stopping=False) for job in at_work]
    held = [group_of(job) for job in at_work]
    return planner.demand(planner.plan(waiting, busy, held, room), busy, held, room)


def test_enough_is_asked_for_what_runs_and_what_waits_together(tmp_path: Path) -> None:
    waiting = [a_job("b", 3), a_job("c", 2), a_job("d", 2, gpus=1)]
    # The CPU of each of the two GPUs that come is in their bundles.
    assert demanded(tmp_path, waiting, [a_job("a", 4)]) == Demand(4 + 3 + 2, 2)


def test_nothing_is_asked_for_what_runs_alone(tmp_path: Path) -> None:
    assert demanded(tmp_path, [], [a_job("a", 4)]) == Demand()


def test_what_predicts_is_asked_for_beside_it(tmp_path: Path) -> None:
    assert demanded(tmp_path, [a_job("a", 4)], room=growing(4, serving=1)) == Demand(5)


def test_the_cpus_of_gpus_are_not_taken_for_those_that_lack(tmp_path: Path) -> None:
    assert demanded(tmp_path, [a_job("a", 7)], room=growing(4, 2)) == Demand(7 + 2)


def test_what_waits_for_another_job_brings_no_nodes(tmp_path: Path) -> None:
    waiting = [a_job("b", 3, learner="a")]
    assert demanded(tmp_path, waiting, [a_job("a", 4, learner="a")]) == Demand()


def test_quotas_and_the_limit_of_the_cluster_bound_it(tmp_path: Path) -> None:
    quotas = (("vision", 3, 0),)
    of_vision = [a_job(f"v{number}", 2, tenant="vision") for number in range(5)]
    assert demanded(tmp_path, of_vision, room=growing(0), quotas=quotas) == Demand(2)
    jobs = [a_job(f"j{number}", 4) for number in range(5)]
    assert demanded(tmp_path, jobs, room=growing(0, most=10)) == Demand(10)
    assert demanded(tmp_path, [a_job(f"j{number}", 500) for number in range(5)], room=growing(0)) == Demand(1000)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path, FakeCluster(cpu_slots=0, grows=True))
    made.scheduler.start()
    yield made
    made.close()


def test_nodes_are_asked_for_while_a_job_waits_and_let_go_when_it_runs(fleet: Fleet) -> None:
    fleet.queue("one", resources=Resources(2))
    told = "needs 2 CPU slots, the cluster has 0 until more nodes join"
    fleet.until(lambda: fleet.store.get_job("one").reason == told)
    assert fleet.cluster.demands[-1] == Demand(2)
    fleet.cluster.cpu_slots = 2
    fleet.until_state("one", JobState.RUNNING)
    fleet.until(lambda: fleet.cluster.demands[-1] == Demand())
    fleet.cluster.finishes.set()
    fleet.until_state("one", JobState.SUCCEEDED)
    fleet.until(lambda: fleet.cluster.demands[-1] == Demand())


def test_a_server_that_stops_takes_back_what_it_asked_for(fleet: Fleet) -> None:
    fleet.queue("one", resources=Resources(2))
    fleet.until(lambda: fleet.cluster.demands[-1:] == [Demand(2)])
    fleet.close()
    assert fleet.cluster.demands[-1] == Demand()


# -- nodes, as Ray tells of them


def nodes_of(monkeypatch: pytest.MonkeyPatch, resources: Mapping[str, float], *taken: tuple[float, float]) -> Node:
    import ray

    from learnfleet.server.inference.places import Taken
    from learnfleet.server.workers.nodes import living_nodes

    entry = {"NodeID": "a", "NodeManagerAddress": "10.0.0.1", "Resources": resources, "Alive": True}
    monkeypatch.setattr(ray, "nodes", lambda: [entry, {**entry, "NodeID": "head", "Resources": {"CPU": 0.0}}])
    (node,) = living_nodes([*(Taken("a", *each) for each in taken), Taken("b", 9, 9)])
    return node


def test_a_node_has_the_slots_that_predictions_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    assert nodes_of(monkeypatch, {"CPU": 8.0, "GPU": 2.0}) == Node("a", "10.0.0.1", 6, 2)
    assert nodes_of(monkeypatch, {"CPU": 8.0, "GPU": 2.0}, (1, 0)) == Node("a", "10.0.0.1", 5, 2, 1)
    assert nodes_of(monkeypatch, {"CPU": 8.0, "GPU": 2.0}, (1, 0.5), (1, 0.5)) == Node("a", "10.0.0.1", 5, 1, 1, 1)
    assert nodes_of(monkeypatch, {"CPU": 2.0}, (1, 0), (1, 0)) == Node("a", "10.0.0.1", 0, 0, 2)
    assert nodes_of(monkeypatch, {"CPU": 4.0}, *[(0.1, 0)] * 10) == Node("a", "10.0.0.1", 3, 0, 1)
