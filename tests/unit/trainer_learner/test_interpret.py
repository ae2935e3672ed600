"""Interpretation against its oracle, and the figures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.memory_data import MemoryData, a_learner

from learnfleet.trainer import plots
from learnfleet.trainer.data import DatasetType
from learnfleet.trainer.interpret_classes import ClassificationInterpretation
from learnfleet.trainer.loss_functions import CrossEntropyFlat
from learnfleet.trainer.losses import loss_per_item

LOGITS = torch.tensor(
    [
        [2.0, 0.5, -1.0],
        [0.1, 1.2, 0.3],
        [0.0, 0.2, 2.2],
        [1.5, 1.4, 0.0],
        [-0.5, 0.7, 0.9],
        [0.3, -0.2, 0.1],
        [0.0, 3.0, -1.0],
        [1.0, 1.1, 1.2],
    ]
)
TARGETS = torch.tensor([0, 1, 2, 1, 1, 0, 1, 0])


def an_interpretation(indices: torch.Tensor | None = None) -> ClassificationInterpretation:
    data = MemoryData()
    data.classes = ["cat", "dog", "fox"]
    losses = loss_per_item(CrossEntropyFlat(), LOGITS, TARGETS)
    indices = torch.arange(8) if indices is None else indices
    return ClassificationInterpretation(a_learner(data), LOGITS.softmax(1), TARGETS, losses, indices=indices)


def test_the_oracles_table_gives_its_confusion_matrix_and_most_confused() -> None:
    found = an_interpretation()
    assert found.confusion_matrix().tolist() == [[2, 0, 1], [1, 2, 1], [0, 0, 1]]
    assert found.most_confused() == [("cat", "fox", 1), ("dog", "cat", 1), ("dog", "fox", 1)]
    assert found.most_confused(min_val=2) == []
    assert found.accuracy == 5 / 8
    assert found.mean_loss == pytest.approx(0.6186433486479415, rel=1e-5)


def test_the_oracles_table_gives_its_top_losses_with_the_probability_of_the_actual_class() -> None:
    found = an_interpretation()
    values, indices = found.top_losses(3)
    assert indices.tolist() == [7, 4, 5]
    assert values.tolist() == pytest.approx([1.2019428, 0.9252889, 0.8859393], rel=1e-4)
    assert found.top_losses(2, largest=False)[1].tolist() == [6, 2]
    described = found.describe_top_losses(3)
    assert [item.probability for item in described] == pytest.approx([0.3006096, 0.3964169, 0.4123267], rel=1e-4)
    assert [(item.predicted, item.actual) for item in described] == [("fox", "cat"), ("fox", "dog"), ("cat", "cat")]


def test_top_losses_are_positions_in_the_dataset_also_when_pictures_were_left_out() -> None:
    found = an_interpretation(torch.tensor([0, 1, 3, 4, 5, 8, 9, 12]))
    assert found.top_losses(2)[1].tolist() == [12, 5]


def test_more_losses_than_items_is_an_error_that_says_how_many_there_are() -> None:
    with pytest.raises(ValueError, match="9 losses of 8 items"):
        an_interpretation().top_losses(9)


def test_it_runs_over_a_whole_dataset_and_train_means_the_plain_training_pictures() -> None:
    learner = a_learner()
    found = ClassificationInterpretation.from_learner(learner, DatasetType.Train)
    assert found.ds_type is DatasetType.Fix
    assert len(found.losses) == 30


def test_a_class_that_never_occurs_has_no_share_and_no_warning() -> None:
    figure = plots.confusion_figure(np.array([[2, 1], [0, 0]]), ["seen", "never"], normalize=True)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["0.67", "0.33", "", ""]


@pytest.mark.parametrize(("n", "has_text"), [(2, True), (30, True), (100, False)])
def test_confusion_figures_write_counts_only_where_they_can_be_read(n: int, has_text: bool) -> None:
    figure = plots.confusion_figure(np.eye(n, dtype=np.int64), [f"class number {index}" for index in range(n)])
    assert bool(figure.axes[0].texts) is has_text
    assert len(figure.axes[0].get_xticklabels()) <= 60


def test_top_loss_titles_say_prediction_actual_loss_and_probability() -> None:
    found = an_interpretation()
    found.learn.data.open_item = lambda ds_type, index: torch.zeros(3, 8, 8, dtype=torch.uint8)  # type: ignore[attr-defined]
    figure = found.plot_top_losses(3)
    assert [axes.get_title() for axes in figure.axes] == [
        "fox / cat / 1.20 / 0.30",
        "fox / dog / 0.93 / 0.40",
        "cat / cat / 0.89 / 0.41",
        "",
    ]
    assert figure.get_suptitle() == "Prediction / Actual / Loss / Probability"


def test_small_pictures_are_enlarged_without_blur() -> None:
    figure = plots.tiles_figure([plots.Tile(np.zeros((8, 8, 3), dtype=np.uint8), "")], "")
    assert figure.axes[0].get_images()[0].get_interpolation() == "nearest"


def test_float_pictures_are_shown_as_they_are() -> None:
    assert plots.as_picture(torch.tensor([[[0.0, 1.0]]] * 3)).tolist() == [[[0, 0, 0], [255, 255, 255]]]
