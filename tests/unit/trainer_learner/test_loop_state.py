"""What callbacks find at each event, in which order they are called, and how a fit ends."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import pytest
import torch
from support.listening import Listener, at, events_of, throw
from support.memory_data import a_learner, tiny_model

from learnfleet.trainer.callback import Callback, Changes
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.state import TrainState


def test_f062_every_event_finds_its_state() -> None:
    seen: dict[str, tuple[object, ...]] = {}

    class Watch(Callback):
        order = 100

    def note(event: str, *names: str) -> None:
        def handle(self: Callback, state: TrainState) -> None:
            values = tuple(getattr(state, name) for name in names)
            seen.setdefault(event if state.train or "batch" not in event else f"valid {event}", values)

        setattr(Watch, event, handle)

    note("on_train_begin", "epoch", "iteration", "num_batch", "n_epochs", "skip_validate", "stop_training")
    note("on_epoch_begin", "epoch", "num_batch", "stop_training", "stop_epoch")
    note("on_batch_begin", "train", "skip_bwd", "skip_step", "skip_zero", "last_output", "loss")
    note("on_loss_begin", "last_output", "loss")
    note("on_backward_begin", "loss", "overflow")
    note("on_batch_end", "iteration", "last_loss", "smooth_loss")
    note("on_epoch_end", "epoch", "last_metrics", "num_batch", "iteration")
    note("on_train_end", "exception", "epoch")
    learner = a_learner(metrics="accuracy")
    learner.fit(1, callbacks=[Watch()])
    assert seen["on_train_begin"] == (0, 0, 0, 1, False, False)
    assert seen["on_epoch_begin"] == (0, 0, False, False)
    assert seen["on_batch_begin"] == (True, False, False, False, None, None)
    assert isinstance(seen["on_loss_begin"][0], torch.Tensor)
    assert seen["on_loss_begin"][1] is None
    assert isinstance(seen["on_backward_begin"][0], torch.Tensor)
    iteration, last_loss, smooth_loss = seen["on_batch_end"]
    assert (iteration, last_loss) == (0, pytest.approx(smooth_loss))
    assert seen["valid on_batch_end"][0] == 4  # frozen while validating
    assert seen["on_epoch_end"] == (0, [*learner.recorder.val_losses, *learner.recorder.metrics[0]], 4, 4)
    assert seen["on_train_end"] == (None, 1)


def test_f062_the_smoothed_loss_begins_anew_with_each_fit_and_sees_no_change_of_the_loss() -> None:
    learner = a_learner()
    learner.fit(1)
    learner.fit(1, callbacks=[at("on_backward_begin", 4, lambda state: setattr(state, "loss", state.loss * 100))])
    assert learner.recorder.losses[0] < 3


def test_f052_a_keyboard_interrupt_ends_the_fit_and_is_not_its_fault() -> None:
    listener = Listener()
    learner = a_learner()
    with pytest.raises(KeyboardInterrupt):
        learner.fit(1, callbacks=[at("on_batch_begin", 1, throw(KeyboardInterrupt())), listener])
    assert (listener.log[-1], listener.exception) == ("on_train_end", None)
    assert all(value.grad is None for value in learner.model.parameters())


def test_f052_every_callback_hears_of_the_end_even_if_another_fails_there(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Callback):
        order = -5

        def on_train_end(self, state: TrainState) -> None:
            raise RuntimeError("broken at the end")

    listener = Listener()
    with pytest.raises(RuntimeError, match="broken at the end"):
        a_learner().fit(1, callbacks=[Broken(), listener])
    assert listener.log[-1] == "on_train_end"
    with pytest.raises(ValueError, match="before"):
        a_learner().fit(1, callbacks=[Broken(), at("on_batch_begin", 0, throw(ValueError("before")))])
    assert "broken at the end" in caplog.text


def test_f052_the_model_trains_before_the_epoch_begins_and_evaluates_in_validation() -> None:
    modes: list[tuple[str, bool]] = []

    class Watch(Callback):
        def on_epoch_begin(self, state: TrainState) -> None:
            modes.append(("epoch", state.learner.model.training))

        def on_batch_begin(self, state: TrainState) -> None:
            modes.append(("train" if state.train else "valid", state.learner.model.training))

    a_learner().fit(2, callbacks=[Watch()])
    assert set(modes) == {("epoch", True), ("train", True), ("valid", False)}


def test_f064_metrics_are_there_before_any_callback_sees_the_end_of_the_epoch() -> None:
    class First(Callback):
        order = -100
        seen: ClassVar[list[int]] = []

        def on_epoch_end(self, state: TrainState) -> None:
            self.seen.append(len(state.last_metrics))

    a_learner(metrics=["accuracy", "error_rate"]).fit(1, callbacks=[First()])
    assert First.seen == [3]


def test_f065_a_stop_in_validation_leaves_only_its_batches() -> None:
    class Stop(Callback):
        def on_batch_end(self, state: TrainState) -> Changes:
            return None if state.train else {"stop_epoch": True}

    events = events_of(Stop())
    assert (events["on_backward_end"], events["valid on_batch_end"], events["on_epoch_end"]) == (8, 2, 2)


def test_f065_the_flags_are_returned_as_fastais_dicts_too() -> None:
    class Skip(Callback):
        def on_backward_begin(self, state: TrainState) -> Changes:
            return {"skip_bwd": True}

        def on_epoch_end(self, state: TrainState) -> Changes:
            return {"stop_training": True}

    learner = a_learner(model=tiny_model(bn=False))
    before = [value.clone() for value in learner.model.parameters()]
    learner.fit(3, callbacks=[Skip()])
    assert all(torch.equal(a, b) for a, b in zip(before, learner.model.parameters(), strict=True))
    assert learner.lifetime_epoch == 1


def test_f095_a_fit_begins_with_the_epoch_that_a_callback_says_and_tells_the_others() -> None:
    jumps: list[int] = []

    class Later(Callback):
        order = -20

        def on_train_begin(self, state: TrainState) -> Changes:
            return {"epoch": 2}

        def jump_to_epoch(self, epoch: int) -> None:
            jumps.append(epoch)

    learner = a_learner()
    learner.fit_one_cycle(4, 1e-2, callbacks=[Later()])
    whole = a_learner()
    whole.fit_one_cycle(4, 1e-2)
    assert [row.epoch for row in learner.recorder.rows] == [2, 3]
    assert learner.recorder.lrs == pytest.approx(whole.recorder.lrs[8:])
    assert jumps == [2]


def test_f095_nothing_is_trained_when_all_epochs_are_done_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    learner = a_learner()
    learner.fit_one_cycle(2, start_epoch=2)
    assert (learner.global_step, learner.recorder.rows) == (0, [])
    assert "nothing is left to train: the fit begins with epoch 2 of 2" in caplog.text


@pytest.mark.parametrize("epochs", [1.5, "2", None])
def test_f052_epochs_that_are_no_whole_number_are_refused(epochs: object) -> None:
    with pytest.raises(LearnerError, match="is no whole number"):
        a_learner().fit(epochs)  # type: ignore[arg-type]


def test_f052_a_loss_of_an_item_each_is_told_to_be_reduced() -> None:
    learner = a_learner(loss_func=torch.nn.CrossEntropyLoss(reduction="none"))
    with pytest.raises(LearnerError, match=r"it gives \[7\] numbers a batch, not one: use reduction='mean'"):
        learner.fit(1)


def test_f062_callbacks_are_given_as_none_one_or_several_and_a_class_is_told_to_be_called() -> None:
    own, made, given = Listener(), Listener(), Listener()
    learner = a_learner(callbacks=own, callback_fns=lambda learn: made)
    learner.fit(1, callbacks=given)
    learner.fit_one_cycle(1, callbacks=None)
    assert [Counter(listener.log)["on_train_begin"] for listener in (own, made, given)] == [2, 2, 1]
    with pytest.raises(LearnerError, match=r"is no Callback \(call it, or give it to Learner"):
        learner.fit(1, callbacks=[Listener])


def test_a_learner_takes_callbacks_for_all_its_fits() -> None:
    listener = Listener()
    learner = a_learner()
    assert learner.add_callbacks(listener) is learner
    learner.fit(1)
    learner.fit(1)
    assert Counter(listener.log)["on_train_begin"] == 2
    learner.remove_callbacks(Listener).fit(1)
    assert Counter(listener.log)["on_train_begin"] == 2
