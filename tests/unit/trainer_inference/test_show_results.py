"""Pictures with what is true and what is predicted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.labelled_data import COLOURS

from learnfleet.trainer import plots
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner


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


def test_f104_show_results_has_the_size_in_inches_that_is_asked_for(of_classes: Learner, of_masks: Learner) -> None:
    assert of_classes.show_results(DatasetType.Valid, 2, (5, 6)).get_size_inches().tolist() == [5, 6]
    assert of_masks.show_results(rows=1, figsize=(7, 4)).get_size_inches().tolist() == [7, 4]


def test_f104_show_results_computes_in_the_learners_precision(of_classes: Learner) -> None:
    seen = []
    handle = of_classes.model[0].register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    try:
        of_classes.to_bf16().show_results(rows=1)
    finally:
        handle.remove()
        of_classes.to_fp32()
    assert set(seen) == {torch.bfloat16}
