"""Steps over several batches, and BatchNorm layers frozen by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.memory_data import MemoryData, MemoryLoader, a_learner, tiny_model
from torch import Tensor, nn

from learnfleet.trainer.batch import Batch
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.gradients import AccumulateScheduler, BnFreeze, GradientAccumulation
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import CrossEntropyFlat
from learnfleet.trainer.run import RunContext, run_train
from learnfleet.trainer.spec import Component, FitStage, LearningRate
from learnfleet.trainer.state import TrainState


class Steps(Callback):
    """Notes the batch of every optimiser step, and the gradients it takes."""

    order = 1001

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gradients: list[Tensor] = []

    def on_backward_end(self, state: TrainState) -> None:
        if not state.accumulating:
            self.batches.append(state.iteration)
            grads = [p.grad.flatten() for p in state.learner.model.parameters() if p.grad is not None]
            self.gradients.append(torch.cat(grads) if grads else torch.empty(0))


def plain_model() -> nn.Sequential:
    """Without BatchNorm and dropout, so that a batch is the sum of its parts."""
    return tiny_model(dropout=0, bn=False)


def a_plain_learner(data: MemoryData, loss_func: nn.Module | None = None) -> Learner:
    return a_learner(data, plain_model(), opt_func="sgd", loss_func=loss_func)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("bs", "n_step"), [(6, 4), (4, 6), (5, 3)])  # 24, 24 and 15 items a step, of 24
def test_f091_n_batches_make_the_step_of_one_large_batch(bs: int, n_step: int, reduction: str) -> None:
    small, large = Steps(), Steps()
    data = MemoryData(n_train=24, bs=bs)
    learner = a_plain_learner(data, CrossEntropyFlat(reduction=reduction))
    learner.fit(1, callbacks=[AccumulateScheduler(learner, n_step), small])
    whole = MemoryData(n_train=24, bs=min(bs * n_step, 24))
    a_plain_learner(whole).fit(1, callbacks=[large])
    assert torch.allclose(small.gradients[0], large.gradients[0], atol=1e-6)


def test_f091_batches_of_different_size_count_by_their_items() -> None:
    class Uneven(MemoryLoader):
        def epoch(self, epoch: int, start_batch: int = 0):  # type: ignore[no-untyped-def]
            for rows in [slice(0, 7), slice(7, 10)][start_batch:]:
                yield Batch(self.x[rows], self.y[rows], torch.arange(len(self.y))[rows])

        def __len__(self) -> int:
            return 2

    uneven, whole, steps, large = MemoryData(n_train=10, bs=7), MemoryData(n_train=10, bs=10), Steps(), Steps()
    uneven.train_dl = Uneven(uneven.train_dl.x, uneven.train_dl.y, 7, train=True)
    learner = a_plain_learner(uneven)
    learner.fit(1, callbacks=[AccumulateScheduler(learner, 2), steps])
    a_plain_learner(whole).fit(1, callbacks=[large])
    assert torch.allclose(steps.gradients[0], large.gradients[0], atol=1e-6)


@pytest.mark.parametrize(
    ("n_step", "drop_last", "expected"),
    [
        (2, False, [1, 3, 4, 6, 8, 9]),
        (2, True, [1, 3, 6, 8]),
        (5, False, [4, 9]),
        (5, True, [4, 9]),
        (9, False, [4, 9]),
        (1, False, list(range(10))),
    ],
)
def test_f091_what_is_left_of_an_epoch_makes_a_step_unless_it_is_dropped(
    n_step: int, drop_last: bool, expected: list[int]
) -> None:
    steps, learner = Steps(), a_learner(MemoryData(n_train=30, bs=6))
    learner.fit(2, callbacks=[AccumulateScheduler(learner, n_step, drop_last), steps])
    assert steps.batches == expected
    assert all(bool(torch.isfinite(gradient).all()) for gradient in steps.gradients)
    assert learner.global_step == 10


def test_f091_what_was_dropped_is_not_in_the_next_epochs_first_step() -> None:
    steps, plain = Steps(), Steps()
    learner = a_plain_learner(MemoryData(n_train=21, bs=7))
    learner.fit(2, lr=0.0, callbacks=[AccumulateScheduler(learner, 2, drop_last=True), steps])
    other = a_plain_learner(MemoryData(n_train=21, bs=7))
    other.lifetime_epoch = 1
    other.fit(1, lr=0.0, callbacks=[AccumulateScheduler(other, 2), plain])
    assert torch.equal(steps.gradients[1], plain.gradients[0])


def test_f091_weights_move_at_steps_only_and_gradients_are_whole_for_other_callbacks() -> None:
    moved: list[bool] = []

    class Watch(Callback):
        before = torch.empty(0)

        def on_batch_begin(self, state: TrainState) -> None:
            self.before = weights(state.learner).clone()

        def on_step_end(self, state: TrainState) -> None:
            moved.append(not torch.equal(self.before, weights(state.learner)))

    learner = a_learner(MemoryData(n_train=28, bs=7))
    learner.fit(1, callbacks=[AccumulateScheduler(learner, 2), Watch()])
    assert moved == [False, True, False, True]


def weights(learner: Learner) -> Tensor:
    return torch.cat([value.detach().flatten() for value in learner.model.parameters()])


def test_f091_gradient_accumulation_counts_items() -> None:
    learner = a_learner(MemoryData(n_train=28, bs=7))
    assert GradientAccumulation(learner).n_step == 5
    assert GradientAccumulation(learner, n_acc=14).n_step == 2
    with pytest.raises(LearnerError, match="at least 1 batch"):
        AccumulateScheduler(learner, 0)
    with pytest.raises(LearnerError, match=r"2\.5 is not possible: a step needs a whole number"):
        AccumulateScheduler(learner, 2.5)  # type: ignore[arg-type]


def test_f091_f090_clipping_bounds_the_gradients_of_the_whole_step() -> None:
    steps, learner = Steps(), a_learner(MemoryData(n_train=28, bs=7)).clip_grad(0.01)
    learner.fit(1, callbacks=[AccumulateScheduler(learner, 2), steps])
    assert [float(gradient.norm()) for gradient in steps.gradients] == pytest.approx([0.01, 0.01], rel=1e-4)


def test_f091_f076_accumulation_in_float16_keeps_one_scale_a_step() -> None:
    half, plain = Steps(), Steps()
    for steps, is_half in ((half, True), (plain, False)):
        learner = a_plain_learner(MemoryData(n_train=28, bs=7))
        learner = learner.to_fp16(loss_scale=1024.0, max_noskip=1) if is_half else learner
        learner.fit(1, lr=1e-6, callbacks=[AccumulateScheduler(learner, 2), steps])
    for one, other in zip(half.gradients, plain.gradients, strict=True):
        assert torch.allclose(one, other, atol=2e-3)


def run(root: Path, attempt: int, stop_at: int | None, resume_from: Path | None = None) -> tuple[Learner, Path, int]:
    learner = a_learner(MemoryData(n_train=35, bs=7))
    context = RunContext(
        "job",
        attempt,
        lambda *event: None,
        lambda: stop_at is not None and learner.global_step >= stop_at,
        root,
        checkpoint_every_s=None,
        checkpoint_every_steps=1,
    )
    stage = FitStage(2, LearningRate(value=1e-2), callbacks=(Component("accumulate", {"n_step": 3}),))
    outcome = run_train(learner, [stage], context, resume_from)
    return learner, outcome.checkpoint.path, outcome.checkpoint.step


@pytest.mark.parametrize(("asked_at", "stops_at"), [(0, 3), (3, 5), (6, 8)])
def test_f091_a_stop_waits_for_the_step_and_a_resumed_run_ends_with_the_same_bits(
    tmp_path: Path, asked_at: int, stops_at: int
) -> None:
    whole, _, _ = run(tmp_path / "whole", 1, None)
    _, checkpoint, step = run(tmp_path / "parts", 1, asked_at)
    assert step == stops_at
    resumed, _, _ = run(tmp_path / "parts", 2, None, checkpoint)
    assert torch.equal(weights(whole), weights(resumed))
    saved = sorted(int(path.name.split("-")[1]) for path in (tmp_path / "whole").glob("job-*"))
    assert set(saved) <= {3, 5, 8, 10}


def test_f089_layers_frozen_by_hand_keep_their_statistics_and_the_others_learn_theirs() -> None:
    model = tiny_model()
    model[0][1].requires_grad_(False)  # type: ignore[index]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learner = a_learner(model=model)
    learner.fit(2, callbacks=[BnFreeze(learner)])
    after = model.state_dict()
    assert torch.equal(before["0.1.running_mean"], after["0.1.running_mean"])
    assert not torch.equal(before["1.1.running_mean"], after["1.1.running_mean"])
    learner.fit(1)
    assert not torch.equal(before["0.1.running_mean"], model.state_dict()["0.1.running_mean"])


def test_f089_layers_without_weights_are_left_alone() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.Flatten(), nn.Linear(192, 3))
    learner = a_learner(model=model, layer_groups=None)
    learner.fit(1, callbacks=[BnFreeze(learner)])
    assert int(model[0].num_batches_tracked) == 4  # type: ignore[arg-type]
