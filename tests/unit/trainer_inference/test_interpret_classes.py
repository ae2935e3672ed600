"""What a classifier gets wrong: against the oracle O12, on pictures, and the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.labelled_data import COLOURS, category_data, quiet
from support.memory_data import MemoryData, a_learner

from learnfleet.trainer import plots
from learnfleet.trainer.confusion import ClassScores, confusion_counts
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import Predictions
from learnfleet.trainer.interpret import Interpretation
from learnfleet.trainer.interpret_classes import ClassificationInterpretation
from learnfleet.trainer.interpret_labels import MultiLabelClassificationInterpretation
from learnfleet.trainer.interpret_masks import SegmentationInterpretation
from learnfleet.trainer.learner import Learner
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


def an_interpretation(
    indices: torch.Tensor | None = None, targets: torch.Tensor = TARGETS
) -> ClassificationInterpretation:
    data: Any = MemoryData()
    data.classes = ["cat", "dog", "fox"]
    data.open_item = lambda ds_type, index: torch.zeros(3, 8, 8, dtype=torch.uint8)
    losses = loss_per_item(CrossEntropyFlat(), LOGITS, targets)
    return ClassificationInterpretation(a_learner(data), LOGITS.softmax(1), targets, losses, indices=indices)


# --- from a learner


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
    found = Predictions(LOGITS, TARGETS, torch.arange(8))
    with pytest.raises(LearnerError, match="with_loss"):
        ClassificationInterpretation.of(a_learner(), found, DatasetType.Valid)


def test_f114_interpret_takes_the_class_that_suits_the_labels(
    of_classes: Learner, of_labels: Learner, of_numbers: Learner, of_masks: Learner
) -> None:
    assert type(of_classes.interpret()) is ClassificationInterpretation
    assert type(of_labels.interpret()) is MultiLabelClassificationInterpretation
    assert type(of_masks.interpret()) is SegmentationInterpretation
    assert type(of_numbers.interpret()) is Interpretation


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


# --- losses


def test_f106_the_oracles_table_gives_its_top_losses_with_the_probability_of_the_actual_class() -> None:
    found = an_interpretation()
    values, indices = found.top_losses(3)
    assert indices.tolist() == [7, 4, 5]
    assert values.tolist() == pytest.approx([1.2019428, 0.9252889, 0.8859393], rel=1e-4)
    assert found.top_losses(2, largest=False).indices.tolist() == [6, 2]
    assert len(found.top_losses().values) == 8
    described = found.describe_top_losses(3)
    assert [item.probability for item in described] == pytest.approx([0.3006096, 0.3964169, 0.4123267], rel=1e-4)
    assert [(item.predicted, item.actual) for item in described] == [("fox", "cat"), ("fox", "dog"), ("cat", "cat")]
    assert found.mean_loss == pytest.approx(0.6186433486479415, rel=1e-5)


def test_f106_top_losses_are_positions_in_the_dataset_also_when_pictures_were_left_out() -> None:
    found = an_interpretation(torch.tensor([0, 1, 3, 4, 5, 8, 9, 12]))
    assert found.top_losses(2).indices.tolist() == [12, 5]


def test_f106_more_losses_than_items_is_an_error_that_says_how_many_there_are() -> None:
    with pytest.raises(ValueError, match="9 losses of 8 items"):
        an_interpretation().top_losses(9)


def test_f106_a_broken_picture_shifts_no_index(tmp_path: Path, of_classes: Learner) -> None:
    data = category_data(tmp_path)
    data.valid_ds.path(2).write_bytes(b"broken")
    found = quiet(data, of_classes.model).interpret()
    assert found.indices.tolist() == [0, 1, 3, 4, 5, 6, 7, 8]
    worst = int(found.top_losses(1).indices[0])
    assert found.describe_top_losses(1)[0].actual == data.valid_ds.label(worst)
    assert np.array_equal(found.picture(2), plots.as_picture(data.open_item(DatasetType.Valid, 3)))


# --- what is taken for what


def test_f107_the_oracles_table_gives_its_confusion_matrix() -> None:
    found = an_interpretation()
    matrix = found.confusion_matrix()
    assert matrix.tolist() == [[2, 0, 1], [1, 2, 1], [0, 0, 1]]
    assert matrix.dtype == np.int64
    assert found.accuracy == 5 / 8


@pytest.mark.parametrize("slice_size", [1, 3, 8, 99, None])
def test_f107_slices_of_any_size_are_counted_alike(slice_size: int | None) -> None:
    assert an_interpretation().confusion_matrix(slice_size).tolist() == [[2, 0, 1], [1, 2, 1], [0, 0, 1]]


def test_f107_a_slice_size_bounds_the_items_that_are_counted_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from learnfleet.trainer import confusion

    sizes: list[int] = []
    add = confusion._add
    monkeypatch.setattr(
        confusion, "_add", lambda counts, actual, *rest: (sizes.append(len(actual)), add(counts, actual, *rest))
    )
    an_interpretation().confusion_matrix(slice_size=3)
    assert sizes == [3, 3, 2]
    with pytest.raises(ValueError, match="at least 1"):
        an_interpretation().confusion_matrix(slice_size=0)


def test_f107_many_classes_are_counted_right() -> None:
    generator = torch.Generator().manual_seed(0)
    actual, given = (torch.randint(40, (5000,), generator=generator) for _ in range(2))
    expected = np.zeros((40, 40), dtype=np.int64)
    for a, p in zip(actual.tolist(), given.tolist(), strict=True):
        expected[a, p] += 1
    for slice_size in (1, 7, 4000, None):
        assert np.array_equal(confusion_counts(actual, given, 40, slice_size), expected)


def test_f107_f108_the_normalised_matrix_shows_shares_of_each_actual_class() -> None:
    figure = an_interpretation().plot_confusion_matrix(normalize=True, norm_dec=3)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["0.667", "0.000", "0.333", "0.250", "0.500", "0.250", "0.000", "0.000", "1.000"]


def test_f108_a_class_that_never_occurs_has_no_share_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    found = an_interpretation(targets=torch.tensor([0, 1, 1, 1, 1, 0, 1, 0]))
    figure = found.plot_confusion_matrix(normalize=True)
    assert [text.get_text() for text in figure.axes[0].texts][6:] == ["", "", ""]
    assert not recwarn.list


def test_f108_title_colours_and_texts_are_as_asked_for() -> None:
    figure = an_interpretation().plot_confusion_matrix(
        title="What for what", cmap="Greens", plot_txt=False, figsize=(3, 4)
    )
    axes = figure.axes[0]
    assert (axes.get_title(), axes.images[0].get_cmap().name, len(axes.texts)) == ("What for what", "Greens", 0)
    assert tuple(figure.get_size_inches()) == (3, 4)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted", "Actual")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "fox"]
    assert an_interpretation().plot_confusion_matrix(return_fig=False) is None


def test_f108_counts_are_white_above_half_of_the_greatest() -> None:
    figure = an_interpretation().plot_confusion_matrix()
    white = {text.get_position() for text in figure.axes[0].texts if text.get_color() == "white"}
    assert white == {(0, 0), (1, 1)}


@pytest.mark.parametrize(("n", "has_text"), [(2, True), (30, True), (100, False)])
def test_f108_counts_are_written_only_where_they_can_be_read(n: int, has_text: bool) -> None:
    figure = plots.confusion_figure(np.eye(n, dtype=np.int64), [f"class number {index}" for index in range(n)])
    assert bool(figure.axes[0].texts) is has_text
    assert len(figure.axes[0].get_xticklabels()) <= 60


def test_f109_the_oracles_table_gives_its_most_confused() -> None:
    found = an_interpretation()
    assert found.most_confused() == [("cat", "fox", 1), ("dog", "cat", 1), ("dog", "fox", 1)]
    assert found.most_confused(min_val=2) == []
    assert found.most_confused(slice_size=None) == found.most_confused()


def test_f109_the_most_frequent_confusion_comes_first() -> None:
    found = an_interpretation(targets=torch.tensor([0, 1, 2, 1, 1, 1, 1, 1]))
    assert found.most_confused() == [("dog", "cat", 2), ("dog", "fox", 2)]
    assert found.most_confused(2) == found.most_confused()
    assert found.most_confused(3) == []


# --- each class


def test_the_report_has_precision_recall_f1_and_support_of_each_class_and_their_means() -> None:
    report = an_interpretation().classification_report()
    assert report.loc["dog"].tolist() == pytest.approx([1.0, 0.5, 2 / 3, 4])
    assert report.loc["fox"].tolist() == pytest.approx([1 / 3, 1.0, 0.5, 1])
    assert report.loc["macro avg"].tolist() == pytest.approx([2 / 3, 0.7222222, 0.6111111, 8])  # O15
    assert report.loc["weighted avg"].tolist() == pytest.approx([0.7916667, 0.625, 0.6458333, 8])


def test_a_class_that_never_occurs_has_no_score_and_does_not_pull_the_means_down() -> None:
    scores = ClassScores.of_classes(np.array([[2, 0, 0], [0, 0, 0], [0, 0, 3]]))
    assert [np.isnan(part[1]) for part in (scores.precision, scores.recall, scores.f1, scores.iou)] == [True] * 4
    found = an_interpretation(targets=torch.tensor([0, 1, 1, 1, 1, 0, 1, 0]))
    report = found.classification_report()
    assert np.isnan(report.loc["fox", "recall"])
    assert report.loc["fox", "precision"] == 0
    assert report.loc["macro avg", "recall"] == pytest.approx((2 / 3 + 2 / 5) / 2)


# --- pictures


def test_f110_titles_say_prediction_actual_loss_and_probability_of_the_actual_class() -> None:
    figure = an_interpretation().plot_top_losses(3)
    assert [axes.get_title() for axes in figure.axes] == [
        "fox / cat / 1.20 / 0.30",
        "fox / dog / 0.93 / 0.40",
        "cat / cat / 0.89 / 0.41",
        "",
    ]
    assert figure.get_suptitle() == "Prediction / Actual / Loss / Probability"


def test_f110_a_wrong_prediction_stands_out() -> None:
    figure = an_interpretation().plot_top_losses(3)
    assert [axes.title.get_color() for axes in figure.axes[:3]] == [
        plots.WRONG_COLOR,
        plots.WRONG_COLOR,
        plots.RIGHT_COLOR,
    ]


def test_f110_the_smallest_losses_without_text_in_a_figure_of_a_given_size() -> None:
    found = an_interpretation()
    figure = found.plot_top_losses(5, largest=False, figsize=(12, 12), show_text=False)
    assert tuple(figure.get_size_inches()) == (12, 12)
    assert figure.get_suptitle() == ""
    assert (len(figure.axes), {axes.get_title() for axes in figure.axes}) == (6, {""})
    assert len(found.plot_top_losses(99).axes) == 9  # eight items
    assert found.plot_top_losses(2, return_fig=False) is None


def test_f110_the_pictures_are_those_of_the_dataset(of_classes: Learner) -> None:
    found = of_classes.interpret(DatasetType.Fix)
    figure = found.plot_top_losses(2)
    for axes, index in zip(figure.axes, found.top_losses(2).indices.tolist(), strict=True):
        expected = plots.as_picture(of_classes.data.open_item(DatasetType.Fix, index))  # type: ignore[attr-defined]
        assert np.array_equal(axes.images[0].get_array(), expected)
        assert f" / {of_classes.data.train_ds.label(index)} / " in axes.get_title()  # type: ignore[attr-defined]


def test_f110_data_that_are_no_pictures_cannot_be_plotted() -> None:
    data: Any = MemoryData()
    data.valid_dl.x = data.valid_dl.x.flatten(1)
    learner = a_learner(data, torch.nn.Linear(192, 3))
    with pytest.raises(LearnerError, match="no pictures that could be shown"):
        learner.interpret().plot_top_losses(1)


def test_f110_small_pictures_are_enlarged_without_blur() -> None:
    figure = plots.tiles_figure([plots.Tile(np.zeros((8, 8, 3), dtype=np.uint8), "")], "")
    assert figure.axes[0].get_images()[0].get_interpolation() == "nearest"


def test_float_pictures_are_shown_as_they_are() -> None:
    assert plots.as_picture(torch.tensor([[[0.0, 1.0]]] * 3)).tolist() == [[[0, 0, 0], [255, 255, 255]]]


# --- results


def test_f104_show_results_has_rows_times_rows_pictures_with_truth_and_prediction(of_classes: Learner) -> None:
    figure = of_classes.show_results(rows=2)
    assert figure.get_suptitle() == "Ground truth / Predictions"
    given = of_classes.get_preds()[0].argmax(dim=1).tolist()
    data: Any = of_classes.data
    assert [axes.get_title() for axes in figure.axes] == [
        f"{data.valid_ds.label(index)}\n{COLOURS[given[index]]}" for index in range(4)
    ]
    assert np.array_equal(figure.axes[1].images[0].get_array(), plots.as_picture(data.open_item(DatasetType.Valid, 1)))


def test_f104_show_results_takes_any_dataset_and_stops_where_it_ends(of_classes: Learner) -> None:
    assert len([axes for axes in of_classes.show_results(rows=5).axes if axes.images]) == 9
    assert len([axes for axes in of_classes.show_results(DatasetType.Train, rows=3).axes if axes.images]) == 9
    assert of_classes.show_results(DatasetType.Test, rows=1).axes[0].get_title().startswith("?\n")
    with pytest.raises(LearnerError, match="at least 1"):
        of_classes.show_results(rows=0)


def test_f104_show_results_names_labels_and_numbers(of_labels: Learner, of_numbers: Learner) -> None:
    data: Any = of_labels.data
    titles = [axes.get_title().split("\n")[0] for axes in of_labels.show_results(rows=2).axes]
    assert titles == [data.valid_ds.label(index) or "(none)" for index in range(4)]
    data = of_numbers.data
    first = of_numbers.show_results(rows=1).axes[0].get_title().split("\n")
    assert float(first[0]) == pytest.approx(float(data.valid_ds.label(0)), rel=1e-2)
    assert float(first[1]) == pytest.approx(float(of_numbers.get_preds()[0][0]), rel=1e-2)


def test_f104_show_results_of_masks_has_rows_of_two(of_masks: Learner) -> None:
    figure = of_masks.show_results(rows=2)
    assert len(figure.axes) == 4
    assert figure.get_suptitle() == "Ground truth / Predictions"
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"sky", "house", "Void"}
