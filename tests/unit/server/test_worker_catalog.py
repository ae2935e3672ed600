"""What the server asks its workers, and how often."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest
from support.rpc_server import RESNET18

from learnfleet.server.errors import WorkersStarting
from learnfleet.server.workers.catalog import WorkerCatalog
from learnfleet.trainer.body_info import BodyInfo
from learnfleet.trainer.errors import LearnerError

Answer = BodyInfo | LearnerError | None


class FakeCluster:
    """A cluster somewhere else, with one architecture, whose workers answer as they are told to."""

    is_local = False

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = list(answers), 0

    def wait(self) -> FakeCluster:
        return self

    def catalog(self) -> dict[str, Any]:
        return {"architectures": ["resnet18"]}

    def body(self, architecture: str, cut: int | None) -> Answer:
        self.asked += 1
        return self.answers.pop(0)


class StartingCluster(FakeCluster):
    """One whose Ray comes up when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.has_started = threading.Event()

    def wait(self) -> FakeCluster:
        self.asked += 1
        assert self.has_started.wait(60)
        return self


def a_catalog(cluster: FakeCluster, folder: Path) -> WorkerCatalog:
    return WorkerCatalog(cluster, folder)  # type: ignore[arg-type]


def test_workers_are_asked_once_for_an_architecture(tmp_path: Path) -> None:
    cluster = FakeCluster(RESNET18)
    catalog = a_catalog(cluster, tmp_path)
    assert [asyncio.run(catalog.body("resnet18", None)) for _ in range(2)] == [RESNET18, RESNET18]
    assert cluster.asked == 1


def test_an_answer_that_did_not_come_in_time_is_asked_for_again(tmp_path: Path) -> None:
    catalog = a_catalog(FakeCluster(None, RESNET18), tmp_path)
    assert [asyncio.run(catalog.body("resnet18", None)) for _ in range(2)] == [None, RESNET18]


def test_callers_are_told_to_ask_again_while_workers_start_and_all_wait_for_one_answer(tmp_path: Path) -> None:
    cluster = StartingCluster()
    catalog = WorkerCatalog(cluster, tmp_path, patience_s=0.05)  # type: ignore[arg-type]

    async def ask() -> list[frozenset[str]]:
        told = await asyncio.gather(*(catalog.architectures() for _ in range(20)), return_exceptions=True)
        assert {type(error) for error in told} == {WorkersStarting}
        cluster.has_started.set()
        while True:
            with contextlib.suppress(WorkersStarting):
                return [await catalog.architectures() for _ in range(2)]

    assert asyncio.run(ask()) == [frozenset({"resnet18"})] * 2
    assert cluster.asked == 1


def test_workers_are_not_asked_for_what_they_do_not_know(tmp_path: Path) -> None:
    cluster = FakeCluster()
    assert asyncio.run(a_catalog(cluster, tmp_path).body("resnet81", None)) is None
    assert cluster.asked == 0


def test_a_cut_that_leaves_nothing_is_the_callers_error(tmp_path: Path) -> None:
    catalog = a_catalog(FakeCluster(LearnerError("cut", "is empty")), tmp_path)
    with pytest.raises(LearnerError, match="cut: is empty"):
        asyncio.run(catalog.body("resnet18", 0))
