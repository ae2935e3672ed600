"""What a classifier gets wrong: against the oracle O12, on pictures, and the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.labelled_data import category_data, quiet
from support.memory_data import MemoryData, a_learner

from learnfleet.trainer import plots
from learnfleet.trainer.confusion import ClassScores, confusion_counts
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.interpret_classes import ClassificationInterpretation
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


def test_f108_the_size_is_in_inches_and_dots_an_inch_as_fastais_lessons_ask_for_it() -> None:
    for normalize in (False, True):
        figure = an_interpretation().plot_confusion_matrix(normalize, figsize=(12, 6), dpi=60)
        assert (*figure.get_size_inches(), figure.dpi) == (12, 6, 60)
    assert an_interpretation().plot_confusion_matrix().dpi == 110


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
