"""ROC and precision-recall curves against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from learnfleet.trainer.measures.curves import curves_of_classes, curves_of_labels

NAMES = ["ant", "bee", "wasp"]


def scores(n: int = 90) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    actual = torch.randint(0, 3, (n,), generator=generator)
    logits = torch.randn(n, 3, generator=generator) + torch.nn.functional.one_hot(actual, 3)
    return logits.softmax(1), actual


def test_areas_and_points_are_those_of_scikit_learn() -> None:
    rows, actual = scores()
    for place, found in enumerate(curves_of_classes(rows, actual, NAMES)):
        truth, given = (actual == place).numpy(), rows[:, place].double().numpy()
        assert found.name == NAMES[place]
        assert found.auroc == pytest.approx(roc_auc_score(truth, given), abs=1e-6)
        assert found.average_precision == pytest.approx(average_precision_score(truth, given), abs=1e-6)
        false, true, _ = roc_curve(truth, given, drop_intermediate=False)
        assert np.allclose(found.false_positive_rates, false)
        assert np.allclose(found.true_positive_rates, true)
        assert list(found.recalls) == sorted(found.recalls)
        assert (found.recalls[0], found.precisions[0], found.recalls[-1]) == (0.0, 1.0, 1.0)


def test_curves_of_many_items_have_few_points_and_exact_areas() -> None:
    rows, actual = scores(5000)
    found = curves_of_classes(rows, actual, NAMES)[0]
    assert len(found.false_positive_rates) == len(found.true_positive_rates) <= 200
    assert found.auroc == pytest.approx(roc_auc_score((actual == 0).numpy(), rows[:, 0].numpy()), abs=1e-6)
    # What is drawn has nearly that area.
    drawn = np.trapezoid(found.true_positive_rates, found.false_positive_rates)
    assert drawn == pytest.approx(found.auroc, abs=2e-3)
    assert (found.false_positive_rates[0], found.false_positive_rates[-1]) == (0.0, 1.0)


def test_a_class_that_never_occurs_has_no_area() -> None:
    rows, actual = scores()
    found = curves_of_classes(rows, actual.clamp_max(1), NAMES)[2]
    assert (found.auroc, found.average_precision, found.recalls) == (None, None, ())


def test_a_single_output_says_yes_and_labels_have_a_curve_each() -> None:
    rows, actual = scores()
    yes, truth = rows[:, :1], (actual == 0).long()
    (found,) = curves_of_classes(yes, truth, ["no", "yes"])
    assert found.name == "yes"
    assert found.auroc == pytest.approx(roc_auc_score(truth.numpy(), yes[:, 0].numpy()), abs=1e-6)
    hot = torch.nn.functional.one_hot(actual, 3).float()
    assert curves_of_labels(rows, hot, NAMES) == curves_of_classes(rows, actual, NAMES)
