from __future__ import annotations

import torch

from learnfleet.trainer.counter import choice, permutation, step_seed, uniform

N = 20_000
RECORDED_UNIFORM = [[0.7889240235567584, 0.02711993431025883]]
RECORDED_PERMUTATION = [0, 5, 3, 4, 2, 1]
RECORDED_STEP_SEED = 3356380487306628345


def numbers(n: int) -> torch.Tensor:
    return torch.arange(n, dtype=torch.int64)


def test_numbers_depend_on_the_index_and_not_on_its_company() -> None:
    everything = uniform(3, 5, numbers(100), 4)
    assert torch.equal(uniform(3, 5, torch.tensor([70, 2]), 4), everything[[70, 2]])


def test_more_streams_leave_the_first_ones_unchanged() -> None:
    assert torch.equal(uniform(3, 5, numbers(50), 9)[:, :4], uniform(3, 5, numbers(50), 4))


def test_numbers_are_the_recorded_ones_so_that_old_runs_can_be_repeated() -> None:
    assert uniform(1, 2, torch.tensor([3]), 2).tolist() == RECORDED_UNIFORM
    assert permutation(1, 2, 6).tolist() == RECORDED_PERMUTATION
    assert step_seed(1, 2, 3) == RECORDED_STEP_SEED


def test_numbers_fill_the_unit_interval_evenly() -> None:
    u = uniform(0, 0, numbers(N), 4)
    assert u.min() >= 0
    assert u.max() < 1
    counts = torch.stack([torch.histc(column, 20, 0, 1) for column in u.unbind(1)])
    expected = N / 20
    chi_square = ((counts - expected) ** 2 / expected).sum(1)
    assert (chi_square < 43.8).all()  # 0.1 % of true uniform samples exceed this with 19 degrees of freedom


def test_neighbours_in_every_coordinate_are_uncorrelated() -> None:
    base = uniform(0, 0, numbers(N), 2)
    others = (
        uniform(1, 0, numbers(N), 1)[:, 0],
        uniform(0, 1, numbers(N), 1)[:, 0],
        uniform(0, 0, numbers(N) + 1, 1)[:, 0],
        base[:, 1],
    )
    for other in others:
        correlation = torch.corrcoef(torch.stack((base[:, 0], other)))[0, 1]
        assert abs(correlation) < 4 / N**0.5


def test_a_permutation_holds_every_item_once_and_changes_with_epoch_and_seed() -> None:
    first = permutation(7, 0, 1000)
    assert torch.equal(first.sort().values, numbers(1000))
    assert not torch.equal(first, permutation(7, 1, 1000))
    assert not torch.equal(first, permutation(8, 0, 1000))
    assert torch.equal(first, permutation(7, 0, 1000))


def test_every_item_reaches_every_place_equally_often() -> None:
    firsts = torch.tensor([int(permutation(0, epoch, 5)[0]) for epoch in range(2000)])
    assert (torch.bincount(firsts, minlength=5) - 400).abs().max() < 80


def test_step_seeds_differ_for_seed_step_and_rank_and_fit_torch() -> None:
    seeds = {step_seed(seed, step, rank) for seed in range(5) for step in range(50) for rank in range(4)}
    assert len(seeds) == 1000
    assert len({seed & 0xFFFFFFFF for seed in seeds}) > 990  # torch's CPU generator uses the low 32 bits only
    torch.Generator().manual_seed(max(seeds))


def test_choices_stay_in_range_and_reach_all_of_it() -> None:
    assert {choice(0, 0, index, 0, 7) for index in range(200)} == set(range(7))
