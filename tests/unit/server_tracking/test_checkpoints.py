"""Checkpoints among a run's artifacts: what the policy has left on the disk, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.tracked_checkpoints import checkpoints, downloaded, name_checkpoint, prune, save_checkpoint, table
from support.tracked_jobs import queue_job, start_job
from support.tracking import Tracking

from learnfleet.server.domain import JobState
from learnfleet.server.tracking import checkpoint_folder


def running(tracking: Tracking, job_id: str) -> None:
    queue_job(tracking.store, job_id)
    start_job(tracking.store, job_id)
    tracking.step_for(1)


def test_what_the_policy_no_longer_keeps_disappears_from_mlflow_too(tracking: Tracking) -> None:
    running(tracking, "job")
    folders = []
    for step in (10, 20, 30):
        folders.append(save_checkpoint(tracking, "job", step, valid_loss=1 / step))
        if len(folders) > 2:
            prune(folders.pop(0))
        tracking.step_for(30)
    assert checkpoints(tracking, "job") == [folder.name for folder in folders]
    assert downloaded(tracking, "job", folders[-1].name).step == 30


def test_what_is_left_at_the_end_is_what_has_a_name(tracking: Tracking) -> None:
    running(tracking, "job")
    best, _, last = (save_checkpoint(tracking, "job", step, valid_loss=step) for step in (10, 20, 30))
    tracking.step_for(30)
    assert len(checkpoints(tracking, "job")) == 3
    name_checkpoint(tracking, "job", best, "job-10")
    name_checkpoint(tracking, "job", last, "job")
    tracking.store.transition("job", JobState.SUCCEEDED)
    tracking.exporter.wake("job")
    tracking.step_for(30)
    assert checkpoints(tracking, "job") == [best.name, last.name]
    rows = table(tracking, "job", "checkpoints.json")
    assert [(row["checkpoint"], row["step"], row["valid_loss"], row["artifact"]) for row in rows] == [
        ("learners/job/checkpoints/job", 30, 30.0, f"checkpoints/{last.name}"),
        ("learners/job/checkpoints/job-10", 10, 10.0, f"checkpoints/{best.name}"),
    ]
    assert '"checkpoints.json"' in tracking.run_of("jobs/job").data.tags["mlflow.loggedArtifacts"]


def test_what_a_job_that_failed_had_reached_stays(tracking: Tracking) -> None:
    running(tracking, "job")
    reached = save_checkpoint(tracking, "job", 10)
    tracking.step_for(30)
    tracking.store.transition("job", JobState.FAILED, "out of luck")
    tracking.exporter.wake("job")
    tracking.step_for(30)
    assert checkpoints(tracking, "job") == [reached.name]


def test_what_changed_while_no_server_ran_is_made_good(tracking: Tracking) -> None:
    running(tracking, "job")
    first = save_checkpoint(tracking, "job", 10)
    tracking.step_for(30)
    tracking.restart()
    prune(first)
    second = save_checkpoint(tracking, "job", 20)
    tracking.restart()
    tracking.step_for(61)
    assert checkpoints(tracking, "job") == [second.name]


def test_a_transfer_that_broke_off_goes_on_where_it_was_and_is_no_checkpoint_before_it_is_whole(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(tracking, "job")
    monkeypatch.setattr(checkpoint_folder, "_link", lambda source, target: False)
    sent: list[str] = []
    breaks = True

    def log_artifact(self: Any, local_file: str, folder: str | None = None) -> None:
        name = Path(local_file).name
        if breaks and name == "optimizer.safetensors":
            raise ConnectionError("the line broke")
        if folder:
            sent.append(name)
        real(self, local_file, folder)

    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    real = LocalArtifactRepository.log_artifact
    monkeypatch.setattr(LocalArtifactRepository, "log_artifact", log_artifact)
    folder = save_checkpoint(tracking, "job", 10)
    tracking.step_for(0.1)
    assert sent == ["model.safetensors"]
    breaks = False
    tracking.step_for(30)
    assert sent == ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"]
    assert downloaded(tracking, "job", folder.name).step == 10


def test_a_checkpoint_that_is_pruned_while_it_is_sent_leaves_nothing_behind(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(tracking, "job")
    folder = save_checkpoint(tracking, "job", 10)
    link = checkpoint_folder._link

    def pruned(source: Path, target: Path) -> bool:
        if source.name == "optimizer.safetensors":
            prune(folder)
        return link(source, target)

    monkeypatch.setattr(checkpoint_folder, "_link", pruned)
    tracking.step_for(1)
    monkeypatch.setattr(checkpoint_folder, "_link", link)
    newer = save_checkpoint(tracking, "job", 20)
    tracking.step_for(61)
    assert checkpoints(tracking, "job") == [newer.name]


@pytest.mark.parametrize("megabytes", [0, 0.005])
def test_a_checkpoint_over_the_limit_is_named_and_not_sent(tracking: Tracking, megabytes: float) -> None:
    tracking.config = replace(tracking.config, mlflow_checkpoint_max_mb=megabytes)
    tracking.restart()
    running(tracking, "job")
    folder = save_checkpoint(tracking, "job", 10)
    tracking.step_for(30)
    assert checkpoints(tracking, "job") == []
    rows = table(tracking, "job", "checkpoints.json")
    assert [(row["path"], row["artifact"]) for row in rows] == [(str(folder), "")]


def test_points_do_not_wait_for_checkpoints(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    from support.tracked_jobs import add_epoch

    running(tracking, "job")

    def no_room(source: Path, target: Path) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_folder, "_link", no_room)
    save_checkpoint(tracking, "job", 10)
    add_epoch(tracking.store, "job", 0)
    tracking.step_for(30)
    assert tracking.points("job") == [(10, 3.0)]
    monkeypatch.undo()
    tracking.step_for(300)
    assert len(checkpoints(tracking, "job")) == 1
