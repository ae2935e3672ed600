"""Callbacks that follow a value: when they stop, save, and lower the rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from support.memory_data import MemoryData, a_learner
from support.ranks import run_ranks
from torch import nn

from learnfleet.trainer.callback import Callback, Changes
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.metric_functions import top_k_accuracy
from learnfleet.trainer.state import TrainState
from learnfleet.trainer.track_epoch import TrackEpochCallback
from learnfleet.trainer.trackers import (
    EarlyStoppingCallback,
    ReduceLROnPlateauCallback,
    SaveModelCallback,
    StopAfterNBatches,
    TerminateOnNaNCallback,
)

# fastai's own epochs of stopping for these values (None: not in ten epochs).
VALID_LOSS = [0.9, 0.7, 0.65, 0.66, 0.64, 0.645, 0.66, 0.63, 0.7, 0.71]
ACCURACY = [0.5, 0.6, 0.58, 0.62, 0.62, 0.61, 0.63, 0.6, 0.59, 0.64]


class Scripted(Callback):
    """Puts given validation losses and accuracies in the place of the true ones."""

    order = -500

    def __init__(self, losses: Sequence[float], accuracies: Sequence[float] = ACCURACY) -> None:
        self.losses, self.accuracies = losses, accuracies

    def on_epoch_end(self, state: TrainState) -> Changes:
        return {"last_metrics": [self.losses[state.epoch], self.accuracies[state.epoch]]}


class Weights(Callback):
    """The head's weights at each epoch's end."""

    order = 1000

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def on_epoch_end(self, state: TrainState) -> Changes:
        self.seen.append(head_of(state.learner).clone())
        return None


def head_of(learner: Learner) -> torch.Tensor:
    return next(p for name, p in learner.model.named_parameters() if name == "2.3.weight").detach()


def last_epoch(learner: Learner, callback: Callback, losses: Sequence[float] = VALID_LOSS) -> int:
    learner.fit(10, 1e-3, callbacks=[Scripted(losses), callback])
    return learner.recorder.rows[-1].epoch


@pytest.mark.parametrize(
    ("patience", "min_delta", "epoch"), [(0, 0.0, 3), (1, 0.0, 6), (2, 0.0, 9), (1, 0.02, 4), (2, 0.02, 5), (9, 0.0, 9)]
)
def test_f080_early_stopping_waits_as_fastai_does_for_a_loss(patience: int, min_delta: float, epoch: int) -> None:
    learner = a_learner(MemoryData(14, 5), metrics=["accuracy"])
    callback = EarlyStoppingCallback(learner, "valid_loss", min_delta=min_delta, patience=patience)
    assert last_epoch(learner, callback) == epoch


@pytest.mark.parametrize(("patience", "min_delta", "epoch"), [(0, 0.0, 2), (1, 0.0, 5), (2, 0.0, 9), (1, 0.01, 5)])
def test_f080_more_of_an_accuracy_is_better(patience: int, min_delta: float, epoch: int) -> None:
    learner = a_learner(MemoryData(14, 5), metrics=["accuracy"])
    callback = EarlyStoppingCallback(learner, "accuracy", min_delta=min_delta, patience=patience)
    assert last_epoch(learner, callback) == epoch


def test_f080_the_mode_is_taken_from_the_name_unless_it_is_given() -> None:
    learner = a_learner()
    signs = {name: EarlyStoppingCallback(learner, name).sign for name in ("valid_loss", "error_rate", "accuracy")}
    assert signs == {"valid_loss": -1, "error_rate": -1, "accuracy": 1}
    assert EarlyStoppingCallback(learner, "accuracy", mode="min").sign == -1
    with pytest.raises(LearnerError, match="'most' is not one of"):
        EarlyStoppingCallback(learner, mode="most")  # type: ignore[arg-type]


def test_f080_what_is_not_recorded_is_an_error_that_names_what_is() -> None:
    learner = a_learner(metrics=["accuracy"])
    with pytest.raises(LearnerError, match="'auc' is not recorded; there are train_loss, valid_loss, accuracy"):
        learner.fit(1, callbacks=[EarlyStoppingCallback(learner, "auc")])


def test_f081_the_best_weights_are_back_at_the_end(tmp_path: Path) -> None:
    learner = a_learner(MemoryData(14, 5, path=tmp_path), metrics=["accuracy"])
    weights = Weights()
    saver = SaveModelCallback(learner, "valid_loss", name="best")
    learner.fit(4, 1e-2, callbacks=[Scripted([0.9, 0.5, 0.7, 0.6]), saver, weights])
    assert torch.equal(head_of(learner), weights.seen[1])
    assert not torch.equal(head_of(learner), weights.seen[3])
    assert learner.save_model_callback is saver  # type: ignore[attr-defined]


def test_f081_every_epoch_is_saved_under_its_number(tmp_path: Path) -> None:
    learner = a_learner(MemoryData(14, 5, path=tmp_path), metrics=["accuracy"])
    learner.fit(2, 1e-3, callbacks=[SaveModelCallback(learner, every="epoch", name="m")])
    last = head_of(learner).clone()
    learner.load("m_0")
    assert not torch.equal(head_of(learner), last)
    learner.load("m_1")
    assert torch.equal(head_of(learner), last)


def test_f082_what_an_earlier_run_has_saved_is_not_loaded(tmp_path: Path) -> None:
    learner = a_learner(MemoryData(14, 5, path=tmp_path), metrics=["accuracy"])
    learner.save("best")
    before = head_of(learner).clone()
    nothing_better = [math.nan, math.nan]
    learner.fit(2, 1e-2, callbacks=[Scripted(nothing_better), SaveModelCallback(learner, name="best")])
    assert not torch.equal(head_of(learner), before)


def test_f083_rates_fall_when_nothing_gets_better_and_groups_keep_their_shares() -> None:
    learner = a_learner(MemoryData(14, 5), metrics=["accuracy"])
    reducer = ReduceLROnPlateauCallback(learner, patience=0, factor=0.5, min_lr=1e-4)
    learner.fit(3, slice(1e-4, 1e-2), callbacks=[Scripted([0.5, 0.6, 0.7]), reducer])
    lrs = learner.require_optimizer().hyper_parameters()["lr"]
    assert lrs == pytest.approx([1e-4, 2.5e-4, 2.5e-3])  # two falls; none below the least


def test_f079_f080_the_end_of_a_fit_is_told_unless_the_learner_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(nn.Module):
        def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return output.sum() * math.nan

    for silent in (False, True):
        broken = a_learner(MemoryData(14, 5), loss_func=Broken(), silent=silent)
        broken.fit(2, callbacks=[TerminateOnNaNCallback()])
        stopped = a_learner(MemoryData(14, 5), silent=silent, metrics=["accuracy"])
        stopped.fit(9, callbacks=[Scripted([0.5, 0.6]), EarlyStoppingCallback(stopped)])
        text = capsys.readouterr().out
        assert ("Epoch/Batch (0/0): Invalid loss, terminating training." in text) is not silent
        assert ("Epoch 1: early stopping" in text) is not silent


def test_f065_f080_an_epoch_that_is_not_validated_counts_for_no_patience() -> None:
    class SkipsOne(Callback):
        def on_epoch_begin(self, state: TrainState) -> Changes:
            return {"skip_validate": state.epoch == 1}

    learner = a_learner(MemoryData(14, 5))
    stopper = EarlyStoppingCallback(learner, min_delta=99.0, patience=1)
    learner.fit(9, callbacks=[SkipsOne(), stopper])
    assert [row.valid_loss is None for row in learner.recorder.rows] == [False, True, False, False]


def test_f080_f083_patience_below_0_and_factors_that_do_not_lower_are_refused() -> None:
    with pytest.raises(LearnerError, match="patience: -1 is not possible"):
        EarlyStoppingCallback(a_learner(), patience=-1)
    for factor in (10.0, 1.0, 0.0, -0.5):
        with pytest.raises(LearnerError, match=r"is not between 0 and 1: rates are multiplied by it \(v2 divides\)"):
            ReduceLROnPlateauCallback(a_learner(), factor=factor)


def test_f083_rates_that_are_at_the_least_already_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    learner = a_learner(MemoryData(14, 5), metrics=["accuracy"])
    learner.fit(4, 1e-3, callbacks=[Scripted([0.5, 0.6, 0.7, 0.8]), ReduceLROnPlateauCallback(learner)])
    assert learner.recorder.lrs == [1e-3] * 8
    told = [record.getMessage() for record in caplog.records if "ReduceLROnPlateau" in record.getMessage()]
    assert told == [
        "ReduceLROnPlateauCallback: no rate is above min_lr=0.001, so none is lowered: give a smaller min_lr"
    ]


def test_f081_f055_a_fit_that_begins_later_goes_on_with_the_epoch_before(tmp_path: Path) -> None:
    def trained(epochs: int, start: int | None, learner: Learner) -> list[float]:
        saver = SaveModelCallback(learner, every="epoch", name="m")
        learner.fit_one_cycle(epochs, 1e-2, callbacks=[saver], start_epoch=start)
        return learner.recorder.losses

    first, again = (a_learner(MemoryData(14, 5, path=tmp_path)) for _ in range(2))
    trained(3, None, first)
    trained(3, 2, again)
    assert again.recorder.rows[-1].epoch == 2
    assert again.recorder.lrs == first.recorder.lrs[-2:]
    assert torch.equal(head_of(again), head_of(first))


def test_f081_a_fit_that_begins_later_without_a_save_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    learner = a_learner(MemoryData(14, 5, path=tmp_path))
    learner.fit_one_cycle(3, callbacks=[SaveModelCallback(learner, every="epoch", name="m")], start_epoch=2)
    assert "no m_1 to begin epoch 2 with" in caplog.text


def test_f081_f080_the_values_of_two_metrics_of_one_name_are_followed_apart(tmp_path: Path) -> None:
    top = [partial(top_k_accuracy, k=k) for k in (1, 2)]
    learner = a_learner(MemoryData(14, 5, path=tmp_path), metrics=top)
    follower = EarlyStoppingCallback(learner, "top_k_accuracy_2", patience=9)
    learner.fit(1, callbacks=[follower])
    assert learner.recorder.names[3:5] == ["top_k_accuracy", "top_k_accuracy_2"]
    assert learner.recorder.metrics[0] == learner.validate()[1:]
    assert learner.recorder.metrics[0][0] < learner.recorder.metrics[0][1] == follower.best


def test_f079_a_loss_that_is_no_number_ends_the_fit_without_validation() -> None:
    class Broken(nn.Module):
        calls = 0

        def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            loss = nn.functional.cross_entropy(output, target)
            return loss * math.nan if self.calls > 7 + 1 else loss  # one batch of validation before

    learner = a_learner(MemoryData(35, 5), loss_func=Broken())
    learner.fit(3, callbacks=[TerminateOnNaNCallback()])
    assert len(learner.recorder.losses) == 8  # batches 0 to 7, five an epoch
    assert [row.valid_loss is None for row in learner.recorder.rows] == [False, True]


def test_f085_less_than_one_batch_is_refused() -> None:
    with pytest.raises(LearnerError, match="0 is not possible: train at least 1 batch"):
        StopAfterNBatches(0)


def test_f079_infinity_ends_it_too() -> None:
    class Infinite(nn.Module):
        def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return output.sum() * math.inf

    learner = a_learner(loss_func=Infinite())
    learner.fit(2, callbacks=[TerminateOnNaNCallback()])
    assert len(learner.recorder.losses) == 1


def test_f085_exactly_so_many_batches_are_trained_and_nothing_validated() -> None:
    learner = a_learner(MemoryData(35, 5))
    learner.fit(3, callbacks=[StopAfterNBatches(n_batches=2)])
    assert len(learner.recorder.losses) == 2
    assert [(row.epoch, row.valid_loss) for row in learner.recorder.rows] == [(0, None)]


def test_f095_the_last_finished_epoch_is_on_disk_until_the_fit_is_done(tmp_path: Path) -> None:
    class Stops(Callback):
        order = 1000

        def on_epoch_end(self, state: TrainState) -> Changes:
            if state.epoch == 1:
                raise KeyboardInterrupt
            return None

    learner = a_learner(MemoryData(14, 5, path=tmp_path))
    tracker = TrackEpochCallback(learner)
    assert tracker.start_epoch() is None
    with pytest.raises(KeyboardInterrupt):
        learner.fit_one_cycle(4, callbacks=[tracker, Stops()])
    assert tracker.start_epoch() == 2
    learner.fit_one_cycle(4, callbacks=[tracker], tot_epochs=4, start_epoch=tracker.start_epoch())
    assert tracker.start_epoch() is None
    assert [row.epoch for row in learner.recorder.rows] == [2, 3]


class FailsAt(Callback):
    order = 1000

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, state: TrainState) -> Changes:
        if state.epoch == self.epoch:
            raise RuntimeError("the machine is gone")
        return None


def test_f095_f081_the_same_call_after_a_failure_ends_with_the_bits_of_a_fit_without(tmp_path: Path) -> None:
    def fit(name: str, *more: Callback) -> Learner:
        learner = a_learner(MemoryData(14, 5, path=tmp_path / name))
        saver, tracker = SaveModelCallback(learner, every="epoch"), TrackEpochCallback(learner)
        learner.fit_one_cycle(4, 1e-2, callbacks=[saver, tracker, *more])
        return learner

    with pytest.raises(RuntimeError, match="the machine is gone"):
        fit("failed", FailsAt(1))
    again, whole = fit("failed"), fit("whole")
    assert [row.epoch for row in again.recorder.rows] == [2, 3]
    assert torch.equal(head_of(again), head_of(whole))


def test_f095_restart_forgets_the_epoch(tmp_path: Path) -> None:
    learner = a_learner(MemoryData(14, 5, path=tmp_path))
    tracker = TrackEpochCallback(learner)
    with pytest.raises(RuntimeError, match="the machine is gone"):
        learner.fit(3, callbacks=[tracker, FailsAt(1)])
    tracker.restart()
    learner.fit(3, callbacks=[tracker])
    assert [row.epoch for row in learner.recorder.rows] == [0, 1, 2]


def _stopped_together(rank: int, folder: Path) -> list[float]:
    learner = a_learner(MemoryData(28, 9, path=folder.parent), metrics=["accuracy"])
    callbacks = [
        Scripted([0.9, 0.5, 0.7, 0.6, 0.8, 0.9]),
        EarlyStoppingCallback(learner, patience=2),
        SaveModelCallback(learner, name="best"),
        ReduceLROnPlateauCallback(learner, min_lr=1e-6),
    ]
    learner.fit(6, 1e-2, callbacks=callbacks)
    return [learner.recorder.rows[-1].epoch, float(head_of(learner).sum()), learner.require_optimizer().lr]


def test_f080_f081_f083_two_ranks_stop_load_and_slow_down_together(tmp_path: Path) -> None:
    first, second = run_ranks([_stopped_together], tmp_path / "ranks")["_stopped_together"]
    assert first == second
    assert first[0] == 4
