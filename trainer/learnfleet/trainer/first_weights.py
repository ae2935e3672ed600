"""Where the random numbers of a network's first weights come from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def drawn_from(seed: int | None) -> Iterator[None]:
    """Draw from `seed`, and leave torch's generator as it was. None: draw from torch's generator, as fastai does."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
