"""Stages as text on the command line."""

from __future__ import annotations

import pytest

from learnfleet.client.cli.stages import parse_lr, parse_stage
from learnfleet.client.specs import Fit, FitOneCycle, FreezeTo


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("unfreeze", FreezeTo(0)),
        ("freeze()", FreezeTo(-1)),
        ("freeze_to(2)", FreezeTo(2)),
        ("fit(2, 1e-3)", Fit(2, 1e-3)),
        ("fit(2, lr=slice(1e-5, 1e-3))", Fit(2, slice(1e-5, 1e-3))),
        ("fit_one_cycle(4, lr=[1e-4, 1e-3], pct_start=0.2)", FitOneCycle(4, [1e-4, 1e-3], pct_start=0.2)),
    ],
)
def test_a_stage_reads_as_it_does_in_python(text: str, stage: object) -> None:
    assert parse_stage(text) == stage


@pytest.mark.parametrize(
    "text", ["", "fit", "fit()", "fit('2')", "fit(2, foo=1)", "train(2)", "fit(__import__('os').getpid())", "fit(2"]
)
def test_what_is_no_stage_is_refused_with_examples_and_never_run(text: str) -> None:
    with pytest.raises(ValueError, match="examples"):
        parse_stage(text)


def test_learning_rates_are_numbers_slices_or_lists() -> None:
    assert parse_lr("1e-3") == 1e-3
    assert parse_lr("slice(3e-3)") == slice(3e-3)
    with pytest.raises(ValueError, match="must be like"):
        parse_lr("fast")
