"""Bunches of any datasets and loaders, and a learner on them."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.memory_data import MemoryLoader
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, WeightedRandomSampler

from learnfleet.trainer.batch import Batch, Loader, Shard
from learnfleet.trainer.data_bunch import DataBunch
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.metric_functions import accuracy


class Drawn(Dataset[Any]):
    """Each item is its position and a number from each of the three generators that transforms use."""

    def __init__(self, n: int = 23) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        draws = (torch.rand(1).item(), np.random.rand(), random.random())
        return torch.tensor((index, *draws), dtype=torch.float64), index % 3


def tensors(n: int, seed: int = 0) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (n,), generator=generator)
    return TensorDataset(torch.randn(n, 4, generator=generator) + y[:, None], y)


def a_bunch(**options: Any) -> DataBunch:
    return DataBunch.create(tensors(40), tensors(16, 1), **{"bs": 9, "classes": ["a", "b", "c"], **options})


def indices(batches: Iterator[Batch]) -> list[list[int]]:
    return [batch.indices.tolist() for batch in batches]


def test_f010_lengths_of_any_data_are_fastais() -> None:
    data = a_bunch()
    assert data.valid_dl is not None
    assert data.single_dl is not None
    assert (len(data.train_dl), len(data.valid_dl), len(data.fix_dl), len(data.single_dl)) == (4, 2, 5, 16)
    assert (data.batch_size, data.c, data.empty_val, data.is_empty) == (9, 3, False, False)
    data.batch_size = 8
    assert (len(data.train_dl), len(data.valid_dl), len(data.single_dl)) == (5, 2, 16)


def test_f016_loaders_of_torch_are_taken_over_with_all_that_they_say() -> None:
    def reversed_items(items: list[Any]) -> tuple[Tensor, Tensor]:
        return torch.stack([-x for x, _ in items]), torch.tensor([int(y) for _, y in items])

    train = DataLoader(tensors(20), 6, shuffle=False, collate_fn=reversed_items)
    data = DataBunch(train, DataLoader(tensors(5), 2), test_dl=DataLoader(tensors(4), 3))
    assert indices(data.train_dl.epoch(0)) == [list(range(6)), list(range(6, 12)), list(range(12, 18))]
    assert torch.equal(next(data.train_dl.epoch(0)).x, -tensors(20).tensors[0][:6])
    assert [len(data.dl(kind)) for kind in DatasetType] == [3, 3, 2, 5, 4]
    assert data.test_ds is not None
    assert (len(data.train_ds), len(data.valid_ds), len(data.test_ds), len(data.single_ds)) == (20, 5, 4, 5)
    shuffled = DataBunch(DataLoader(tensors(20), 6, shuffle=True))
    assert indices(shuffled.train_dl.epoch(0)) != indices(shuffled.train_dl.epoch(1)) != indices(data.train_dl.epoch(0))
    with pytest.raises(LearnerError, match="no Valid items"):
        shuffled.dl(DatasetType.Valid)


@pytest.mark.parametrize(
    "loader",
    [
        DataLoader(tensors(6), batch_size=None),
        DataLoader(tensors(6), batch_size=2, sampler=WeightedRandomSampler([1.0] * 6, 6)),
    ],
)
def test_an_order_that_a_resumed_run_cannot_find_again_is_refused(loader: DataLoader[Any]) -> None:
    with pytest.raises(LearnerError, match="cannot"):
        DataBunch(loader)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_what_a_dataset_draws_is_a_function_of_epoch_and_batch_with_and_without_workers(num_workers: int) -> None:
    data = DataBunch.create(Drawn(), Drawn(7), bs=5, num_workers=num_workers, no_check=True)
    torch.manual_seed(1)
    random.seed(1)
    whole = [batch.x for batch in data.train_dl.epoch(3)]
    random.seed(2)
    rest = [batch.x for batch in data.train_dl.epoch(3, start_batch=2)]
    assert all(torch.equal(one, other) for one, other in zip(whole[2:], rest, strict=True))
    alone = DataBunch.create(Drawn(), Drawn(7), bs=5, no_check=True)
    assert all(torch.equal(one, b.x) for one, b in zip(whole, alone.train_dl.epoch(3), strict=True))
    assert len({float(value) for x in whole for value in x[:, 1:].flatten()}) == 4 * 5 * 3
    other = torch.cat([batch.x for batch in data.train_dl.epoch(4)])
    assert not set(torch.cat(whole)[:, 1].tolist()) & set(other[:, 1].tolist())


def test_loading_leaves_the_generators_of_the_program_as_they_were() -> None:
    states = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index,union-attr]
    list(DataBunch.create(Drawn(), bs=5).train_dl.epoch(0))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]  # type: ignore[index,union-attr]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_every_batch_and_validation_covers_every_item_once(world_size: int) -> None:
    data = a_bunch()
    whole = indices(data.train_dl.epoch(1))
    parts, seen = [], []
    for rank in range(world_size):
        data.shard(Shard(rank, world_size))
        parts.append(indices(data.train_dl.epoch(1)))
        seen += [index for share in indices(data.dl(DatasetType.Valid).epoch(1)) for index in share]
    assert [sorted(i for share in shares for i in share) for shares in zip(*parts, strict=True)] == [
        sorted(batch) for batch in whole
    ]
    assert sorted(seen) == list(range(16))


def test_batch_functions_change_batches_of_any_loader() -> None:
    def halved(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x / 2, y

    x, y = tensors(20).tensors
    mine: Loader = MemoryLoader(x, y, 4, train=False)
    for data in (DataBunch(mine, mine), a_bunch(dl_tfms=[])):
        before, _ = data.one_batch(DatasetType.Fix)
        data.add_tfm(halved)
        assert torch.equal(data.one_batch(DatasetType.Fix)[0], before / 2)
        data.remove_tfm(halved)
        assert torch.equal(data.one_batch(DatasetType.Fix)[0], before)


def test_loaders_of_ones_own_making_are_taken_as_they_are() -> None:
    x, y = tensors(20).tensors
    data = DataBunch(MemoryLoader(x, y, 4, train=True), MemoryLoader(x[:6], y[:6], 4, train=False), classes=list("abc"))
    assert (len(data.train_dl), data.batch_size, len(data.train_ds), len(data.valid_ds)) == (5, 4, 20, 8)
    learner = Learner(data, nn.Linear(4, 3), metrics=accuracy, silent=True)
    learner.fit(8, 0.1)
    assert learner.recorder.losses[-1] < learner.recorder.losses[0]
    with pytest.raises(LearnerError, match="keep their batch size"):
        data.batch_size = 3


def test_f022_the_check_of_new_data_warns_and_does_not_stop(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        data = DataBunch.create(tensors(5), tensors(5))
    assert "the batch size is 64 and there are 5 items" in caplog.text
    with pytest.raises(LearnerError, match="the batch size is 64, more than the 5 training items"):
        Learner(data, nn.Linear(4, 3), silent=True).fit(1)
    caplog.clear()
    ragged: Any = [(torch.zeros(number + 1), 0) for number in range(4)]
    with caplog.at_level(logging.WARNING):
        DataBunch.create(ragged, bs=4)
    assert "It's not possible to collate samples" in caplog.text


class TwoInputs(Dataset[Any]):
    """((a, b), (class, value)) items."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[tuple[Tensor, Tensor], tuple[int, float]]:
        a = torch.full((3,), float(index % 2))
        return (a, a + 1), (index % 2, float(index % 2))


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.classes, self.value = nn.Linear(3, 2), nn.Linear(3, 1)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return self.classes(a), self.value(b)


