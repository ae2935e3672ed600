"""From a learner to the interpretation that suits its labels."""

from __future__ import annotations

import pytest
import torch
from support.memory_data import MemoryData, a_learner, tiny_model

from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import Predictions
from learnfleet.trainer.interpret import Interpretation
from learnfleet.trainer.interpret_classes import ClassificationInterpretation
from learnfleet.trainer.interpret_labels import MultiLabelClassificationInterpretation
from learnfleet.trainer.interpret_masks import SegmentationInterpretation
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import BCEWithLogitsFlat


def test_f105_from_learner_takes_the_dataset_it_is_told_and_train_means_all_training_items_in_order(
    of_classes: Learner,
) -> None:
    for ds_type, count in ((DatasetType.Valid, 9), (DatasetType.Fix, 18), (DatasetType.Train, 18)):
        found = ClassificationInterpretation.from_learner(of_classes, ds_type)
        assert len(found.losses) == count
        assert found.y_true.tolist() == of_classes.data.dl(found.ds_type).dataset.labels().tolist()  # type: ignore[attr-defined]
    assert found.ds_type is DatasetType.Fix
    assert found.indices.tolist() == list(range(18))


def test_f105_from_learner_takes_another_activation_and_test_time_augmentation(of_classes: Learner) -> None:
    raw = ClassificationInterpretation.from_learner(of_classes, activ=lambda output: output)
    plain = ClassificationInterpretation.from_learner(of_classes)
    averaged = ClassificationInterpretation.from_learner(of_classes, tta=True)
    assert torch.allclose(raw.preds.softmax(dim=1), plain.preds, atol=1e-6)
    assert torch.allclose(averaged.preds, of_classes.TTA()[0], atol=1e-6)
    assert torch.allclose(averaged.losses, -averaged.preds[range(9), averaged.y_true].log(), atol=1e-4)


def test_f105_a_test_set_has_no_labels_so_nothing_can_be_said_of_errors(of_classes: Learner) -> None:
    with pytest.raises(LearnerError, match="test sets have no labels"):
        of_classes.interpret(DatasetType.Test)


def test_f105_what_is_not_one_class_an_item_is_refused() -> None:
    with pytest.raises(LearnerError, match="not one class an item"):
        ClassificationInterpretation(a_learner(), torch.zeros(4, 3), torch.zeros(4, 3), torch.zeros(4))
    with pytest.raises(LearnerError, match="do not match"):
        Interpretation(a_learner(), torch.zeros(4, 3), torch.zeros(5), torch.zeros(4))
    with pytest.raises(LearnerError, match=r"float32 are not one class an item: `learn.interpret\(\)` takes"):
        ClassificationInterpretation(a_learner(), torch.zeros(4, 1), torch.arange(4) / 2, torch.zeros(4))
    with pytest.raises(LearnerError, match=r"not several labels an item, .* `learn.interpret\(\)` takes"):
        MultiLabelClassificationInterpretation(a_learner(), torch.zeros(4, 3), torch.zeros(4), torch.zeros(4))
    with pytest.raises(LearnerError, match=r"no masks of items: `learn.interpret\(\)` takes"):
        SegmentationInterpretation(a_learner(), torch.zeros(4, 3), torch.zeros(4), torch.zeros(4))
    found = Predictions(torch.zeros(8, 3), torch.zeros(8), torch.arange(8))
    with pytest.raises(LearnerError, match="with_loss"):
        ClassificationInterpretation.of(a_learner(), found, DatasetType.Valid)


def test_f114_interpret_takes_the_class_that_suits_the_labels(
    of_classes: Learner, of_labels: Learner, of_numbers: Learner, of_masks: Learner
) -> None:
    assert type(of_classes.interpret()) is ClassificationInterpretation
    assert type(of_labels.interpret()) is MultiLabelClassificationInterpretation
    assert type(of_masks.interpret()) is SegmentationInterpretation
    assert type(of_numbers.interpret()) is Interpretation


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
def test_f114_a_single_output_that_says_yes_or_no_is_interpreted_as_two_classes(dtype: torch.dtype) -> None:
    data = MemoryData(c=2)
    data.valid_dl.y = data.valid_dl.y.to(dtype)
    learner = a_learner(data, tiny_model(1), loss_func=BCEWithLogitsFlat())
    found = learner.interpret()
    assert type(found) is ClassificationInterpretation
    preds, targets = learner.get_preds()
    matrix = [[int(((targets == a) & ((preds[:, 0] >= 0.5) == p)).sum()) for p in (0, 1)] for a in (0, 1)]
    assert found.confusion_matrix().tolist() == matrix
    assert found.probability(0) == pytest.approx(float(preds[0, 0] if targets[0] else 1 - preds[0, 0]))
    assert len(found.top_losses(3).values) == 3


def test_f114_interpret_takes_dataset_and_tta(of_classes: Learner) -> None:
    assert len(of_classes.interpret(DatasetType.Train).losses) == 18
    assert torch.equal(of_classes.interpret(tta=True).preds, of_classes.TTA()[0])


def test_f114_numbers_have_top_losses_with_what_is_predicted_and_true(of_numbers: Learner) -> None:
    found = of_numbers.interpret()
    worst = found.describe_top_losses(1)[0]
    row = int(found.losses.argmax())
    assert worst.index == row
    assert float(worst.predicted) == pytest.approx(float(found.preds[row]), rel=1e-3)
    assert float(worst.actual) == pytest.approx(float(found.y_true[row]), rel=1e-3)
    assert worst.loss == pytest.approx((float(worst.predicted) - float(worst.actual)) ** 2, rel=1e-2)
    assert worst.probability is None
    figure = found.plot_top_losses(2)
    assert figure.axes[0].get_title() == f"{worst.predicted} / {worst.actual} / {worst.loss:.2f}"
    with pytest.raises(LearnerError, match="labels that are classes"):
        found.plot_top_losses(2, heatmap=True)
