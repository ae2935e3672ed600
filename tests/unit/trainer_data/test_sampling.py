"""Over- and under-sampling."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from support.pictures import a_class_folder, a_data_folder
from support.ranks import run_ranks
from torch import nn
from torch.utils.data import TensorDataset

from learnfleet.trainer.batch import Shard
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.data_bunch import DataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.sampling import OverSamplingCallback, UnderSamplingCallback, WeightedSampler
from learnfleet.trainer.state import TrainState
from learnfleet.trainer.transforms import get_transforms


class Seen(Callback):
    """Remembers which items each batch had, and how many an epoch was to have."""

    def __init__(self) -> None:
        self.targets: list[list[int]] = []
        self.indices: list[list[int]] = []
        self.n_batches = 0

    def on_train_begin(self, state: TrainState) -> None:
        self.n_batches = state.n_batches

    def on_batch_begin(self, state: TrainState) -> None:
        if state.train:
            assert state.last_batch is not None
            self.targets.append(state.last_target.tolist())
            self.indices.append(state.last_batch.indices.tolist())


def uneven(bs: int = 8) -> DataBunch:
    """60 items of class 0, 20 of class 1, 10 of class 2."""
    y = torch.tensor([0] * 60 + [1] * 20 + [2] * 10)
    return DataBunch.create(TensorDataset(torch.randn(90, 4), y), bs=bs, classes=["a", "b", "c"])


def a_learner(data: Any = None) -> Learner:
    return Learner(data or uneven(), nn.Linear(4, 3), silent=True)


def test_f092_oversampled_epochs_have_as_many_of_each_class_as_the_greatest_has() -> None:
    learner, seen = a_learner(), Seen()
    learner.fit(20, 0.01, callbacks=[seen, OverSamplingCallback(learner)])
    assert seen.n_batches == 3 * 60 // 8
    assert len(seen.targets) == 20 * seen.n_batches
    shares = Counter(target for batch in seen.targets for target in batch)
    for target in range(3):
        assert shares[target] / sum(shares.values()) == pytest.approx(1 / 3, abs=0.03)
    items = Counter(index for batch in seen.indices for index in batch)
    assert len(items) == 90  # all are drawn in time
    assert len(learner.data.train_dl) == 90 // 8  # and afterwards the loader is as it was


def test_f092_undersampled_epochs_have_as_many_of_each_class_as_the_rarest_has() -> None:
    learner, seen = a_learner(), Seen()
    learner.fit(30, 0.01, callbacks=[UnderSamplingCallback(learner), seen])
    assert seen.n_batches == 3 * 10 // 8
    shares = Counter(target for batch in seen.targets for target in batch)
    assert [shares[target] / sum(shares.values()) for target in range(3)] == pytest.approx([1 / 3] * 3, abs=0.06)


def test_f092_weights_of_ones_own_are_followed() -> None:
    learner, seen = a_learner(), Seen()
    weights = [0.0] * 60 + [1.0] * 30
    learner.fit(2, 0.01, callbacks=[OverSamplingCallback(learner, weights), seen])
    assert {target for batch in seen.targets for target in batch} == {1, 2}
    for wrong in ([1.0] * 89, [0.0] * 90, [-1.0] + [1.0] * 89):
        with pytest.raises(LearnerError, match="give one each, not negative"):
            learner.fit(1, callbacks=[OverSamplingCallback(learner, wrong)])


def test_f092_the_loader_is_restored_after_an_error_too() -> None:
    class Stop(Callback):
        def on_batch_end(self, state: TrainState) -> None:
            raise RuntimeError("stop")

    learner = a_learner()
    with pytest.raises(RuntimeError, match="stop"):
        learner.fit(1, callbacks=[OverSamplingCallback(learner), Stop()])
    assert len(learner.data.train_dl) == 90 // 8


def test_f092_the_schedule_of_a_cycle_counts_the_batches_that_there_are() -> None:
    learner = a_learner()
    learner.callback_fns.append(OverSamplingCallback)
    learner.fit_one_cycle(1, 0.1)
    rates = learner.recorder.lrs
    assert len(rates) == 22
    assert max(rates) == pytest.approx(0.1, rel=0.02)
    assert rates[-1] < 0.01


def test_f092_what_is_drawn_is_a_function_of_seed_and_epoch_and_goes_on_in_the_middle() -> None:
    sampler = WeightedSampler(torch.tensor([1.0, 0.0, 3.0]), 4000, seed=5)
    assert torch.equal(sampler.order(2), WeightedSampler(torch.tensor([1.0, 0.0, 3.0]), 4000, seed=5).order(2))
    assert not torch.equal(sampler.order(2), sampler.order(3))
    assert (sampler.order(0).bincount() / 4000).tolist() == pytest.approx([0.25, 0.0, 0.75], abs=0.02)
    data = uneven()
    data.train_dl.sampler = WeightedSampler(torch.ones(90), 50, seed=1)  # type: ignore[union-attr]
    whole = [batch.indices.tolist() for batch in data.train_dl.epoch(1)]
    assert [batch.indices.tolist() for batch in data.train_dl.epoch(1, 4)] == whole[4:]
    data.shard(Shard(1, 2))
    assert [batch.indices.tolist() for batch in data.train_dl.epoch(1)] == [batch[1::2] for batch in whole]


def test_f092_a_picture_that_comes_again_is_augmented_anew(tmp_path: Path) -> None:
    a_class_folder(a_data_folder(tmp_path, n_train=1) / "train" / "bee", 11)
    data = ImageDataBunch.from_folder(tmp_path, size=16, bs=4, ds_tfms=get_transforms(), seed=0, no_check=True)
    data.train_dl.sampler = WeightedSampler(torch.tensor([1.0] + [0.0] * 12), 8, seed=1)
    batches = list(data.train_dl.epoch(0))
    assert [batch.indices.tolist() for batch in batches] == [[0] * 4] * 2
    pictures = torch.cat([batch.x for batch in batches])
    assert all(not torch.equal(pictures[i], pictures[j]) for i in range(8) for j in range(i))
    assert torch.equal(torch.cat([batch.x for batch in data.train_dl.epoch(0, 1)]), pictures[4:])


def test_f092_items_of_several_labels_or_none_are_refused(tmp_path: Path) -> None:
    a_class_folder(tmp_path, 4)
    names = [f"{number:03}.png" for number in range(4)]
    data = ImageDataBunch.from_lists(tmp_path, names, [["a"], ["a", "b"]] * 2, 0.0, size=8, bs=2, no_check=True)
    learner = Learner(data, nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), silent=True)
    with pytest.raises(LearnerError, match="needs training items that have one class each"):
        learner.fit(1, callbacks=[OverSamplingCallback(learner)])
    small = a_learner(uneven(bs=40))
    with pytest.raises(LearnerError, match="40 is more than the 30 items that an epoch then has"):
        small.fit(1, callbacks=[UnderSamplingCallback(small)])


def oversampled_ranks(rank: int, folder: Path) -> object:
    torch.manual_seed(0)
    learner, seen = a_learner(uneven()), Seen()
    learner.fit(1, 0.01, callbacks=[OverSamplingCallback(learner), seen])
    return {"indices": seen.indices, "weights": learner.model.weight.flatten().tolist()}  # type: ignore[union-attr]


def test_f092_ranks_share_the_same_draw(tmp_path: Path) -> None:
    first, second = run_ranks([oversampled_ranks], tmp_path)["oversampled_ranks"]
    torch.manual_seed(0)
    learner, alone = a_learner(uneven()), Seen()
    learner.fit(1, 0.01, callbacks=[OverSamplingCallback(learner), alone])
    assert first["indices"] == [batch[0::2] for batch in alone.indices]
    assert second["indices"] == [batch[1::2] for batch in alone.indices]
    assert first["weights"] == second["weights"]
    weights = learner.model.weight.flatten().tolist()  # type: ignore[union-attr]
    assert first["weights"] == pytest.approx(weights, abs=1e-5)
