"""Predictions of whole data sets: complete, in order, aligned, for every kind of label and on two ranks."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support.labelled_data import CODES, SIZE, category_data, quiet
from support.memory_data import MemoryData, MemoryLoader, a_learner
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import predict_loader
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import LabelSmoothingCrossEntropy
from learnfleet.trainer.state import TrainState


def raw(output: Tensor) -> Tensor:
    return output


def test_f100_with_loss_adds_the_loss_of_each_items_raw_outputs(of_classes: Learner) -> None:
    preds, targets, losses = of_classes.get_preds(with_loss=True)
    logits = of_classes.get_preds(activ=raw)[0]
    assert (preds.shape, targets.shape, losses.shape) == ((9, 3), (9,), (9,))
    assert torch.allclose(losses, F.cross_entropy(logits, targets, reduction="none"), atol=1e-6)
    assert len(of_classes.get_preds()) == 2


def test_f100_n_batch_counts_batches_not_items(of_classes: Learner) -> None:
    assert len(of_classes.get_preds(n_batch=1)[0]) == 4
    assert len(of_classes.get_preds(n_batch=2)[0]) == 8
    assert len(of_classes.get_preds(n_batch=99)[0]) == 9
    with pytest.raises(LearnerError, match="at least 1"):
        of_classes.get_preds(n_batch=0)


def test_f100_pbar_is_told_of_every_batch(of_classes: Learner) -> None:
    told: list[tuple[int, int]] = []
    of_classes.get_preds(pbar=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    told.clear()
    of_classes.get_preds(pbar=lambda done, total: told.append((done, total)), n_batch=2)
    assert told == [(1, 2), (2, 2)]


def test_f101_train_gives_all_training_items_plain_and_in_the_datasets_order(of_classes: Learner) -> None:
    preds, targets = of_classes.get_preds(DatasetType.Train)
    data: Any = of_classes.data
    assert targets.tolist() == data.train_ds.labels().tolist()
    assert len(targets) == 18  # a training epoch has 16 of them
    assert torch.equal(preds, of_classes.get_preds(DatasetType.Fix)[0])
    assert torch.allclose(preds[7], of_classes.predict(data.train_ds.path(7))[2], atol=1e-6)


def test_f101_who_insists_gets_the_training_loader_itself_still_aligned(of_classes: Learner) -> None:
    data: Any = of_classes.data
    found = predict_loader(of_classes, data.train_dl)
    preds, targets = of_classes.get_preds(dl=data.train_dl)
    assert len(preds) == 16
    assert targets.tolist() == data.train_ds.labels()[found.indices].tolist()
    assert found.indices.tolist() == sorted(set(found.indices.tolist()))


def test_f018_the_targets_of_test_items_are_zero(of_classes: Learner) -> None:
    preds, targets = of_classes.get_preds(DatasetType.Test)
    assert (preds.shape, targets.tolist()) == ((4, 3), [0, 0, 0, 0])


def test_f016_single_predicts_the_validation_items_one_by_one(of_classes: Learner) -> None:
    assert torch.allclose(
        of_classes.get_preds(DatasetType.Single)[0], of_classes.get_preds(DatasetType.Valid)[0], atol=1e-6
    )


def test_f093_a_share_outside_0_to_1_is_refused() -> None:
    with pytest.raises(LearnerError, match=r"eps: 2\.0 is not possible"):
        LabelSmoothingCrossEntropy(2.0)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("eps", [0.0, 0.1, 0.7])
def test_f093_the_loss_is_eps_of_all_classes_and_the_rest_of_the_true_one(eps: float, reduction: str) -> None:
    logits, true = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 1, 1])
    loss = LabelSmoothingCrossEntropy(eps, reduction)(logits, true)
    right = torch.nn.functional.cross_entropy(logits, true, label_smoothing=eps, reduction=reduction)
    assert torch.allclose(loss, right, atol=1e-6)


def test_f093_under_label_smoothing_get_preds_gives_probabilities_and_its_own_losses() -> None:
    learner = a_learner(loss_func=LabelSmoothingCrossEntropy())
    preds, targets, losses = learner.get_preds(with_loss=True)
    assert torch.allclose(preds.sum(dim=1), torch.ones(13))
    log_p = preds.log()
    expected = 0.1 / 3 * -log_p.sum(dim=1) + 0.9 * -log_p[range(13), targets]
    assert torch.allclose(losses, expected, atol=1e-5)


@pytest.mark.parametrize("function", [F.cross_entropy, functools.partial(F.cross_entropy, label_smoothing=0.1)])
def test_f100_torchs_functions_serve_as_losses_with_the_activation_of_their_modules(function: Any) -> None:
    preds, targets, losses = a_learner(loss_func=function).get_preds(with_loss=True)
    assert torch.allclose(preds.sum(dim=1), torch.ones(13))
    assert torch.allclose(losses, function(preds.log(), targets, reduction="none"), atol=1e-5)


def test_f100_a_loss_that_cannot_be_left_unreduced_is_refused_only_where_losses_are_asked_for() -> None:
    learner = a_learner(loss_func=lambda output, target: output.sum())
    assert learner.get_preds()[0].shape == (13, 3)
    with pytest.raises(LearnerError, match="reduction"):
        learner.get_preds(with_loss=True)


def test_f100_several_labels_become_probabilities_and_one_loss_an_item(of_labels: Learner) -> None:
    preds, targets, losses = of_labels.get_preds(with_loss=True)
    assert preds.shape == targets.shape == (8, 3)
    assert losses.shape == (8,)
    assert torch.allclose(losses, F.binary_cross_entropy(preds, targets, reduction="none").mean(dim=1), atol=1e-5)


def test_f100_numbers_stay_as_they_are(of_numbers: Learner) -> None:
    preds, targets, losses = of_numbers.get_preds(with_loss=True)
    assert (len(preds), len(losses)) == (7, 7)
    assert torch.allclose(losses, (preds[:, 0] - targets) ** 2, atol=1e-6)


def test_f100_masks_have_one_loss_an_item_the_mean_over_its_pixels_without_void(of_masks: Learner) -> None:
    preds, targets, losses = of_masks.get_preds(with_loss=True)
    assert (preds.shape, targets.shape, losses.shape) == ((4, 3, SIZE, SIZE), (4, 1, SIZE, SIZE), (4,))
    per_pixel = F.nll_loss(preds.log(), targets[:, 0], reduction="none")
    known = targets[:, 0] != CODES.index("Void")
    expected = (per_pixel * known).flatten(1).sum(dim=1) / known.flatten(1).sum(dim=1)
    assert torch.allclose(losses, expected, atol=1e-5)


def test_f100_masks_only_keeps_a_byte_a_pixel(of_masks: Learner) -> None:
    whole = predict_loader(of_masks, of_masks.data.dl(DatasetType.Valid))
    found = predict_loader(of_masks, of_masks.data.dl(DatasetType.Valid), with_loss=True, masks_only=True)
    assert (found.outputs.dtype, found.targets.dtype) == (torch.uint8, torch.uint8)
    assert torch.equal(found.outputs.long(), whole.outputs.argmax(dim=1))
    assert torch.equal(found.targets.long(), whole.targets)


class _TwoInputsTwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.own = a_learner().model

    def forward(self, x: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        output = self.own(x) + shift
        return output, output * 2


class _PairLoss(nn.Module):
    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs: tuple[Tensor, Tensor], y: Tensor, other: Tensor) -> Tensor:
        first = F.cross_entropy(outputs[0], y, reduction=self.reduction)
        return first + F.cross_entropy(outputs[1], other, reduction=self.reduction)


class _PairLoader(MemoryLoader):
    def epoch(self, epoch: int, start_batch: int = 0) -> Any:
        for batch in super().epoch(epoch, start_batch):
            yield dataclasses.replace(batch, x=(batch.x, torch.ones(batch.n, 1)), y=(batch.y, 2 - batch.y))


def test_f100_models_of_several_inputs_outputs_and_targets_give_tuples_of_tensors() -> None:
    data = MemoryData()
    data.valid_dl = _PairLoader(data.valid_dl.x, data.valid_dl.y, 5, train=False)
    learner = a_learner(data, _TwoInputsTwoOutputs(), loss_func=_PairLoss())
    (first, second), (y, other), losses = learner.get_preds(with_loss=True)
    assert first.shape == second.shape == (13, 3)
    assert torch.equal(second, first * 2)
    assert torch.equal(other, 2 - y)
    expected = F.cross_entropy(first, y, reduction="none") + F.cross_entropy(second, other, reduction="none")
    assert torch.allclose(losses, expected, atol=1e-6)
    x = (data.valid_dl.x[0], torch.ones(1))
    assert torch.allclose(learner.predict(x)[2], first[0], atol=1e-6)


class _FirstOfTwo(Callback):
    """As RNNTrainer: the loss gets the first of the model's outputs."""

    def on_loss_begin(self, state: TrainState) -> None:
        state.last_output = state.last_output[0]


