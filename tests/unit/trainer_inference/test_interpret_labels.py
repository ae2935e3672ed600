"""What a classifier with several labels an item gets wrong: a table worked out by hand, and figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.memory_data import MemoryData, a_learner

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.interpret_classes import ClassificationInterpretation
from learnfleet.trainer.interpret_labels import MultiLabelClassificationInterpretation
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import BCEWithLogitsFlat

PREDS = torch.tensor([[0.9, 0.2, 0.1], [0.4, 0.7, 0.6], [0.1, 0.3, 0.2], [0.8, 0.6, 0.1], [0.2, 0.1, 0.9]])
TRUE = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]])
LOSSES = torch.tensor([0.1, 0.9, 0.2, 0.8, 0.15])


def an_interpretation(thresh: float | None = None) -> MultiLabelClassificationInterpretation:
    data: Any = MemoryData()
    data.classes = ["cat", "dog", "fox"]
    data.open_item = lambda ds_type, index: torch.zeros(3, 8, 8, dtype=torch.uint8)
    learner = a_learner(data, loss_func=BCEWithLogitsFlat())
    return MultiLabelClassificationInterpretation(learner, PREDS, TRUE, LOSSES, thresh=thresh)


@pytest.mark.parametrize("slice_size", [1, 2, None])
def test_f112_each_label_has_a_confusion_matrix_of_its_own(slice_size: int | None) -> None:
    matrix = an_interpretation().confusion_matrix(slice_size)
    assert matrix.tolist() == [[[2, 1], [1, 1]], [[3, 0], [0, 2]], [[3, 1], [0, 1]]]


def test_f112_each_label_has_precision_recall_f1_and_support() -> None:
    report = an_interpretation().classification_report()
    assert report.loc["cat"].tolist() == pytest.approx([0.5, 0.5, 0.5, 2])
    assert report.loc["dog"].tolist() == pytest.approx([1, 1, 1, 2])
    assert report.loc["fox"].tolist() == pytest.approx([0.5, 1, 2 / 3, 1])
    assert report.loc["macro avg"].tolist() == pytest.approx([2 / 3, 5 / 6, 13 / 18, 5])
    assert an_interpretation().accuracy == pytest.approx(12 / 15)


def test_f112_a_label_that_never_occurs_has_no_recall() -> None:
    found = MultiLabelClassificationInterpretation(
        a_learner(loss_func=BCEWithLogitsFlat()), torch.zeros(4, 3), torch.zeros(4, 3), torch.zeros(4)
    )
    assert np.isnan(found.classification_report()[["precision", "recall", "f1"]].to_numpy(dtype=float)).all()
    assert found.most_confused() == []


@pytest.mark.parametrize("slice_size", [1, 2, None])
def test_f112_most_confused_pairs_what_was_missed_with_what_was_given_for_it(slice_size: int | None) -> None:
    assert an_interpretation().most_confused(slice_size=slice_size) == [("cat", "fox", 1), ("(none)", "cat", 1)]
    assert an_interpretation().most_confused(min_val=2) == []


def test_f112_a_higher_threshold_predicts_fewer_labels() -> None:
    assert an_interpretation(0.85).pred_class.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert an_interpretation().thresh == 0.5
    assert an_interpretation(0.7).pred_class.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_f112_top_losses_name_the_labels_and_the_probability_of_the_one_judged_worst() -> None:
    found = an_interpretation()
    assert found.top_losses(2).indices.tolist() == [1, 3]
    first, second, *_, last = found.describe_top_losses()
    assert (first.predicted, first.actual, first.probability) == ("dog;fox", "cat;dog", pytest.approx(0.4))
    assert (second.predicted, second.actual, second.probability) == ("cat;dog", "dog", pytest.approx(0.2))
    assert (last.predicted, last.actual) == ("cat", "cat")
    assert found.describe_top_losses(3)[2].predicted == "(none)"


def test_f112_plot_multi_top_losses_shows_the_misclassified_and_counts_them() -> None:
    figure = an_interpretation().plot_multi_top_losses()
    heading, what = figure.get_suptitle().split("\n")
    assert heading == "2 misclassified samples over 5 samples in the validation set."
    assert what == "Prediction / Actual / Loss / Probability"
    assert [axes.get_title() for axes in figure.axes if axes.images] == [
        "dog;fox\ncat;dog\n0.90 / 0.40",
        "cat;dog\ndog\n0.80 / 0.20",
    ]
    assert tuple(figure.get_size_inches()) == (8, 8)


def test_f112_plot_multi_top_losses_gives_the_misclassified_items_if_asked_to() -> None:
    figure, items = an_interpretation().plot_multi_top_losses(1, figsize=(4, 5), save_misclassified=True)
    assert tuple(figure.get_size_inches()) == (4, 5)
    assert [axes.get_title() for axes in figure.axes if axes.images] == ["dog;fox\ncat;dog\n0.90 / 0.40"]
    assert [item.index for item in items] == [1, 3]
    assert items == an_interpretation().misclassified()


@pytest.mark.parametrize("samples", [0, 21])
def test_f112_more_than_twenty_samples_are_refused(samples: int) -> None:
    with pytest.raises(ValueError, match="1 to 20"):
        an_interpretation().plot_multi_top_losses(samples)


def test_f112_the_confusion_figure_has_a_matrix_a_label() -> None:
    figure = an_interpretation().plot_confusion_matrix(normalize=True)
    assert an_interpretation().plot_confusion_matrix(dpi=60).dpi == 60
    assert [axes.get_title() for axes in figure.axes][:3] == ["cat", "dog", "fox"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.67", "0.33", "0.50", "0.50"]
    assert [text.get_text() for text in an_interpretation().plot_confusion_matrix().axes[2].texts] == [
        "3",
        "1",
        "0",
        "1",
    ]


def test_f112_of_many_labels_those_with_the_most_errors_are_shown() -> None:
    data: Any = MemoryData(c=50)
    generator = torch.Generator().manual_seed(0)
    true = (torch.rand(30, 50, generator=generator) > 0.5).float()
    preds = true.clone()
    preds[0, 40:] = 1 - preds[0, 40:]
    learner = a_learner(data, loss_func=BCEWithLogitsFlat())
    figure = MultiLabelClassificationInterpretation(learner, preds, true, torch.zeros(30)).plot_confusion_matrix()
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 36
    assert {f"class {index}" for index in range(40, 50)} <= set(titles)
    assert "36 of 50" in figure.get_suptitle()


def test_f112_fastais_way_to_ask_for_it_works_on_real_pictures(of_labels: Learner) -> None:
    found = ClassificationInterpretation.from_learner(of_labels)
    assert isinstance(found, MultiLabelClassificationInterpretation)
    assert found.confusion_matrix().shape == (3, 2, 2)
    assert found.confusion_matrix().sum() == 3 * 8
    assert len(found.plot_top_losses(4).axes) == 4
    with pytest.raises(LearnerError, match="several labels has no one class"):
        found.plot_top_losses(2, heatmap=True)


def test_f112_of_single_classes_plot_multi_top_losses_says_what_to_use(of_classes: Learner) -> None:
    with pytest.raises(LearnerError, match="one class each: use plot_top_losses"):
        of_classes.interpret().plot_multi_top_losses()  # type: ignore[attr-defined]
