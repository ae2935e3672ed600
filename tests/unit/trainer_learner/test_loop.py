"""The loop: which events come when, what steers it, and what it leaves behind."""

from __future__ import annotations

from itertools import groupby
from typing import ClassVar

import pytest
import torch
from support.listening import Listener, at, events_of, put, throw
from support.memory_data import MemoryData, a_learner, tiny_model

from learnfleet.trainer.callback import Callback, Changes, LearnerCallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.state import CancelEpoch, CancelStep, CancelTraining, SmoothedLoss, TrainState

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

    learner.fit(1, wd=0.5, callbacks=[Skip()])  # nor do they decay
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
