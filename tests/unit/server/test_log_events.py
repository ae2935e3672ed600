"""Warnings of a worker as events of its job."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from support.memory_data import a_learner

from learnfleet.server.domain import ValidateWork
from learnfleet.server.store.rows import work_to_json
from learnfleet.server.workers.journal import journal_path
from learnfleet.server.workers.protocol import ExamineRun, Phase, RunRequest, WorkerStatus
from learnfleet.server.workers.train_worker import TrainWorker, WorkerConfig
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.state import TrainState

_log = logging.getLogger("a.library")


class Says(Callback):
    """Says something in the run's first batch."""

    def __init__(self, say: Callable[[], None]) -> None:
        self._say: Callable[[], None] | None = say

    def on_batch_begin(self, state: TrainState) -> None:
        if self._say is not None:
            self._say()
        self._say = None


class Worker(TrainWorker):
    """A worker with a learner at hand."""

    def __init__(self, say: Callable[[], None], rank: int = 0) -> None:
        super().__init__(WorkerConfig(rank, 1))
        self._say = say

    def _prepared(self, request: RunRequest, holds: str | None) -> Learner:
        return a_learner(callbacks=[Says(self._say)])

    # test controls

    def run(self, job_dir: Path) -> WorkerStatus:
        """A whole run, and what it has told."""
        work = ExamineRun(work_to_json(ValidateWork()))
        self.start(RunRequest("job", 3, work, {}, None, None, str(job_dir), str(job_dir)))
        self._pool.submit(int).result(60)
        return self.poll("job", 0)


def lines(status: WorkerStatus) -> list[tuple[str, str]]:
    return [(event.data["severity"], event.data["message"]) for event in status.events if event.kind == "log"]


def test_what_a_worker_logs_as_a_warning_or_worse_is_told(tmp_path: Path) -> None:
    def say() -> None:
        _log.info("all is well")
        _log.warning("%d pictures are small", 3)
        _log.error("no room", exc_info=OSError("disk full"))

    status = Worker(say).run(tmp_path)
    assert status.phase is Phase.DONE
    assert lines(status) == [("warning", "3 pictures are small"), ("error", "no room: OSError: disk full")]
    assert [event.id for event in status.events if event.kind == "log"] == ["log/3/0/1", "log/3/0/2"]


def test_other_ranks_say_who_they_are_and_other_threads_are_heard(tmp_path: Path) -> None:
    def say() -> None:
        thread = threading.Thread(target=_log.warning, args=("from a loader",))
        thread.start()
        thread.join()

    assert lines(Worker(say, rank=2).run(tmp_path)) == [("warning", "rank 2: from a loader")]


def test_a_flood_is_cut_off_and_says_so(tmp_path: Path) -> None:
    def say() -> None:
        for number in range(2000):
            _log.warning("again %d", number)

    found = lines(Worker(say).run(tmp_path))
    assert len(found) == 501
    assert found[-1] == ("warning", "there were 500 warnings: further ones are in the worker's log only")


def test_what_is_logged_between_runs_is_not_the_jobs(tmp_path: Path) -> None:
    worker = Worker(lambda: None)
    worker.run(tmp_path)
    _log.warning("later")
    assert lines(worker.poll("job", 0)) == []


def test_a_journal_that_cannot_be_written_neither_blocks_nor_fails_the_run(tmp_path: Path) -> None:
    journal_path(tmp_path, 3, 0).mkdir()
    status = Worker(lambda: _log.warning("small")).run(tmp_path)
    assert status.phase is Phase.DONE
    assert lines(status) == [("warning", "small")]
