"""Randomness without state: every draw is a function of its coordinates, so a resumed run repeats it bit for bit.

The generator is the finaliser of SplitMix64 applied to each coordinate in turn. Integers wrap at 64 bits.

Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_MASK = (1 << 64) - 1
_FLOAT_BITS = 53

# Separate streams: a shuffle, an augmentation and a dropout seed of equal coordinates have nothing in common.
_UNIFORM, _PERMUTATION, _STEP, _CHOICE, _EPOCH = 1, 2, 3, 4, 5


def uniform(seed: int, epoch: int, indices: Tensor, streams: int) -> Tensor:
    """Float64 [N, streams] in [0, 1): row i depends on (seed, epoch, indices[i]) only.

    Args:
        indices: int64 [N], on the CPU.
        streams: independent numbers wanted for each index. More streams do not change the first ones.
    """
    rows = _absorb_tensor(_key(_UNIFORM, seed, epoch), indices.unsqueeze(1))
    bits = _mix_tensor(rows + _offsets(torch.arange(streams, dtype=torch.int64)))
    return _shift_right(bits, 64 - _FLOAT_BITS).double() * 2.0**-_FLOAT_BITS


def permutation(seed: int, epoch: int, n: int) -> Tensor:
    """The order of `n` items in `epoch`, int64 [n]."""
    keys = _absorb_tensor(_key(_PERMUTATION, seed, epoch), torch.arange(n, dtype=torch.int64))
    return torch.argsort(keys, stable=True)


def step_seed(seed: int, step: int, rank: int) -> int:
    """For `torch.manual_seed` before a training step, in [0, 2**63)."""
    return _key(_STEP, seed, step, rank) >> 1


def epoch_seed(seed: int, epoch: int, rank: int, phase: int) -> int:
    """As `step_seed`, for what is drawn outside of steps: phase 0 begins an epoch, phase 1 its validation."""
    return _key(_EPOCH, seed, epoch, rank, phase) >> 1


def choice(seed: int, epoch: int, index: int, attempt: int, n: int) -> int:
    """One of range(n), for the `attempt`-th try to replace item `index`."""
    return _key(_CHOICE, seed, epoch, index, attempt) % n


def _key(*coordinates: int) -> int:
    key = 0
    for coordinate in coordinates:
        key = _mix((key + (coordinate + 1) * _GOLDEN) & _MASK)
    return key


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * _MIX_1) & _MASK
    value = ((value ^ (value >> 27)) * _MIX_2) & _MASK
    return value ^ (value >> 31)


def _absorb_tensor(key: int, coordinates: Tensor) -> Tensor:
    return _mix_tensor(_offsets(coordinates) + _signed(key))


def _offsets(coordinates: Tensor) -> Tensor:
    return (coordinates + 1) * _signed(_GOLDEN)


def _mix_tensor(value: Tensor) -> Tensor:
    value = (value ^ _shift_right(value, 30)) * _signed(_MIX_1)
    value = (value ^ _shift_right(value, 27)) * _signed(_MIX_2)
    return value ^ _shift_right(value, 31)


def _shift_right(value: Tensor, bits: int) -> Tensor:
    # torch has no unsigned 64-bit arithmetic: its >> copies the sign bit, which is masked off again.
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
