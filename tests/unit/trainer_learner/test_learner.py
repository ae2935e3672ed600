"""The Learner's own promises: freezing, moments, predictions, saves."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from support.memory_data import MemoryData, a_learner, tiny_model

from learnfleet.trainer.data import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner


def steps_taken(learner: Learner) -> set[float]:
    return {float(value) for name, value in learner.require_optimizer().tensors().items() if name.startswith("step/")}


def test_moments_go_on_over_fits_and_start_anew_after_unfreezing() -> None:
    learner = a_learner()
    learner.fit(1)
    learner.fit(1)
    assert steps_taken(learner) == {8.0}
    learner.unfreeze()
    learner.fit(1)
    assert steps_taken(learner) == {4.0}


def test_two_fits_shuffle_differently_and_one_fit_of_two_epochs_equals_them() -> None:
    apart, together = a_learner(), a_learner()
    apart.fit(1, 1e-2)
    apart.fit(1, 1e-2)
    together.fit(2, 1e-2)
    pairs = zip(apart.model.state_dict().values(), together.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_freeze_to_counts_from_the_end_too_and_only_the_rest_is_trained() -> None:
    learner = a_learner(train_bn=False)
    learner.freeze_to(-2)
    assert learner.frozen_to == 1
    before = {name: value.clone() for name, value in learner.model.named_parameters()}
    learner.fit(1, 1e-2)
    changed = {name for name, value in learner.model.named_parameters() if not torch.equal(before[name], value)}
    assert {name.split(".")[0] for name in changed} == {"1", "2"}


@pytest.mark.parametrize("train_bn", [True, False])
def test_frozen_batchnorm_goes_on_collecting_statistics_only_under_train_bn(train_bn: bool) -> None:
    learner = a_learner(train_bn=train_bn)
    learner.freeze()
    before = learner.model[0][1].running_mean.clone()  # type: ignore[index]
    learner.fit(1)
    assert torch.equal(learner.model[0][1].running_mean, before) is not train_bn  # type: ignore[index]


@pytest.mark.parametrize("n", [3, -4])
def test_freezing_more_groups_than_there_are_is_refused(n: int) -> None:
    with pytest.raises(LearnerError, match="3 layer groups"):
        a_learner().freeze_to(n)


def test_freezing_a_model_of_one_group_is_refused() -> None:
    with pytest.raises(LearnerError, match="one layer group"):
        a_learner(model=torch.nn.Sequential(tiny_model())).freeze()


def test_predictions_are_complete_in_order_and_with_losses_of_raw_outputs() -> None:
    learner = a_learner()
    learner.fit(1)
    probabilities, targets, losses = learner.get_preds(DatasetType.Fix, with_loss=True)
    assert torch.equal(targets, learner.data.dl(DatasetType.Fix).y)  # type: ignore[attr-defined]
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(30))
    assert torch.allclose(losses, -probabilities[range(30), targets].log(), atol=1e-5)


def test_n_batch_counts_batches_not_items() -> None:
    assert len(a_learner(MemoryData(val_bs=5)).get_preds(n_batch=2)[0]) == 10


def test_an_activation_of_ones_own_replaces_softmax() -> None:
    learner = a_learner()
    raw = learner.get_preds(activ=lambda output: output)[0]
    assert torch.allclose(raw.softmax(dim=1), learner.get_preds()[0])


def test_predict_gives_class_index_and_probabilities() -> None:
    data = MemoryData()
    learner = a_learner(data)
    learner.fit(3, 1e-2)
    category, index, probabilities = learner.predict(data.valid_dl.x[0])
    assert str(category) == data.classes[int(index)]
    assert index.shape == ()
    assert index.dtype == torch.int64
    assert torch.allclose(probabilities, learner.get_preds()[0][0], atol=1e-6)


def test_validate_gives_loss_and_metrics_of_any_loader() -> None:
    learner = a_learner(metrics="accuracy")
    loss, accuracy = learner.validate(learner.data.dl(DatasetType.Fix))
    probabilities, targets, losses = learner.get_preds(DatasetType.Fix, with_loss=True)
    assert loss == pytest.approx(float(losses.mean()), rel=1e-5)
    assert accuracy == pytest.approx(float((probabilities.argmax(1) == targets).double().mean()))
    assert len(learner.validate(metrics=["accuracy", "error_rate"])) == 3


def test_a_save_brings_back_weights_optimizer_and_counters(tmp_path: Path) -> None:
    data = MemoryData(path=tmp_path)
    learner, other = a_learner(data), a_learner(data, seed=9)
    learner.fit(2)
    folder = learner.save("best", return_path=True)
    assert folder == tmp_path / "models" / "best"
    assert other.load("best") is other
    assert torch.equal(other.get_preds()[0], learner.get_preds()[0])
    assert steps_taken(other) == {8.0}
    assert (other.global_step, other.lifetime_epoch) == (8, 2)


def test_an_optimizer_that_was_not_saved_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    learner = a_learner(MemoryData(path=tmp_path))
    learner.fit(1)
    learner.save("weights", with_opt=False)
    with caplog.at_level(logging.WARNING):
        learner.load("weights")
    assert "optimiser was not restored" in caplog.text
    with pytest.raises(LearnerError, match="nothing of the optimiser was saved"):
        learner.load("weights", with_opt=True)


def test_loading_what_was_never_saved_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing was saved as 'nothing'"):
        a_learner(MemoryData(path=tmp_path)).load("nothing")


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    a_learner(MemoryData(path=tmp_path)).save("three")
    with pytest.raises(LearnerError, match="they are of another model"):
        a_learner(MemoryData(path=tmp_path, c=4), tiny_model(c=4)).load("three")


def test_it_learns() -> None:
    learner = a_learner(MemoryData(n_train=210, n_valid=60), metrics="accuracy")
    learner.fit_one_cycle(5, 3e-2)
    assert learner.recorder.metrics[-1][0] > 0.9