def both_losses(outputs: tuple[Tensor, Tensor], classes: Tensor, values: Tensor) -> Tensor:
    scores, value = outputs
    return nn.functional.cross_entropy(scores, classes) + nn.functional.mse_loss(value[:, 0], values.float())


def test_a_learner_trains_on_several_inputs_and_targets(tmp_path: Path) -> None:
    data = DataBunch.create(TwoInputs(), TwoInputs(), path=tmp_path, bs=4, loss_func=both_losses)
    learner = Learner(data, TwoHeads(), silent=True)
    learner.fit(5, 0.1)
    assert learner.recorder.losses[-1] < learner.recorder.losses[0] / 2
    (a, b), (classes, values) = data.one_batch(DatasetType.Fix)
    assert (tuple(a.shape), tuple(b.shape), classes.tolist(), values.tolist()) == (
        (4, 3),
        (4, 3),
        [0, 1, 0, 1],
        [0, 1, 0, 1],
    )


def test_one_item_of_any_data_is_a_batch_of_one() -> None:
    x, y = a_bunch().one_item(torch.ones(4))
    assert (tuple(x.shape), y.tolist()) == ((1, 4), [0])


def test_a_dataset_without_a_length_or_with_other_items_is_refused() -> None:
    with pytest.raises(LearnerError, match="without a length"):
        DataBunch.create(iter([]))  # type: ignore[arg-type]
    triples: Any = [(torch.zeros(1), 0, 0)] * 4
    with pytest.raises(LearnerError, match=r"must be \(inputs, targets\)"):
        DataBunch.create(triples, bs=2, no_check=True).one_batch()
