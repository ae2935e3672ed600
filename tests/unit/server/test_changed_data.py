"""A job on a version of a data set fails when the version's files have changed, and says which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import cast

import pytest
from support.fake_group import FakePool
from support.pictures import a_class_folder

from learnfleet.server.config import Config
from learnfleet.server.data.library import DatasetLibrary, Origin
from learnfleet.server.domain import Cause, Job, JobKind, JobState, Learner, Resources, ValidateWork
from learnfleet.server.scheduling.controller import JobController
from learnfleet.server.scheduling.pool import GroupPool
from learnfleet.server.scheduling.services import Services
from learnfleet.server.store.sql import SqlStore
from learnfleet.trainer.data_spec import DatasetRef
from learnfleet.trainer.spec import DataSpec, LearnerSpec

NOW = datetime(2030, 1, 1, tzinfo=UTC)
OUTCOME = {"stopped": False, "metrics": {}, "skipped_images": 0}
TIMEOUT_S = 30


class Lab:
    """A registered folder, and a job `one` that validates a learner on it."""

    def __init__(self, folder: Path) -> None:
        config = Config(folder / "data")
        config.data_dir.mkdir()
        self.pictures = a_class_folder(folder / "pets", 3)
        self.store, self.pool = SqlStore(config.store_url), FakePool()
        self.library = DatasetLibrary(config, self.store)
        self.library.register(self.pictures, Origin("pets", "default"))
        data = DataSpec(str(self.pictures), dataset=DatasetRef("datasets/pets/versions/1", ""))
        learner = Learner("pets", LearnerSpec(data, "resnet18"), NOW, NOW)
        job = Job("one", "pets", JobKind.VALIDATE, ValidateWork(), Resources(1), JobState.QUEUED, "", NOW, NOW)
        self.store.create_job(job, learner=learner, fingerprint="f")
        services = Services(config, self.store, cast(GroupPool, self.pool), lambda _: None, cluster_is_local=True)
        self.controller = JobController(services, "one")

    def run(self, when_running: Callable[[], object] = lambda: None) -> Job:
        """The job when it is over."""
        thread = Thread(target=self.controller.run, daemon=True)
        thread.start()
        self.pool.placed.set()
        if not self.pool.asked.wait(1):
            thread.join(TIMEOUT_S)
            return self.store.get_job("one")
        assert self.pool.group.started.wait(TIMEOUT_S)
        when_running()
        self.pool.group.outcome = OUTCOME
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
        return self.store.get_job("one")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.store.close()


def test_a_job_on_unchanged_files_succeeds(lab: Lab) -> None:
    assert lab.run().state is JobState.SUCCEEDED


def test_a_job_on_files_that_have_changed_fails_before_it_has_workers(lab: Lab) -> None:
    (lab.pictures / "001.png").unlink()
    job = lab.run()
    assert (job.state, job.cause) == (JobState.FAILED, Cause.USER)
    assert "files of datasets/pets/versions/1 have changed" in job.reason
    assert "'001.png' is gone" in job.reason
    assert not lab.pool.group.started.is_set()


def test_a_job_whose_files_change_while_it_runs_fails_at_its_end(lab: Lab) -> None:
    path = lab.pictures / "001.png"
    job = lab.run(when_running=lambda: path.write_bytes(b"x" * path.stat().st_size))
    assert job.state is JobState.FAILED
    assert "'001.png' has other content" in job.reason


def test_a_job_on_a_deleted_data_set_fails_though_its_folder_is_there(lab: Lab) -> None:
    lab.library.delete("pets", "default")
    lab.library.register(lab.pictures, Origin("pets", "default"))
    job = lab.run()
    assert job.state is JobState.FAILED
    assert "datasets/pets/versions/1 was deleted" in job.reason
