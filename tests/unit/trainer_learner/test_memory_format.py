"""Options of how the same sums are computed: channels last, compiled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import memory_data
from support.pictures import a_data_folder
from support.ranks import run_ranks
from torch import nn

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.hooks import ActivationStats
from learnfleet.trainer.learner import Learner


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_data_folder(tmp_path_factory.mktemp("pictures"), n_train=8)


def a_learner(folder: Path) -> Learner:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    )
    return Learner(ImageDataBunch.from_folder(folder, size=16, bs=4), model, silent=True)


def fitted(learner: Learner) -> list[float]:
    learner.fit(2, 1e-3)
    return learner.recorder.losses


def test_channels_last_trains_to_the_same_losses_up_to_rounding(folder: Path) -> None:
    learner = a_learner(folder).to_channels_last()
    assert fitted(learner) == pytest.approx(fitted(a_learner(folder)), rel=1e-4)
    assert learner.model[0].weight.is_contiguous(memory_format=torch.channels_last)
    moments = [learner.require_optimizer().inner.state[learner.model[0].weight][name] for name in ("exp_avg",)]
    assert all(moment.stride() == learner.model[0].weight.stride() for moment in moments)


def test_channels_last_can_be_switched_between_two_fits_and_keeps_the_moments(folder: Path) -> None:
    switched, plain = a_learner(folder), a_learner(folder)
    for learner in (switched, plain):
        learner.fit(1, 1e-3)
    assert fitted(switched.to_channels_last()) == pytest.approx(fitted(plain), rel=1e-4)
    switched.to_channels_last(False)
    assert switched.model[0].weight.is_contiguous()


def test_a_save_is_loaded_in_whatever_layout_the_model_has(folder: Path, tmp_path: Path) -> None:
    learner = a_learner(folder).to_channels_last()
    learner.path = tmp_path
    learner.fit(1, 1e-3)
    learner.save("laid_out")
    other = a_learner(folder)
    other.path = tmp_path
    other.load("laid_out")
    assert torch.equal(other.model[0].weight, learner.model[0].weight)
    assert other.model[0].weight.is_contiguous()


def test_compiled_trains_to_the_same_losses_up_to_rounding_and_keeps_the_names(folder: Path) -> None:
    learner = a_learner(folder).to_compiled()
    names = list(learner.model.state_dict())
    assert fitted(learner) == pytest.approx(fitted(a_learner(folder)), rel=1e-4)
    assert list(learner.model.state_dict()) == names


def _losses_on_ranks(rank: int, folder: Path) -> list[list[float]]:
    found = []
    for is_compiled in (True, False):
        model = memory_data.tiny_model(dropout=0)  # compiled, it draws other numbers
        learner = memory_data.a_learner(model=model).to_compiled(is_compiled)
        learner.fit(1)
        found.append([*learner.recorder.losses, *learner.recorder.val_losses])
    return found


@pytest.mark.slow
def test_compiled_on_two_ranks_trains_to_the_same_losses_up_to_rounding(tmp_path: Path) -> None:
    (compiled, plain), second = run_ranks([_losses_on_ranks], tmp_path)["_losses_on_ranks"]
    assert [compiled, plain] == second
    assert compiled == pytest.approx(plain, rel=1e-3)


def test_f077_hooks_that_come_after_a_compiled_fit_are_called(folder: Path) -> None:
    learner = a_learner(folder).to_compiled()
    learner.fit(1, 1e-3)
    learner.fit(1, 1e-3, callbacks=[stats := ActivationStats(learner)])
    assert stats.stats.shape[2] == len(learner.data.train_dl)
