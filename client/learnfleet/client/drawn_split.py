"""The split that the trainer draws, for lists that are split here.

fastai splits by NumPy's legacy generator, a Mersenne Twister seeded in its first way. Python has the same twister,
whose state can be set: so the client draws the same pictures as the trainer does, without NumPy.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

DEFAULT_SEED = 42  # of a seed None, as in the trainer: every run of a script validates on the same pictures
_WORDS = 624  # of the twister's state

_T = TypeVar("_T")


def split_by_pct(items: Sequence[_T], valid_pct: float, seed: int | None) -> tuple[list[_T], list[_T]]:
    """Training items in their order, and the int(valid_pct * n) that validate in the order drawn.

    Raises ValueError for a share or a seed that is none.
    """
    if not 0 <= valid_pct < 1:
        raise ValueError(f"valid_pct is {valid_pct}; must be a share in [0, 1)")
    order = permutation(len(items), DEFAULT_SEED if seed is None else seed)
    n_valid = int(valid_pct * len(items))
    return [items[i] for i in sorted(order[n_valid:])], [items[i] for i in order[:n_valid]]


def permutation(n: int, seed: int) -> list[int]:
    """`numpy.random.RandomState(seed).permutation(n)`. Raises ValueError for a seed outside [0, 2**32)."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}; must be in [0, 2**32)")
    twister = _twister(seed)
    order = list(range(n))
    for last in range(n - 1, 0, -1):
        place = _at_most(last, twister)
        order[last], order[place] = order[place], order[last]
    return order


def _twister(seed: int) -> random.Random:
    words = [seed]
    for number in range(1, _WORDS):
        before = words[-1]
        words.append((1812433253 * (before ^ (before >> 30)) + number) & 0xFFFFFFFF)
    twister = random.Random()
    twister.setstate((3, (*words, _WORDS), None))
    return twister


def _at_most(greatest: int, twister: random.Random) -> int:
    """Drawn from [0, greatest]: words are cut to as many bits, and drawn anew where they are too large."""
    mask = (1 << greatest.bit_length()) - 1
    while (value := twister.getrandbits(32) & mask) > greatest:
        pass
    return value
