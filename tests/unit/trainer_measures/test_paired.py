"""What got fixed, what broke, and McNemar's test against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from learnfleet.trainer.measures.paired import mcnemar, paired


def test_items_are_counted_by_who_is_right() -> None:
    baseline = torch.tensor([True, True, False, False, False, True])
    candidate = torch.tensor([True, False, True, True, False, True])
    found = paired(baseline, candidate)
    assert (found.both_right, found.fixed, found.broken, found.both_wrong) == (2, 2, 1, 1)
    assert found.p_value == pytest.approx(1.0)


def test_the_exact_test_is_twice_the_tail_of_fair_coins() -> None:
    assert mcnemar(5, 0) == pytest.approx(2 / 2**5)
    assert mcnemar(1, 7) == pytest.approx(2 * (1 + 8) / 2**8)
    assert mcnemar(14, 5) == pytest.approx(0.0636, abs=1e-4)
    assert mcnemar(0, 0) is None