class _OneInputTwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.own = a_learner().model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.own(x), x


def test_the_learners_callbacks_change_inputs_and_outputs_as_they_do_in_validation() -> None:
    plain, wrapped = a_learner(), a_learner(model=_OneInputTwoOutputs(), callbacks=[_FirstOfTwo()])
    wrapped.model.own.load_state_dict(plain.model.state_dict())  # type: ignore[union-attr]
    expected, found = plain.get_preds(with_loss=True), wrapped.get_preds(with_loss=True)
    assert all(torch.allclose(a, b) for a, b in zip(expected, found, strict=True))


def test_f103_validate_measures_the_loader_and_metrics_it_is_given_and_calls_the_callbacks() -> None:
    seen: list[int] = []

    class Seen(Callback):
        def on_batch_end(self, state: TrainState) -> None:
            seen.append(len(state.last_target))

    learner = a_learner(metrics="accuracy")
    loss, error = learner.validate(learner.data.dl(DatasetType.Fix), callbacks=[Seen()], metrics=["error_rate"])
    preds, targets, losses = learner.get_preds(DatasetType.Fix, with_loss=True)
    assert loss == pytest.approx(float(losses.mean()), rel=1e-5)
    assert error == pytest.approx(float((preds.argmax(1) != targets).double().mean()))
    assert sum(seen) == 30
    assert len(learner.validate()) == 2


