"""Near duplicates and outliers among embeddings, against brute force and planted ones."""

from __future__ import annotations

import pytest
import torch

from learnfleet.trainer.measures.neighbours import near_duplicates, nearest, outliers


def places(n: int = 60, d: int = 16) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0))


def test_the_nearest_are_those_of_all_cosines() -> None:
    rows = places(1100)  # more than a block
    found = nearest(rows, k=3)
    unit = torch.nn.functional.normalize(rows, dim=1)
    cosines = unit @ unit.T
    cosines.fill_diagonal_(-2)
    values, indices = cosines.topk(3, dim=1)
    assert torch.allclose(found.similarity, values, atol=1e-5)
    assert torch.equal(found.rows, indices)


def test_planted_duplicates_are_the_groups_and_nothing_else_is() -> None:
    rows = places()
    rows[7] = rows[3] * 2 + 0.01  # brighter
    rows[50] = rows[3] + 0.02
    rows[20] = rows[41]
    groups = near_duplicates(rows, nearest(rows))
    assert [group.rows for group in groups] == [(20, 41), (3, 7, 50)]
    assert groups[0].similarity == pytest.approx(1.0, abs=1e-5)
    assert 0.9 < groups[1].similarity < 1.0


def test_where_all_of_a_class_are_alike_only_copies_are_duplicates() -> None:
    rows = torch.ones(80, 16) + 0.1 * places(80)
    rows[9] = rows[30] + 0.001
    assert [group.rows for group in near_duplicates(rows, nearest(rows))] == [(9, 30)]


def test_what_is_far_from_all_is_an_outlier_and_a_crowd_is_none() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.ones(50, 16) + 0.1 * torch.randn(50, 16, generator=generator)
    rows[13] = torch.tensor([1.0, -1.0]).repeat(8)
    found = outliers(nearest(rows))
    assert found[0].row == 13
    assert len(found) <= 3
    assert outliers(nearest(torch.ones(20, 4))) == []


def test_one_item_or_none_has_neither() -> None:
    for n in (0, 1):
        rows = places(n)
        assert near_duplicates(rows, nearest(rows)) == []
        assert outliers(nearest(rows)) == []
