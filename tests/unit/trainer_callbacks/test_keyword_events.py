"""Callbacks written for fastai v1: keywords, `_order`, attributes of the learner, and the ways to hand them over."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from support.memory_data import MemoryData, a_learner
from support.ranks import run_ranks
from torch import Tensor

from learnfleet.trainer.callback import EVENTS, Callback, LearnerCallback
from learnfleet.trainer.csv_logger import CSVLogger
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.keyword_events import add_metrics
from learnfleet.trainer.state import TrainState
from learnfleet.trainer.track_epoch import TrackEpochCallback
from learnfleet.trainer.trackers import StopAfterNBatches

V1_KEYS = {
    "on_train_begin": {"epoch", "iteration", "num_batch", "skip_validate", "n_epochs", "pbar", "metrics"},
    "on_epoch_begin": {"num_batch", "stop_training"},
    "on_batch_begin": {"last_input", "last_target", "train", "stop_epoch", "skip_step", "skip_zero", "skip_bwd"},
    "on_loss_begin": {"last_output"},
    "on_backward_begin": {"last_loss", "smooth_loss"},
    "on_batch_end": {"last_loss"},
    "on_epoch_end": {"last_metrics"},
    "on_train_end": {"exception"},
}


def test_f062_a_method_with_keywords_gets_those_of_fastai_at_every_event() -> None:
    heard: dict[str, dict[str, Any]] = {}

    def listening(event: str) -> Callable[..., None]:
        def hear(self: Callback, **kwargs: Any) -> None:
            heard.setdefault(event, kwargs)

        return hear

    listener = type("Listener", (Callback,), {event: listening(event) for event in EVENTS})()
    learner = a_learner(MemoryData(14, 5))
    learner.fit(1, callbacks=[listener])
    assert set(heard) == set(EVENTS)
    known: set[str] = set()
    for event in EVENTS:
        known |= V1_KEYS.get(event, set())
        assert known <= set(heard[event]), event
    assert heard["on_train_begin"]["metrics_names"] == []
    assert heard["on_train_end"]["exception"] is False
    assert heard["on_backward_begin"]["last_loss"].requires_grad
    assert not heard["on_batch_end"]["last_loss"].requires_grad
    assert heard["on_epoch_end"]["last_metrics"] == [learner.recorder.rows[0].valid_loss]


def test_f062_f063_keywords_are_of_the_present_batch_and_changes_are_taken() -> None:
    class Doubling(Callback):
        def __init__(self) -> None:
            self.seen: list[tuple[int, bool, float]] = []

        def on_batch_begin(self, last_input: Tensor, train: bool, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
            return {"last_input": last_input * 0, "last_target": kwargs["last_target"] * 0}

        def on_backward_begin(self, last_loss: Tensor, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
            return {"last_loss": last_loss * 2}

        def on_batch_end(self, iteration: int, train: bool, last_loss: Tensor, **kwargs: Any) -> None:  # type: ignore[override]
            self.seen.append((iteration, train, float(last_loss)))
            assert not kwargs["last_input"].any()

    doubling = Doubling()
    learner = a_learner(MemoryData(14, 5))
    learner.fit(1, callbacks=[doubling])
    assert [item[:2] for item in doubling.seen] == [(0, True), (1, True), (2, False)]
    assert doubling.seen[-1][2] == pytest.approx(learner.recorder.val_losses[0])


def test_f062_a_method_with_a_state_gets_the_state_whatever_else_it_takes() -> None:
    class Mine(Callback):
        def on_train_begin(self, state: TrainState, **more: Any) -> None:
            self.state = state

    mine = Mine()
    a_learner().fit(1, callbacks=[mine, StopAfterNBatches(1)])
    assert isinstance(mine.state, TrainState)


def test_f064_fastais_order_is_an_order() -> None:
    called: list[str] = []

    class Late(Callback):
        _order = 7

        def on_train_begin(self, **kwargs: Any) -> None:  # type: ignore[override]
            called.append("late")

    class Early(Callback):
        order = 6

        def on_train_begin(self, state: TrainState) -> None:
            called.append("early")

    a_learner().fit(1, callbacks=[Late(), Early(), StopAfterNBatches(1)])
    assert called == ["early", "late"]


def test_f062_what_a_learner_callback_does_not_have_is_the_learners() -> None:
    class Mine(LearnerCallback):
        def on_epoch_end(self, epoch: int, **kwargs: Any) -> None:  # type: ignore[override]
            self.found = (self.data.c, self.recorder.names[0], self.model)  # type: ignore[attr-defined]

    learner = a_learner(callback_fns=Mine)
    learner.fit(1)
    assert learner.mine.found == (3, "epoch", learner.model)  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        learner.mine.nothing_of_the_kind  # type: ignore[attr-defined]  # noqa: B018


def test_f067_a_metric_written_for_fastai_is_one() -> None:
    class Share(Callback):
        def on_epoch_begin(self, **kwargs: Any) -> None:  # type: ignore[override]
            self.right, self.count = 0, 0

        def on_batch_end(self, last_output: Tensor, last_target: Tensor, **kwargs: Any) -> None:  # type: ignore[override]
            self.right += int((last_output.argmax(1) == last_target).sum())
            self.count += len(last_target)

        def on_epoch_end(self, last_metrics: list[Any], **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
            return add_metrics(last_metrics, torch.tensor(self.right / self.count))

    learner = a_learner(metrics=["accuracy", Share()])
    learner.fit(1)
    assert learner.recorder.metric_names == ["accuracy", "share"]
    (row,) = learner.recorder.metrics
    assert row[0] == pytest.approx(row[1])


def test_f067_f087_a_callback_of_fastai_fills_columns_of_its_own() -> None:
    class Counts(LearnerCallback):
        _order = -20

        def on_train_begin(self, **kwargs: Any) -> None:  # type: ignore[override]
            self.learn.recorder.add_metric_names(["items", "half"])

        def on_epoch_begin(self, **kwargs: Any) -> None:  # type: ignore[override]
            self.count = 0

        def on_batch_end(self, last_target: Tensor, train: bool, **kwargs: Any) -> None:  # type: ignore[override]
            self.count += 0 if train else len(last_target)

        def on_epoch_end(self, last_metrics: list[Any], **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
            return add_metrics(last_metrics, [self.count, torch.tensor(0.5)])

    learner = a_learner(MemoryData(14, 13), metrics=["accuracy"], callback_fns=[Counts, Counts])
    learner.fit(2)
    assert learner.recorder.metric_names == ["accuracy", "items", "half", "items_2", "half_2"]
    assert [row[1:] for row in learner.recorder.metrics] == [[13, 0.5, 13, 0.5]] * 2


def _resumed_together(rank: int, folder: Path) -> list[int]:
    learner = a_learner(MemoryData(14, 5, path=folder.parent / f"rank{rank}"))
    tracker = TrackEpochCallback(learner)
    if rank == 0:  # the other's machine does not see the file
        tracker.path.parent.mkdir(parents=True)
        tracker.path.write_text("0")
    learner.fit(3, callbacks=[tracker])
    return [row.epoch for row in learner.recorder.rows]


def test_f095_ranks_begin_with_the_same_epoch_if_only_one_sees_the_file(tmp_path: Path) -> None:
    assert run_ranks([_resumed_together], tmp_path / "ranks")["_resumed_together"] == [[1, 2], [1, 2]]


def test_f038_callbacks_are_handed_over_as_instances_and_as_functions_of_the_learner() -> None:
    learner = a_learner(callback_fns=partial(CSVLogger, filename="x"))
    assert len(learner.callback_fns) == 1
    for options, told in (
        ({"callback_fns": [StopAfterNBatches()]}, "StopAfterNBatches is made already: give it as `callbacks`"),
        ({"callback_fns": StopAfterNBatches()}, "StopAfterNBatches is made already"),
        ({"callback_fns": [3]}, "3 cannot be called with the learner"),
        ({"callbacks": [CSVLogger]}, r"\(call it, or give it to Learner as `callback_fns`\)"),
        ({"callbacks": partial(CSVLogger)}, "call it, or give it to Learner"),
    ):
        with pytest.raises(LearnerError, match=told):
            a_learner(**options)  # type: ignore[arg-type]
    with pytest.raises(LearnerError, match="which is no Callback"):
        a_learner(callback_fns=[lambda learn: 3]).fit(1)


def test_f064_a_callback_given_twice_takes_part_once() -> None:
    class Counting(Callback):
        count = 0

        def on_epoch_end(self, state: TrainState) -> None:
            self.count += 1

    counting = Counting()
    a_learner(callbacks=[counting]).fit(2, callbacks=[counting])
    assert counting.count == 2