def test_f103_validate_ends_the_callbacks_it_has_begun_and_leaves_the_learners_own_alone() -> None:
    calls: list[str] = []

    class Noted(Callback):
        def __init__(self, name: str) -> None:
            self.name = name

        def on_train_begin(self, state: TrainState) -> None:
            calls.append(f"{self.name} begins")

        def on_epoch_end(self, state: TrainState) -> None:
            calls.append(f"{self.name} has {len(state.last_metrics)}")

        def on_train_end(self, state: TrainState) -> None:
            calls.append(f"{self.name} ends")

    learner = a_learner(callbacks=[Noted("own")], metrics="accuracy")
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    learner.validate()
    assert calls == []
    learner.validate(callbacks=[Noted("given")])
    assert calls == ["given begins", "given has 2", "given ends"]
    assert all(torch.equal(before[name], value) for name, value in learner.model.state_dict().items())


def test_f100_items_that_cannot_be_read_have_no_row_and_are_told_of_by_their_positions(
    tmp_path: Path, of_classes: Learner, caplog: pytest.LogCaptureFixture
) -> None:
    learner = quiet(category_data(tmp_path), of_classes.model)
    for place in (2, 8):
        learner.data.valid_ds.path(place).write_bytes(b"broken")
    for found in (learner.get_preds(with_loss=True), learner.TTA(), learner.TTA(beta=None), learner.tta(n=1)):
        assert [len(part) for part in found] == [7] * len(found)
    assert [text for record in caplog.records if "row" in (text := record.getMessage())] == [
        "2 of 9 items could not be read and have no row: 2, 8"
    ] * 4
    caplog.clear()
    assert len(learner.get_preds(n_batch=1)[0]) == 3
    assert caplog.messages == ["1 of 4 items could not be read and have no row: 2"]
    caplog.clear()
    learner.get_preds(DatasetType.Train)
    learner.get_preds(dl=learner.data.train_dl)
    assert caplog.messages == []


def test_f100_f103_a_torch_loader_is_taken_in_the_order_of_its_items() -> None:
    learner = a_learner(metrics=["accuracy"])
    data: Any = learner.data
    x, y = data.valid_dl.x, data.valid_dl.y
    loader = DataLoader(TensorDataset(x, y), 4, shuffle=True, drop_last=True)
    expected, found = learner.get_preds(with_loss=True), learner.get_preds(dl=loader, with_loss=True)
    for one, other in zip(expected, found, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert learner.validate(loader) == pytest.approx(learner.validate(), rel=1e-5)


def test_f100_f103_what_is_no_loader_is_refused_with_what_may_be_given() -> None:
    learner = a_learner()
    for call in (lambda dl: learner.get_preds(dl=dl), learner.validate):
        with pytest.raises(LearnerError, match=r"list is no loader: give .*learn.dl\(DatasetType.Fix\).*DataLoader"):
            call([(torch.zeros(2, 3, 8, 8), torch.zeros(2))])
