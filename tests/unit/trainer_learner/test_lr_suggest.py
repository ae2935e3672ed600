"""Rules that read a learning rate off a search: numbers of fastai 2.8.12 and v1, executed on the same curve."""

from __future__ import annotations

import itertools
import math
from functools import partial

import pytest

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.lr_suggest import min_gradient, minimum, slide, steep, suggest, valley
from learnfleet.trainer.spline import smoothen_by_spline

LRS = [1e-7 * 1e8 ** (i / 100) for i in range(100)]
LOSSES = [2 - math.tanh((i - 55) / 12) + math.exp((i - 88) / 3) + 0.02 * math.sin(i) for i in range(100)]


def test_f060_min_gradient_is_where_the_loss_falls_fastest_by_batches() -> None:
    assert suggest(LRS, LOSSES, 100, min_gradient).min_gradient == pytest.approx(0.0020892961308540407)


def test_f060_minimum_is_a_tenth_of_the_rate_of_the_least_loss() -> None:
    assert suggest(LRS, LOSSES, 100, "minimum").minimum == pytest.approx(0.008317637711026709)


def test_f061_valley_slide_and_steep_give_fastais_numbers() -> None:
    found = suggest(LRS, LOSSES, 100, (valley, "slide", steep))
    assert found.valley == pytest.approx(0.0020892961308540407)
    assert found.slide == pytest.approx(0.001202264434617413)
    assert found.steep == pytest.approx(0.001737800828749376)


def test_f061_suggestions_unpack_in_the_order_asked_for_and_take_partials() -> None:
    first, second = suggest(LRS, LOSSES, 100, (minimum, partial(slide, adjust_value=0.5)))
    assert first == pytest.approx(0.008317637711026709)
    assert second == pytest.approx(0.001202264434617413 / 2)


def test_f061_what_follows_a_loss_that_is_no_number_is_not_looked_at() -> None:
    broken = [*LOSSES[:60], float("nan"), *[-100.0] * 39]
    assert suggest(LRS, broken, 100, "minimum").minimum == pytest.approx(LRS[59] / 10)


def test_f061_valley_of_a_curve_that_always_falls_is_about_its_middle() -> None:
    falling = [float(-i) for i in range(85)]
    assert valley(LRS, falling, 100) == LRS[-1 + 28 + 14]


def test_f060_too_few_points_give_no_suggestion_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        found = suggest(LRS[:12], LOSSES[:12], 100, ("min_gradient", "slide"))
    assert list(found) == [None, None]
    assert "not enough" in caplog.text


def test_f061_an_unknown_rule_is_refused_by_name() -> None:
    with pytest.raises(LearnerError, match="no rule 'peak'; known: valley, slide, steep"):
        suggest(LRS, LOSSES, 100, "peak")


def test_f060_the_spline_of_degree_k_is_the_least_squares_polynomial_where_that_is_near_enough() -> None:
    cubic = [0.5 * x**3 - x + 1 for x in (i / 20 for i in range(40))]
    assert smoothen_by_spline(cubic, 3) == pytest.approx(cubic, abs=1e-9)
    line = smoothen_by_spline([0.0, 1.0, 0.0, 1.0, 0.0, 1.0], 1)
    assert [b - a for a, b in itertools.pairwise(line)] == pytest.approx([0.6 / 7] * 5)


def test_f060_the_spline_bends_where_a_polynomial_is_too_far_off() -> None:
    jump = [0.0] * 30 + [50.0] * 30
    assert max(abs(a - b) for a, b in zip(smoothen_by_spline(jump, 3), jump, strict=True)) < 20
