"""What a segmentation model takes for what: masks worked out by hand, and figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.labelled_data import CODES, SIZE
from support.memory_data import MemoryData, a_learner

from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.interpret_masks import SegmentationInterpretation
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import CrossEntropyFlat

# Classes: 0 sky, 1 house, 2 tree, 3 Void.
TRUE = torch.tensor([[[0, 0], [1, 3]], [[0, 0], [0, 0]], [[1, 1], [1, 1]]])
GIVEN = torch.tensor([[[0, 1], [1, 1]], [[0, 0], [0, 2]], [[1, 1], [1, 0]]])
LOSSES = torch.tensor([0.5, 0.1, 0.9])


def an_interpretation(preds: torch.Tensor = GIVEN, losses: torch.Tensor = LOSSES) -> SegmentationInterpretation:
    data: Any = MemoryData()
    data.classes = ["sky", "house", "tree", "Void"]
    data.open_item = lambda ds_type, index: torch.zeros(3, 2, 2, dtype=torch.uint8)
    learner = a_learner(data, loss_func=CrossEntropyFlat(axis=1, ignore_index=3))
    return SegmentationInterpretation(learner, preds, TRUE.unsqueeze(1), losses)


@pytest.mark.parametrize("slice_size", [1, 2, None])
def test_f113_pixels_are_counted_without_void(slice_size: int | None) -> None:
    matrix = an_interpretation().confusion_matrix(slice_size)
    assert matrix.tolist() == [[4, 1, 1, 0], [1, 4, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert an_interpretation().accuracy == pytest.approx(8 / 11)


def test_f113_generate_confusion_averages_shares_over_the_items_that_have_the_class() -> None:
    mean, single = an_interpretation()._generate_confusion()
    assert single.shape == (3, 4, 4)
    assert single[0, 0].tolist() == [0.5, 0.5, 0, 0]
    assert mean[0].tolist() == pytest.approx([(0.5 + 0.75) / 2, 0.25, 0.125, 0])
    assert mean[1].tolist() == pytest.approx([0.125, (1 + 0.75) / 2, 0, 0])
    assert np.isnan(mean[2:]).all()


def test_f113_the_table_of_scores_is_the_diagonal_greatest_first() -> None:
    found = an_interpretation()
    frame = found._plot_intersect_cm(found._generate_confusion()[0], "Found")
    assert list(frame.columns) == ["label", "score"]
    assert frame["label"].tolist()[:2] == ["house", "sky"]
    assert frame["score"].tolist()[:2] == pytest.approx([0.875, 0.625])
    figure = found.plot_intersect_cm(found.generate_confusion()[0], "Found")
    assert figure.axes[0].get_title() == "Found"
    assert [text.get_text() for text in figure.axes[0].texts][-4:] == [""] * 4
    usual = found.plot_intersect_cm(found.generate_confusion()[1][0])
    assert usual.axes[0].get_title() == "Intersection with Predict given True"


def test_f113_most_confused_counts_wrong_pixels_without_void() -> None:
    given = torch.tensor([[[1, 1], [1, 1]], [[0, 2], [2, 2]], [[1, 1], [1, 0]]])
    found = an_interpretation(given)
    assert found.most_confused() == [("sky", "tree", 3), ("sky", "house", 2), ("house", "sky", 1)]
    assert found.most_confused(2, None) == [("sky", "tree", 3), ("sky", "house", 2)]
    assert found.most_confused(4) == []


def test_f113_each_class_has_iou_and_dice_over_the_whole_dataset_and_void_has_no_row() -> None:
    report = an_interpretation().iou_report()
    assert report.index.tolist() == ["sky", "house", "tree", "mean"]
    assert report.loc["sky"].tolist() == pytest.approx([4 / 7, 8 / 11, 6])
    assert report.loc["house"].tolist() == pytest.approx([4 / 6, 8 / 10, 5])
    assert report.loc["tree", "iou"] == 0  # given where it is not
    assert report.loc["mean", "iou"] == pytest.approx((4 / 7 + 4 / 6) / 3)


def test_f113_top_losses_are_means_over_pixels_whether_given_by_item_or_by_pixel() -> None:
    by_pixel = torch.tensor([[0.2, 0.8], [0.1, 0.1], [1.0, 0.8]]).repeat_interleave(2, dim=1).flatten()
    for found in (an_interpretation(), an_interpretation(losses=by_pixel)):
        values, indices = found.top_losses((2, 2), k=2)
        assert indices.tolist() == [2, 0]
        assert values.tolist() == pytest.approx([0.9, 0.5])
    assert an_interpretation().top_losses((2, 2), 1, largest=False).indices.tolist() == [1]
    with pytest.raises(LearnerError, match="masks have"):
        an_interpretation().top_losses((3, 2))


def test_f113_an_item_is_described_by_its_greatest_confusion() -> None:
    worst = an_interpretation().describe_top_losses(1)[0]
    assert (worst.index, worst.predicted, worst.actual, worst.probability) == (2, "sky", "house", 0.75)


def test_f113_probabilities_give_the_same_as_masks() -> None:
    hot = torch.nn.functional.one_hot(GIVEN, 4).movedim(-1, 1).float()
    found = an_interpretation(hot)
    assert np.array_equal(found.confusion_matrix(), an_interpretation().confusion_matrix())
    assert found.pred_class.dtype == torch.uint8


def test_f113_masks_of_another_shape_are_refused() -> None:
    with pytest.raises(LearnerError, match="no masks of items"):
        an_interpretation(GIVEN[:, :1])


def test_f113_a_dataset_is_interpreted_in_bytes_on_the_part_asked_for(of_masks: Learner) -> None:
    found = SegmentationInterpretation.from_learner(of_masks, DatasetType.Train)
    assert found.preds.shape == found.y_true.shape == (8, SIZE, SIZE)
    assert found.preds.dtype == found.y_true.dtype == torch.uint8
    assert found.void_code == CODES.index("Void")
    preds, targets, losses = of_masks.get_preds(DatasetType.Fix, with_loss=True)
    assert torch.equal(found.pred_class.long(), preds.argmax(dim=1))
    assert torch.equal(found.losses, losses)
    known = targets[:, 0] != 2
    assert found.accuracy == pytest.approx(float((preds.argmax(1) == targets[:, 0])[known].double().mean()))


def test_f113_show_xyz_shows_an_item_its_mask_and_the_predicted_one(of_masks: Learner) -> None:
    found = of_masks.interpret()
    figure = found.show_xyz(2, sz=7)
    assert [axes.get_title() for axes in figure.axes] == [
        f"item 2, loss {float(found.losses[2]):.2f}",
        "Ground truth",
        "Prediction",
    ]
    assert figure.get_size_inches()[0] == 7
    assert {text.get_text() for text in figure.legends[0].get_texts()} == set(CODES)
    named = found.show_xyz(2, classes=["a", "b", "c"]).legends[0].get_texts()
    assert {text.get_text() for text in named} == {"a", "b", "c"}
    assert found.show_xyz(2, return_fig=False) is None
    with pytest.raises(LearnerError, match="no item 44"):
        found.show_xyz(44)


def test_f113_the_top_losses_are_shown_with_both_masks(of_masks: Learner) -> None:
    found = of_masks.interpret()
    figure = found.plot_top_losses(2)
    assert len(figure.axes) == 6
    assert figure.axes[0].get_title().startswith(f"item {int(found.top_losses(k=1).indices[0])}, ")
    assert {axes.get_title() for axes in found.plot_top_losses(2, show_text=False).axes} == {""}
    faint, plain = found.plot_top_losses(1, figsize=(9, 3), alpha=0.0), found.plot_top_losses(1)
    assert faint.get_size_inches().tolist() == [9, 3]
    picture, mask, _ = (axes.images[0].get_array() for axes in faint.axes)
    assert np.array_equal(mask, picture)  # a mask without any strength
    assert not np.array_equal(plain.axes[1].images[0].get_array(), plain.axes[0].images[0].get_array())
    with pytest.raises(LearnerError, match="labels that are classes"):
        found.plot_top_losses(2, heatmap=True)


def test_f113_a_mask_is_laid_over_its_picture_in_the_colours_of_its_classes() -> None:
    from learnfleet.trainer.plots_masks import class_colors, overlay

    colors = class_colors(3, void=2)
    mask = np.array([[0, 1], [2, 9]])
    shown = overlay(np.zeros((2, 2), dtype=np.uint8), mask, colors, alpha=1.0)
    assert shown.tolist() == [[colors[0].tolist(), colors[1].tolist()], [[128] * 3, [128] * 3]]
    assert len({tuple(color) for color in class_colors(60).tolist()}) == 60
    assert np.ptp(class_colors(18).astype(int), axis=1).min() > 30, "grey is for what is no class"
