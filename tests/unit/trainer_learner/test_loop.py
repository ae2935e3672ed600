"""The loop: which events come when, what steers it, and what it leaves behind."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import ClassVar

import pytest
import torch
from support.memory_data import MemoryData, a_learner, tiny_model

from learnfleet.trainer.callback import EVENTS, Callback, Changes, LearnerCallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.state import CancelEpoch, CancelStep, CancelTraining, SmoothedLoss, TrainState


class Listener(Callback):
    """Writes down every event; does what it is told at one of them."""

    def __init__(self, log: list[str] | None = None, name: str = "") -> None:
        self.log = [] if log is None else log
        self.name = name
        self.exception: BaseException | None = None

    def hear(self, event: str, state: TrainState) -> None:
        phase = "" if state.train or "train" in event or "epoch" in event else "valid "
        self.log.append(self.name or phase + event)
        self.exception = state.exception


for _event in EVENTS:
    setattr(Listener, _event, lambda self, state, event=_event: self.hear(event, state))


class At(Callback):
    """Does something to the state, once, at an event of one step."""

    def __init__(self, step: int, action: object) -> None:
        self._step, self._action, self._done = step, action, False

    def _act(self, state: TrainState) -> None:
        if state.train and state.global_step == self._step and not self._done:
            self._done = True
            assert callable(self._action)
            self._action(state)


def at(event: str, step: int, action: object) -> Callback:
    """A callback of a class of its own, so that only this event is overridden."""
    cls = type("AtEvent", (At,), {event: lambda self, state: self._act(state)})
    return cls(step, action)


def throw(error: BaseException) -> object:
    def act(state: TrainState) -> None:
        raise error

    return act


def put(**fields: bool) -> object:
    def act(state: TrainState) -> None:
        for name, value in fields.items():
            setattr(state, name, value)

    return act


STEP = ["on_batch_begin", "on_loss_begin", "on_backward_begin", "on_backward_end", "on_step_end", "on_batch_end"]
VALID = ["valid on_batch_begin", "valid on_loss_begin", "valid on_batch_end"]


def test_f052_f062_the_ten_events_come_in_fastais_order() -> None:
    listener = Listener()
    a_learner(MemoryData(n_train=15, n_valid=6, bs=7, val_bs=5)).fit(2, callbacks=[listener])
    epoch = ["on_epoch_begin", *STEP * 2, *VALID * 2, "on_epoch_end"]
    assert listener.log == ["on_train_begin", *epoch * 2, "on_train_end"]


def test_f064_callbacks_are_called_by_their_order_and_ties_as_given() -> None:
    log: list[str] = []
    early, late = type("Early", (Listener,), {"order": -5}), type("Late", (Listener,), {"order": 5})
    given = [late(log, "late"), Listener(log, "b"), early(log, "early"), Listener(log, "a")]
    a_learner().fit(1, callbacks=given)
    assert log[:4] == ["early", "b", "a", "late"]


def test_f052_train_end_comes_after_an_error_and_knows_it() -> None:
    listener, error = Listener(), RuntimeError("broken")
    data = MemoryData()
    with pytest.raises(RuntimeError, match="broken"):
        a_learner(data).fit(1, callbacks=[at("on_loss_begin", 1, throw(error)), listener])
    assert listener.log[-1] == "on_train_end"
    assert listener.exception is error
    assert data.train_dl.closed == 1


def events_of(*callbacks: Callback, epochs: int = 2) -> Counter[str]:
    listener = Listener()
    a_learner().fit(epochs, callbacks=[*callbacks, listener])
    return Counter(listener.log)


def test_f065_cancel_step_skips_the_update_and_goes_on() -> None:
    learner = a_learner()
    before = {}

    def remember(state: TrainState) -> None:
        before.update({name: value.clone() for name, value in learner.model.named_parameters()})

    def unchanged(state: TrainState) -> None:
        assert all(torch.equal(before[name], value) for name, value in learner.model.named_parameters())

    learner.fit(
        1,
        callbacks=[
            at("on_batch_begin", 2, remember),
            at("on_backward_end", 2, throw(CancelStep())),
            at("on_batch_end", 2, unchanged),
        ],
    )
    assert learner.global_step == 4


def test_f065_cancel_epoch_goes_on_to_validation() -> None:
    events = events_of(at("on_batch_begin", 1, throw(CancelEpoch())))
    assert (events["on_epoch_end"], events["on_backward_end"]) == (2, 1 + 4)


def test_f065_cancel_training_leaves_at_once_without_validation() -> None:
    events = events_of(at("on_batch_begin", 1, throw(CancelTraining())))
    assert (events["on_epoch_end"], events["valid on_batch_begin"], events["on_train_end"]) == (0, 0, 1)


def test_f065_stop_epoch_leaves_the_batches_and_validates_whole() -> None:
    events = events_of(at("on_batch_end", 0, put(stop_epoch=True)))
    assert (events["on_backward_end"], events["valid on_batch_end"], events["on_epoch_end"]) == (1 + 4, 3 * 2, 2)


def test_f065_stop_training_ends_after_the_epoch() -> None:
    events = events_of(at("on_batch_end", 0, put(stop_training=True)))
    assert (events["on_backward_end"], events["on_epoch_end"]) == (4, 1)


def test_f065_skip_validate_leaves_validation_out_for_the_rest_of_the_fit() -> None:
    events = events_of(at("on_batch_end", 0, put(skip_validate=True)))
    assert events["valid on_batch_end"] == 0


@pytest.mark.parametrize("field", ["skip_bwd", "skip_step"])
def test_f065_skipping_backward_or_step_leaves_the_weights(field: str) -> None:
    learner = a_learner(model=tiny_model(bn=False))
    before = {name: value.clone() for name, value in learner.model.named_parameters()}

    class Skip(Callback):
        def on_backward_begin(self, state: TrainState) -> None:
            state.skip_bwd = field == "skip_bwd"

        def on_backward_end(self, state: TrainState) -> None:
            state.skip_step = field == "skip_step"

    learner.fit(1, wd=0.0, callbacks=[Skip()])
    assert all(torch.equal(before[name], value) for name, value in learner.model.named_parameters())


def test_f065_skip_zero_lets_gradients_add_up() -> None:
    seen: list[float] = []

    class Accumulate(Callback):
        def on_backward_end(self, state: TrainState) -> None:
            state.skip_step = True
            seen.append(float(sum(p.grad.abs().sum() for p in state.model.parameters() if p.grad is not None)))

        def on_step_end(self, state: TrainState) -> None:
            state.skip_zero = True

    a_learner(model=tiny_model(dropout=0)).fit(1, callbacks=[Accumulate()])
    assert seen == sorted(seen)
    assert seen[-1] > 2 * seen[0]


def test_f062_input_target_output_and_loss_can_be_replaced() -> None:
    class Replace(Callback):
        def on_batch_begin(self, state: TrainState) -> None:
            state.last_target = torch.zeros_like(state.last_target)

        def on_loss_begin(self, state: TrainState) -> None:
            state.last_output = state.last_output * 0

        def on_backward_begin(self, state: TrainState) -> None:
            state.loss = state.loss * 2

    learner = a_learner(metrics="accuracy")
    learner.fit(1, callbacks=[Replace()])
    assert learner.recorder.val_losses == pytest.approx([1.0986123])  # ln 3: nothing is known
    assert learner.recorder.metrics == [[1.0]]  # equal outputs: the first class, which all targets are now
    assert learner.recorder.losses == pytest.approx([1.0986123] * 4)  # the loss before it was doubled


def test_a_stop_request_leaves_in_mid_epoch_and_keeps_the_position() -> None:
    listener = Listener()
    learner = a_learner()
    learner.fit(2, callbacks=[at("on_batch_begin", 1, put(stop_request=True)), listener])
    assert (learner.global_step, learner.lifetime_epoch) == (2, 0)
    assert [name for name, _ in groupby(listener.log)][-2:] == ["on_batch_end", "on_train_end"]


def test_the_smoothed_loss_is_free_of_the_bias_of_its_start() -> None:
    smoothed = SmoothedLoss()
    values = [smoothed.add(loss) for loss in (2.0, 1.0, 4.0, 0.5, 3.0)]
    expected = [2.0, 1.4949494949494933, 2.3468915793769543, 1.871083823338464, 2.1060808131264768]
    assert values == pytest.approx(expected, rel=1e-6)


def test_f049_validation_loss_counts_batches_by_their_size() -> None:
    learner = a_learner(MemoryData(n_valid=13, val_bs=5))
    whole = a_learner(MemoryData(n_valid=13, val_bs=13))
    assert learner.validate() == pytest.approx(whole.validate(), rel=1e-6)


def test_fewer_items_than_a_batch_is_an_error_that_names_both() -> None:
    with pytest.raises(LearnerError, match="batch size is 40"):
        a_learner(MemoryData(n_train=30, bs=40)).fit(1)


def test_zero_epochs_are_refused() -> None:
    with pytest.raises(LearnerError, match="epochs: 0"):
        a_learner().fit(0)


def test_equal_seeds_give_equal_weights_and_other_seeds_others() -> None:
    def weights(seed: int) -> torch.Tensor:
        learner = a_learner(seed=seed)
        learner.fit(1)
        return torch.cat([value.flatten() for value in learner.model.parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_f063_a_callback_may_return_its_changes_as_a_dict() -> None:
    class Doubles(Callback):
        def on_batch_begin(self, state: TrainState) -> Changes:
            return {"last_input": state.last_input * 2}

    class Sees(Callback):
        order = 1
        seen: ClassVar[list[bool]] = []

        def on_batch_begin(self, state: TrainState) -> Changes:
            assert state.last_batch is not None
            self.seen.append(torch.equal(state.last_input, state.last_batch.x * 2))
            return {"stop_epoch": True}

    a_learner().fit(1, callbacks=[Sees(), Doubles()])
    assert Sees.seen
    assert all(Sees.seen)


@pytest.mark.parametrize("returned", [{"last_inputs": 1}, True])
def test_f063_what_is_no_change_is_an_error_that_names_it(returned: object) -> None:
    class Wrong(Callback):
        def on_batch_begin(self, state: TrainState) -> Changes:
            return returned  # type: ignore[return-value]

    with pytest.raises(LearnerError, match=r"last_inputs isn't a valid key|returned True"):
        a_learner().fit(1, callbacks=[Wrong()])


def test_f062_a_learner_callback_is_found_on_its_learner_by_name() -> None:
    class CSVWriter2(LearnerCallback):
        pass

    learner = a_learner()
    callback = CSVWriter2(learner)
    assert learner.csv_writer2 is callback
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        _ = learner.nothing_of_this_name


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


def test_f095_nothing_is_trained_when_all_epochs_are_done() -> None:
    learner = a_learner()
    learner.fit_one_cycle(2, start_epoch=2)
    assert (learner.global_step, learner.recorder.rows) == (0, [])


def test_a_learner_takes_callbacks_for_all_its_fits() -> None:
    listener = Listener()
    learner = a_learner()
    assert learner.add_callbacks(listener) is learner
    learner.fit(1)
    learner.fit(1)
    assert Counter(listener.log)["on_train_begin"] == 2
    learner.remove_callbacks(Listener).fit(1)
    assert Counter(listener.log)["on_train_begin"] == 2
