"""Checkpoint folders: complete or not there, verified, fenced, pruned."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest
import torch

from learnfleet.trainer import checkpoint, manifest, tensor_file
from learnfleet.trainer.checkpoint import CheckpointWriter, Snapshot
from learnfleet.trainer.keep_policy import KeepPolicy
from learnfleet.trainer.manifest import CheckpointInfo, CorruptCheckpoint, StaleAttempt
from learnfleet.trainer.manifest_seal import sealed


def a_snapshot(step: int = 1, value: float = 1.0) -> Snapshot:
    tensors = {"b": torch.full((3, 2), value), "a": torch.arange(4)}
    return Snapshot(tensors, {"exp_avg/b": torch.full((3, 2), value / 2)}, {"stage": 0}, {}, step, 0)


def write_steps(root: Path, *steps: int, job: str = "job", attempt: int = 1, keep_last: int = 2) -> None:
    writer = CheckpointWriter(root, job, attempt, KeepPolicy(keep_last))
    for step in steps:
        writer.submit(a_snapshot(step))
        writer.wait()
    writer.close()


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written = checkpoint.write(a_snapshot(7), tmp_path / "job-0000000007-1", job_id="job", attempt=1)
    read = checkpoint.load(tmp_path / "job-0000000007-1")
    assert torch.equal(read.model["b"], a_snapshot().model["b"])
    assert read.optimizer is not None
    assert torch.equal(read.optimizer["exp_avg/b"], torch.full((3, 2), 0.5))
    assert (read.state, read.step) == ({"stage": 0}, 7)
    assert manifest.verify(written.path) == written


def test_equal_tensors_give_equal_hashes_whatever_their_order(tmp_path: Path) -> None:
    one = a_snapshot()
    other = Snapshot(dict(reversed(one.model.items())), one.optimizer, {"stage": 5}, {}, 9, 1)
    first = checkpoint.write(one, tmp_path / "one", job_id="job", attempt=1)
    second = checkpoint.write(other, tmp_path / "other", job_id="other", attempt=2)
    assert first.model_sha256 == second.model_sha256
    assert first.optimizer_sha256 == second.optimizer_sha256
    third = checkpoint.write(a_snapshot(value=2.0), tmp_path / "third", job_id="job", attempt=1)
    assert third.model_sha256 != first.model_sha256


@pytest.mark.parametrize("name", [manifest.MODEL_FILE, manifest.OPTIMIZER_FILE, manifest.STATE_FILE])
def test_a_single_flipped_bit_is_found_and_the_checkpoint_before_is_used(tmp_path: Path, name: str) -> None:
    write_steps(tmp_path, 1, 2)
    file = tmp_path / "job-0000000002-1" / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CorruptCheckpoint, match=name):
        checkpoint.load(file.parent)
    newest = manifest.newest_valid(tmp_path, "job")
    assert newest is not None
    assert newest.step == 1
    assert names(tmp_path) == ["job-0000000001-1", "job-0000000002-1.corrupt"]


def test_a_checkpoint_without_its_manifest_is_not_used(tmp_path: Path) -> None:
    write_steps(tmp_path, 1)
    (tmp_path / "job-0000000001-1" / manifest.MANIFEST_FILE).unlink()
    assert manifest.newest_valid(tmp_path, "job") is None


def test_a_manifest_that_names_files_outside_of_the_folder_is_refused(tmp_path: Path) -> None:
    write_steps(tmp_path, 1)
    path = tmp_path / "job-0000000001-1" / manifest.MANIFEST_FILE
    value = json.loads(path.read_text())
    value["files"]["../secret"] = {"sha256": "0", "size_bytes": 0}
    del value["manifest_sha256"]
    path.write_bytes(sealed(value))
    with pytest.raises(CorruptCheckpoint, match="outside the folder"):
        manifest.verify(path.parent)


def test_what_a_dead_writer_left_half_written_is_ignored_and_removed_by_the_next(tmp_path: Path) -> None:
    write_steps(tmp_path, 1)
    (tmp_path / "job-0000000002-1.tmp").mkdir()
    newest = manifest.newest_valid(tmp_path, "job")
    assert newest is not None
    assert newest.step == 1
    CheckpointWriter(tmp_path, "job", 2).close()
    assert names(tmp_path) == ["job-0000000001-1"]


def test_the_newest_is_by_step_then_by_attempt_and_of_the_job_asked_for(tmp_path: Path) -> None:
    write_steps(tmp_path, 9, job="a")
    write_steps(tmp_path, 10, job="a-b")
    write_steps(tmp_path, 9, job="a", attempt=2)
    newest = manifest.newest_valid(tmp_path, "a")
    assert newest is not None
    assert newest.path.name == "a-0000000009-2"
    assert manifest.list_checkpoints(tmp_path)[0].name == "a-b-0000000010-1"


@pytest.mark.parametrize(("keep_last", "kept"), [(1, 2), (2, 2), (3, 3)])
def test_older_checkpoints_are_removed_but_never_the_last_two(tmp_path: Path, keep_last: int, kept: int) -> None:
    write_steps(tmp_path, 1, 2, 3, 4, keep_last=keep_last)
    assert len(names(tmp_path)) == kept
    assert names(tmp_path)[-1] == "job-0000000004-1"


def test_a_damaged_checkpoint_does_not_count_as_one_of_the_last_two(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 2)
    (tmp_path / "job-0000000002-1" / manifest.MODEL_FILE).unlink()
    write_steps(tmp_path, 3)
    assert "job-0000000001-1" in names(tmp_path)


def test_an_older_attempt_may_not_write_once_a_newer_one_has(tmp_path: Path) -> None:
    old = CheckpointWriter(tmp_path, "job", 1)
    write_steps(tmp_path, 5, attempt=2)
    old.submit(a_snapshot(6))
    with pytest.raises(StaleAttempt, match="attempt 1 of job job may not write: attempt 2 has taken over"):
        old.wait()
    old.close()
    assert names(tmp_path) == ["job-0000000005-2"]
    with pytest.raises(StaleAttempt):
        CheckpointWriter(tmp_path, "job", 1)


@pytest.mark.parametrize(("module", "name"), [(manifest, "write_synced"), (tensor_file, "write")])
def test_a_full_disk_keeps_the_previous_and_the_next_save_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    writer = CheckpointWriter(tmp_path, "job", 1)
    writer.submit(a_snapshot(1))
    writer.wait()

    def full(path: Path, content: object) -> None:
        path.write_bytes(b"the beginn")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, name, full)
        writer.submit(a_snapshot(2))
        with pytest.raises(OSError, match="No space left"):
            writer.wait()
    assert writer.failed
    assert names(tmp_path) == ["job-0000000001-1"]
    writer.submit(a_snapshot(3))
    newest = writer.wait()
    assert newest is not None
    assert newest.step == 3
    writer.close()


def test_saving_does_not_hold_up_the_caller_and_holds_one_snapshot_at_a_time(tmp_path: Path) -> None:
    release, written = threading.Event(), []

    def on_written(info: CheckpointInfo, snapshot: Snapshot) -> None:
        assert release.wait(10)
        written.append(info.step)

    writer = CheckpointWriter(tmp_path, "job", 1, on_written=on_written)
    writer.submit(a_snapshot(1))
    assert writer.busy
    assert written == []
    release.set()
    writer.submit(a_snapshot(2))  # waits for the first
    assert written[0] == 1
    writer.wait()
    assert written == [1, 2]
    writer.close()


def test_saving_again_under_a_name_replaces_it(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        checkpoint.write(a_snapshot(value=value), tmp_path / "best", job_id="save", attempt=0)
    assert float(checkpoint.load(tmp_path / "best").model["b"][0, 0]) == 2.0
    assert names(tmp_path) == ["best"]


def test_a_snapshot_does_not_change_when_the_model_goes_on() -> None:
    model = torch.nn.Linear(2, 2)
    taken = checkpoint.model_tensors(model)
    before = taken["weight"].clone()
    with torch.no_grad():
        model.weight.add_(1)
    assert torch.equal(taken["weight"], before)


def test_tied_weights_can_be_saved(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[1].weight = model[0].weight
    snapshot = Snapshot(checkpoint.model_tensors(model), None, {})
    info = checkpoint.write(snapshot, tmp_path / "tied", job_id="job", attempt=1)
    assert info.optimizer_sha256 == ""
    assert set(checkpoint.load(info.path).model) == set(model.state_dict())


@pytest.mark.parametrize("module", ["manifest", "spec", "export", "errors", ""])
def test_the_control_servers_part_loads_no_torch(module: str) -> None:
    name = f"learnfleet.trainer.{module}".rstrip(".")
    code = f"import sys, {name}; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tensors_that_cannot_be_written_are_an_oserror_and_others_may_read_them_as_other_files(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        tensor_file.write(tmp_path / "missing" / "a.safetensors", {"a": torch.ones(2)})
    folder = tmp_path / "folder"  # pytest's own is closed to others
    folder.mkdir()
    tensor_file.write(folder / "a.safetensors", {"a": torch.ones(2)})
    (folder / "plain").write_text("")
    assert (folder / "a.safetensors").stat().st_mode == (folder / "plain").stat().st_mode
