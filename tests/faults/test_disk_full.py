"""The disk is full when checkpoints are written: a tmpfs of a few megabytes beneath the learner's checkpoints."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.faults import buggy_plugin
from support.faults.campaign import SEED, Disturbed, wait_until
from support.faults.load import Load, a_spec
from support.faults.scenes import EPOCHS
from support.faults.validators import violations

from learnfleet.server.config import Config
from learnfleet.trainer import manifest
from learnfleet.trainer.manifest import CorruptCheckpoint
from learnfleet.v1 import job_pb2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class SmallDisk:
    """Where a learner's checkpoints are written."""

    learner: str  # that there is not yet
    root: Path

    def fill(self) -> None:
        """To the last byte."""
        file = os.open(self.root / "filler", os.O_WRONLY | os.O_CREAT)
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while os.write(file, bytes(size)):
                    pass
        os.close(file)

    def free(self) -> None:
        (self.root / "filler").unlink()

    def valid(self) -> list[Path]:
        """Checkpoints that can be loaded. All that have a name must be."""
        found = manifest.list_checkpoints(self.root)
        for path in found:
            manifest.verify(path)
        return found

    def is_sound(self) -> bool:
        try:
            return bool(self.valid())
        except CorruptCheckpoint:
            return False


@pytest.fixture
def load(disturbed: Disturbed) -> Iterator[Load]:
    clients = Load(disturbed.server.address, disturbed.server.data_dir, SEED)
    clients.forget()
    yield clients
    clients.close()


@pytest.fixture
def disk(disturbed: Disturbed, small_disk: Path) -> Iterator[SmallDisk]:
    learner = f"cramped-{uuid.uuid4().hex[:8]}"
    root = Config(disturbed.server.data_dir).checkpoint_root(learner)
    root.parent.mkdir(parents=True)
    root.symlink_to(small_disk)
    yield SmallDisk(learner, root)
    for path in small_disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def a_job(load: Load, name: str, **options: Any) -> str:
    policy = job_pb2.CheckpointPolicy(every_steps=2)
    return load.train(a_spec(pretrained=False, **options), EPOCHS, name=name, checkpoint_policy=policy)


def test_a_job_goes_on_while_the_disk_is_full_and_ends_as_one_that_had_room(load: Load, disk: SmallDisk) -> None:
    roomy = load.until_state(a_job(load, "roomy"), "succeeded").result.checkpoint
    job = a_job(load, disk.learner)
    load.watch(job)
    load.until(job, lambda found: found.progress.epoch >= 2, "the third epoch")
    disk.fill()
    full_at = load.get(job).progress.epoch
    load.until(job, lambda found: found.progress.epoch >= full_at + 3, "three epochs more")
    assert disk.valid()
    disk.free()
    checkpoint = load.until_state(job, "succeeded").result.checkpoint
    assert violations(load.settle()) == {}
    assert (checkpoint.model_sha256, checkpoint.optimizer_sha256) == (roomy.model_sha256, roomy.optimizer_sha256)
    assert load.get(job).attempt == 1


def test_a_job_whose_disk_stays_full_fails_with_the_reason_and_leaves_a_valid_checkpoint(
    load: Load, disk: SmallDisk
) -> None:
    job = a_job(load, disk.learner)
    load.until(job, lambda found: found.progress.epoch >= 2, "the third epoch")
    disk.fill()
    ended = load.until_state(job, "failed")
    assert "No space left" in ended.state_reason
    assert disk.valid()


def test_checkpoints_that_are_written_in_place_are_found_damaged(load: Load, disk: SmallDisk) -> None:
    job = a_job(load, disk.learner, callbacks=((buggy_plugin.NAME, {"bug": "writes_in_place"}),))
    load.until(job, lambda found: found.progress.epoch >= 2, "the third epoch")
    disk.fill()
    assert wait_until(lambda: not disk.is_sound(), 60)
    disk.free()
    load.cancel(job)
    load.until_ended(job)
