"""Calibration against numbers worked out by hand, against torchmetrics, and against a temperature that is known."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from learnfleet.trainer.measures.calibration import calibration_of_classes, calibration_of_labels, temperature_of


def made(n: int = 4000, classes: int = 4, temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """(probabilities, classes drawn from them); the probabilities are then made too sure by 1 / temperature."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, classes, generator=generator, dtype=torch.float64) * 2
    actual = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    return (logits * temperature).softmax(1), actual


def test_errors_are_those_worked_out_by_hand() -> None:
    # Two bins: (0.5, 1] has 0.6 right, 0.8 right, 0.9 wrong; [0, 0.5] has 0.5 wrong.
    rows = torch.tensor([[0.6, 0.4], [0.2, 0.8], [0.9, 0.1], [0.5, 0.5]])
    found = calibration_of_classes(rows, torch.tensor([0, 1, 1, 1]), bins=2)
    upper = abs(2 / 3 - (0.6 + 0.8 + 0.9) / 3)
    assert found.ece == pytest.approx((3 * upper + 1 * 0.5) / 4)
    assert found.mce == pytest.approx(0.5)
    assert found.brier == pytest.approx((2 * 0.16 + 2 * 0.04 + 2 * 0.81 + 2 * 0.25) / 4)
    assert [one.count for one in found.bins] == [1, 3]
    assert found.bins[1].accuracy == pytest.approx(2 / 3)
    assert (found.bins[0].lower, found.bins[0].upper, found.bins[1].upper) == (0.0, 0.5, 1.0)


def test_errors_are_those_of_torchmetrics() -> None:
    rows, actual = made(temperature=1.7)
    found = calibration_of_classes(rows, actual)
    for norm, value in (("l1", found.ece), ("max", found.mce)):
        theirs = multiclass_calibration_error(rows, actual, 4, n_bins=15, norm=norm)  # type: ignore[arg-type]
        assert value == pytest.approx(float(theirs), abs=1e-6)


def test_the_temperature_that_made_answers_too_sure_is_found_and_takes_the_error_away() -> None:
    rows, actual = made(temperature=2.0)
    found = calibration_of_classes(rows, actual)
    assert found.temperature == pytest.approx(2.0, rel=0.05)
    assert found.ece > 0.08
    assert found.ece_at_temperature is not None
    assert found.ece_at_temperature < 0.03


def test_the_temperature_is_where_the_likelihood_is_greatest() -> None:
    rows, actual = made(n=300, temperature=3.0)
    logits = rows.log()
    best = temperature_of(logits, actual)
    assert best is not None

    def loss(t: float) -> float:
        return float(torch.nn.functional.cross_entropy(logits / t, actual))

    assert loss(best) < min(loss(best * 1.02), loss(best / 1.02))


def test_where_all_are_right_there_is_no_temperature() -> None:
    found = calibration_of_classes(torch.eye(3)[[0, 1, 2, 0]] * 0.8 + 0.0667, torch.tensor([0, 1, 2, 0]))
    assert found.temperature is None
    assert found.ece_at_temperature is None
    assert calibration_of_classes(torch.empty(0, 3), torch.empty(0, dtype=torch.int64)).temperature is None


def test_a_single_output_is_a_class_and_its_opposite() -> None:
    yes = torch.tensor([[0.9], [0.3], [0.6]])
    both = torch.cat((1 - yes, yes), dim=1)
    assert calibration_of_classes(yes, torch.tensor([1, 0, 0])) == calibration_of_classes(both, torch.tensor([1, 0, 0]))


def test_of_several_labels_each_probability_is_a_statement() -> None:
    found = calibration_of_labels(
        torch.tensor([[0.9, 0.2], [0.8, 0.1]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]]), bins=2
    )
    assert [one.count for one in found.bins] == [2, 2]
    assert found.bins[0].accuracy == 0.0  # how many of those that were hardly believed are there
    assert found.ece == pytest.approx((2 * 0.15 + 2 * 0.35) / 4)
    assert found.brier == pytest.approx((0.01 + 0.04 + 0.64 + 0.01) / 4)
