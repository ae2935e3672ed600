"""Memory for snapshots that is used again: what is in them, and what is shared with what."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.memory_data import a_learner

from learnfleet.trainer import tensor_file
from learnfleet.trainer.gradients import AccumulateScheduler
from learnfleet.trainer.run import RunContext, run_train
from learnfleet.trainer.spec import FitStage, LearningRate
from learnfleet.trainer.staging import Named, Staging


@pytest.fixture
def staging() -> Iterator[Staging]:
    made = Staging()
    yield made
    made.close()


def some(seed: int = 0, n: int = 7) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {f"t{number}": torch.randn(number + 1, 5, generator=generator) for number in range(n)}


def test_a_copy_stays_as_it_is_when_its_tensors_change(staging: Staging) -> None:
    live, before = some(), some()
    copied = staging.copy("model", live)
    for tensor in live.values():
        tensor.add_(1)
    assert all(torch.equal(copied[name], before[name]) for name in before)
    assert list(copied) == list(before)


def test_the_next_copy_uses_the_same_memory(staging: Staging) -> None:
    first = staging.copy("model", some(0))
    second = staging.copy("model", some(1))
    assert [t.data_ptr() for t in second.values()] == [t.data_ptr() for t in first.values()]
    assert torch.equal(second["t3"], some(1)["t3"])


def test_memory_made_beforehand_is_what_the_copy_uses_and_a_second_time_changes_nothing(staging: Staging) -> None:
    staging.prepare("model", some())
    copied = staging.copy("model", some())
    staging.prepare("model", some())
    assert all(torch.equal(copied[name], tensor) for name, tensor in some().items())
    again = staging.copy("model", some(2))
    assert [t.data_ptr() for t in again.values()] == [t.data_ptr() for t in copied.values()]


def test_tensors_of_another_shape_type_or_name_get_memory_of_their_own(staging: Staging) -> None:
    staging.copy("model", some())
    other = {"t0": torch.ones(3), "t1": torch.ones(2, 5, dtype=torch.int64), "new": torch.zeros(())}
    copied = staging.copy("model", other)
    assert all(torch.equal(copied[name], tensor) for name, tensor in other.items())
    assert copied["t1"].dtype is torch.int64


def test_parts_do_not_share_memory(staging: Staging) -> None:
    model, optimizer = staging.copy("model", some(0)), staging.copy("optimizer", some(1))
    assert torch.equal(model["t0"], some(0)["t0"])
    assert torch.equal(optimizer["t0"], some(1)["t0"])


def test_a_tensor_laid_out_in_another_order_is_copied_in_the_plain_one(staging: Staging) -> None:
    tensor = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    copied = staging.copy("model", {"w": tensor})["w"]
    assert copied.is_contiguous()
    assert torch.equal(copied, tensor)


def train(learner: object, root: Path, every_steps: int | None) -> None:
    context = RunContext("job", 1, lambda *_: None, lambda: False, root, None, every_steps)
    run_train(learner, [FitStage(1, LearningRate(value=1e-2))], context)  # type: ignore[arg-type]


def test_memory_is_not_used_again_while_its_snapshot_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, overlaps = threading.Event(), []
    copy, write = Staging.copy, tensor_file.write

    def noted(self: Staging, part: str, tensors: Named) -> Named:
        copied.set()
        return copy(self, part, tensors)

    def slow(path: Path, tensors: Named) -> None:
        copied.clear()
        overlaps.append(copied.wait(0.3))  # long enough for the next step and its copy
        write(path, tensors)

    monkeypatch.setattr(Staging, "copy", noted)
    monkeypatch.setattr(tensor_file, "write", slow)
    train(a_learner(), tmp_path, every_steps=1)
    assert len(overlaps) > 3
    assert not any(overlaps)


def test_memory_is_made_at_the_first_step_with_its_moments_also_where_batches_accumulate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: dict[str, list[str]] = {}
    prepare = Staging.prepare

    def noted(self: Staging, part: str, tensors: Named) -> None:
        prepared.setdefault(part, list(tensors))
        prepare(self, part, tensors)

    monkeypatch.setattr(Staging, "prepare", noted)
    learner = a_learner()
    learner.add_callbacks(AccumulateScheduler(learner, 2))
    train(learner, tmp_path, every_steps=None)
    assert any(name.startswith("exp_avg/") for name in prepared["optimizer"])
    assert any("losses" in name for name in prepared["callbacks"])
