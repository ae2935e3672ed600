"""MixUp, CutMix, and weights that are averaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from support.memory_data import MemoryData, a_learner, tiny_model
from support.ranks import run_ranks
from torch import Tensor, nn

from learnfleet.trainer.callback import Callback, Changes
from learnfleet.trainer.ema import EMACallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.loss_functions import CrossEntropyFlat, FocalLoss, LabelSmoothingCrossEntropy
from learnfleet.trainer.losses import activation_of
from learnfleet.trainer.mixup import CutMixCallback, MixUpCallback, MixUpLoss, cut_box
from learnfleet.trainer.state import TrainState
from learnfleet.trainer.trackers import SaveModelCallback


class Peek(Callback):
    """Keeps the inputs and targets of the batches as the model gets them."""

    order = 900

    def __init__(self) -> None:
        self.train: list[tuple[Tensor, object, Tensor]] = []
        self.valid: list[object] = []

    def on_batch_begin(self, state: TrainState) -> Changes:
        assert state.last_batch is not None
        if state.train:
            self.train.append((state.last_input, state.last_target, state.last_batch.x))
        else:
            self.valid.append(state.last_target)
        return None


def test_f071_pictures_and_losses_are_mixed_by_the_same_share() -> None:
    learner, peek = a_learner(), Peek()
    learner.fit(1, callbacks=[MixUpCallback(learner, alpha=0.4), peek])
    for x, target, plain in peek.train:
        assert isinstance(target, tuple)
        y, _other_y, lam = target
        assert (y.dtype, bool((lam >= 0.5).all()), bool((lam <= 1).all())) == (torch.int64, True, True)
        for row in range(len(plain)):
            partners = [plain[i] for i in range(len(plain))]
            mixed = [partner * (1 - lam[row]) + plain[row] * lam[row] for partner in partners]
            assert any(torch.allclose(x[row], candidate, atol=1e-6) for candidate in mixed)
    assert all(isinstance(target, Tensor) for target in peek.valid)


def test_f071_the_loss_is_the_mean_of_both_and_is_put_back() -> None:
    output = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    y, other = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2])
    lam = torch.tensor([0.5, 0.7, 1.0, 0.9])
    by_hand = lam * F.cross_entropy(output, y, reduction="none")
    by_hand = by_hand + (1 - lam) * F.cross_entropy(output, other, reduction="none")
    assert float(MixUpLoss(CrossEntropyFlat())(output, y, other, lam)) == pytest.approx(float(by_hand.mean()))
    learner = a_learner()
    before = learner.loss_func
    with pytest.raises(LearnerError):
        learner.fit(0, callbacks=[MixUpCallback(learner)])
    learner.fit(1, callbacks=[MixUpCallback(learner)])
    assert learner.loss_func is before


def test_f071_it_is_put_back_after_an_error_too() -> None:
    class Fails(Callback):
        def on_backward_end(self, state: TrainState) -> Changes:
            raise RuntimeError("on purpose")

    learner = a_learner()
    before = learner.loss_func
    with pytest.raises(RuntimeError, match="on purpose"):
        learner.fit(1, callbacks=[MixUpCallback(learner), Fails()])
    assert learner.loss_func is before


def test_f071_mixup_on_the_learner_serves_every_fit_and_other_losses() -> None:
    learner = a_learner(loss_func=LabelSmoothingCrossEntropy()).mixup(alpha=1.0)
    learner.fit(2)
    assert len(learner.recorder.rows) == 2
    preds, _ = learner.get_preds()
    assert torch.allclose(preds.sum(dim=1), torch.ones(len(preds)))
    wrapped = MixUpLoss(LabelSmoothingCrossEntropy())
    assert torch.equal(activation_of(wrapped)(preds), preds.softmax(dim=-1))


def test_f071_a_plain_function_is_a_loss_for_mixed_pictures() -> None:
    first, second = a_learner(loss_func=F.cross_entropy), a_learner()
    for learner in (first, second):
        learner.mixup().fit(1, 1e-2)
    assert first.recorder.losses == pytest.approx(second.recorder.losses)
    with pytest.raises(LearnerError, match="need a loss with a `reduction`"):
        a_learner(loss_func=lambda output, target: output.sum()).mixup().fit(1)


def test_f072_targets_themselves_can_be_mixed() -> None:
    class SoftLoss(nn.Module):
        reduction = "mean"

        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return F.cross_entropy(output, target)  # probabilities or indices

    learner, peek = a_learner(loss_func=SoftLoss()), Peek()
    learner.fit(1, callbacks=[MixUpCallback(learner, stack_y=False), peek])
    for _, target, plain in peek.train:
        assert isinstance(target, Tensor)
        assert target.shape == (len(plain), 3)
        assert torch.allclose(target.sum(dim=1), torch.ones(len(plain)))


def test_f072_mixed_classes_have_the_loss_of_their_probabilities_under_the_default_loss() -> None:
    logits, loss = torch.randn(4, 3, generator=torch.Generator().manual_seed(3)), CrossEntropyFlat()
    share = torch.tensor([0.7, 0.9, 0.5, 1.0])
    y, other = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 2, 2, 1])
    mixed = share[:, None] * F.one_hot(y, 3) + (1 - share[:, None]) * F.one_hot(other, 3)
    both = [F.cross_entropy(logits, of, reduction="none") for of in (y, other)]
    assert float(loss(logits, mixed)) == pytest.approx(float((share * both[0] + (1 - share) * both[1]).mean()))
    masks = torch.randn(2, 3, 4, 4).softmax(dim=1)
    of_masks = CrossEntropyFlat(axis=1)(torch.log(masks), masks)
    assert float(of_masks) == pytest.approx(float(-(masks * masks.log()).sum(dim=1).mean()), rel=1e-5)
    learner, peek = a_learner(), Peek()
    learner.fit(1, callbacks=[MixUpCallback(learner, stack_y=False), peek])
    assert all(isinstance(target, Tensor) and target.shape[1] == 3 for _, target, _ in peek.train)
    assert learner.recorder.rows[-1].valid_loss is not None


def test_f072_f093_mixed_classes_are_smoothed_too_and_focal_loss_refuses_them() -> None:
    logits, loss = torch.randn(4, 3, generator=torch.Generator().manual_seed(3)), LabelSmoothingCrossEntropy(0.2)
    share, y, other = 0.7, torch.tensor([0, 1, 2, 0]), torch.tensor([1, 2, 2, 1])
    mixed = share * F.one_hot(y, 3) + (1 - share) * F.one_hot(other, 3)
    expected = share * float(loss(logits, y)) + (1 - share) * float(loss(logits, other))
    assert float(loss(logits, mixed)) == pytest.approx(expected)
    learner = a_learner(loss_func=FocalLoss())
    with pytest.raises(LearnerError, match=r"loss_func: .*stack_y=True"):
        learner.fit(1, callbacks=[MixUpCallback(learner, stack_y=False)])


def test_f072_masks_of_classes_are_not_mixed_themselves() -> None:
    class ToMasks(Callback):
        order = -1

        def on_batch_begin(self, state: TrainState) -> Changes:
            return {"last_target": state.last_target.view(-1, 1, 1, 1).expand(-1, 1, 8, 8)}

    learner = a_learner()
    with pytest.raises(LearnerError, match=r"stack_y: False mixes .* not \[7, 1, 8, 8\]: leave it True"):
        learner.fit(1, callbacks=[ToMasks(), MixUpCallback(learner, stack_y=False)])


def test_f072_the_model_can_be_given_both_pictures_and_the_share() -> None:
    class Mixes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = tiny_model()
            self.calls: list[int] = []

        def forward(self, x: Tensor, other: Tensor | None = None, lam: Tensor | None = None) -> Tensor:
            self.calls.append(1 if other is None else 3)
            if other is None or lam is None:
                return self.inner(x)
            weight = lam.view(-1, 1, 1, 1)
            return self.inner(x * weight + other * (1 - weight))

    model = Mixes()
    learner = a_learner(model=model)
    learner.fit(1, callbacks=[MixUpCallback(learner, stack_x=True)])
    assert set(model.calls) == {1, 3}


def test_f094_a_box_of_another_picture_takes_its_share_of_the_loss() -> None:
    learner, peek = a_learner(), Peek()
    learner.fit(1, callbacks=[CutMixCallback(learner, alpha=1.0), peek])
    for x, target, plain in peek.train:
        assert isinstance(target, tuple)
        _y, _other_y, lam = target
        changed = (x != plain).any(dim=1)  # [N, H, W]
        for row in range(len(x)):
            if not torch.equal(x[row], plain[row]):
                assert float(changed[row].double().mean()) == pytest.approx(1 - float(lam[row]), abs=1e-6)


def test_f094_the_box_has_the_share_that_was_drawn_unless_it_is_cut_off() -> None:
    assert cut_box(10, 20, 0.75, [0.5, 0.5]) == (3, 8, 5, 15)  # sides half the picture's
    assert cut_box(10, 20, 0.75, [0.0, 0.0]) == (0, 3, 0, 5)


def test_f071_alpha_must_be_positive() -> None:
    with pytest.raises(LearnerError, match="Beta"):
        MixUpCallback(a_learner(), alpha=0.0)


def test_averaged_weights_validate_and_stay_when_the_fit_is_over() -> None:
    class Live(Callback):
        order = 20  # before the averages are taken

        def __init__(self) -> None:
            self.weights: list[dict[str, Tensor]] = []

        def on_step_end(self, state: TrainState) -> Changes:
            found = state.learner.model.named_parameters()
            self.weights.append({name: p.detach().clone() for name, p in found})
            return None

    learner, live = a_learner(), Live()
    start = {name: p.detach().clone() for name, p in learner.model.named_parameters()}
    learner.fit(1, 1e-2, callbacks=[EMACallback(learner, decay=0.5, warm_up=False), live])
    for name, value in learner.model.named_parameters():
        expected = start[name]
        for weights in live.weights:
            expected = expected * 0.5 + weights[name] * 0.5
        assert torch.allclose(value, expected, atol=1e-6)


def _mixed_on_ranks(rank: int, folder: Path) -> list[float]:
    learner = a_learner(MemoryData(28, 9), metrics=["accuracy"])
    callbacks = [MixUpCallback(learner), EMACallback(learner, decay=0.9)]
    learner.fit(2, 1e-2, callbacks=callbacks)
    weights = sum(float(p.detach().double().sum()) for p in learner.model.parameters())
    return [weights, learner.recorder.rows[-1].train_loss, learner.recorder.val_losses[-1]]


def test_f071_ranks_draw_their_own_mixes_and_stay_one_model(tmp_path: Path) -> None:
    first, second = run_ranks([_mixed_on_ranks], tmp_path)["_mixed_on_ranks"]
    assert first == second


def test_with_the_best_model_saved_a_fit_ends_with_the_best_averages(tmp_path: Path) -> None:
    learner = a_learner(MemoryData(path=tmp_path))
    saving = SaveModelCallback(learner)
    learner.fit(3, 3.0, callbacks=[EMACallback(learner, decay=0.5), saving])
    losses = learner.recorder.val_losses
    assert min(losses) < losses[-1]
    assert learner.validate()[0] == pytest.approx(min(losses), rel=1e-6)
