"""Learners that are saved and loaded, and what to compare them by."""

from __future__ import annotations

from pathlib import Path

import torch
from support.memory_data import MemoryData, a_learner
from torch import Tensor

from learnfleet.trainer.learner import Learner


def at(path: Path, **options: object) -> Learner:
    return a_learner(MemoryData(path=path), **options)


def trained(path: Path, **options: object) -> Learner:
    learner = at(path, **options)
    learner.fit(1, 1e-2)
    return learner


def moments(learner: Learner) -> dict[str, Tensor]:
    assert learner.opt is not None
    return {name: value.clone() for name, value in learner.opt.tensors().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
