"""Pictures that are nearly the same, and pictures that are unlike all others, by their embeddings.

Source of the outliers' score: Sun et al., "Out-of-distribution detection with deep nearest neighbors", 2022,
arXiv:2204.06507.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

SIMILAR = 0.9  # cosine that nearly the same pictures have at least
_MUCH_NEARER = 0.5  # than usual, of the distance
NEIGHBOURS = 10
_BLOCK = 1024  # rows that are compared with all others at a time
_FAR = 3.0  # standard deviations from the middle
_DEVIATIONS = 1.4826  # of a normal distribution in median absolute deviations


@dataclass(frozen=True)
class Neighbours:
    """Of N items the K nearest others, nearest first."""

    similarity: Tensor  # float [N, K], cosine
    rows: Tensor  # int64 [N, K]


@dataclass(frozen=True)
class Group:
    """Items each of which is nearly the same as another of them."""

    rows: tuple[int, ...]
    similarity: float  # the least of two of them


@dataclass(frozen=True)
class Far:
    """An item and its mean distance to its nearest neighbours."""

    row: int
    score: float


def nearest(embeddings: Tensor, k: int = NEIGHBOURS) -> Neighbours:
    """By cosine, compared with every other item: the time grows with the square of their number.

    Args:
        embeddings: float [N, D].
    """
    unit, n = normalize(embeddings.float(), dim=1), len(embeddings)
    k = min(k, n - 1)
    if k < 1:
        return Neighbours(torch.empty(n, 0), torch.empty(n, 0, dtype=torch.int64))
    values, places = [], []
    for start in range(0, n, _BLOCK):
        block = unit[start : start + _BLOCK] @ unit.T
        block[torch.arange(len(block)), torch.arange(start, start + len(block))] = -2.0  # not to itself
        found = block.topk(k, dim=1)
        values.append(found.values)
        places.append(found.indices)
    return Neighbours(torch.cat(values), torch.cat(places))


def near_duplicates(embeddings: Tensor, neighbours: Neighbours, similar: float = SIMILAR) -> list[Group]:
    """Groups of two or more, the most alike first.

    Two items are nearly the same if their cosine is `similar` at least, and they are half as far from each other at
    most as is usual for the last of the nearest neighbours: a body that was trained on few classes has all items of a
    class close together, and copies are closer still.
    """
    if not neighbours.similarity.numel():
        return []
    limit = min(_distance(torch.tensor(similar)), _MUCH_NEARER * _distance(neighbours.similarity[:, -1]).median())
    unit = normalize(embeddings.float(), dim=1)
    first, column = (_distance(neighbours.similarity) <= limit).nonzero(as_tuple=True)
    groups = _connected(len(embeddings), first.tolist(), neighbours.rows[first, column].tolist())
    found = [Group(tuple(rows), _least(unit[rows])) for rows in groups]
    return sorted(found, key=lambda group: (-group.similarity, group.rows))


def _distance(cosine: Tensor) -> Tensor:
    """Of unit vectors."""
    return (2 - 2 * cosine).clamp_min(0).sqrt()


def outliers(neighbours: Neighbours) -> list[Far]:
    """Those farther from their neighbours than is usual in these data, the farthest first.

    Usual is the median of all, and three standard deviations more, told by the median absolute deviation, which the
    outliers themselves do not move.
    """
    if not neighbours.similarity.numel():
        return []
    scores = _distance(neighbours.similarity.double()).mean(dim=1)
    middle = scores.median()
    limit = middle + _FAR * _DEVIATIONS * (scores - middle).abs().median()
    rows = (scores > limit).nonzero().flatten()
    order = rows[scores[rows].argsort(descending=True, stable=True)]
    return [Far(row, float(scores[row])) for row in order.tolist()]


def _least(unit: Tensor) -> float:
    """Cosine of the two that are the least alike."""
    return float((unit @ unit.T).min().clamp(-1, 1))


def _connected(n: int, first: list[int], second: list[int]) -> list[list[int]]:
    """The items that such pairs join, directly or by others; those without any are left out."""
    parent = list(range(n))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for a, b in zip(first, second, strict=True):
        parent[root(a)] = root(b)
    groups: dict[int, list[int]] = {}
    for row in sorted({*first, *second}):
        groups.setdefault(root(row), []).append(row)
    return list(groups.values())
