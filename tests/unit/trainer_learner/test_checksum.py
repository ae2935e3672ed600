"""A checksum of tensors changes with all that may be different about them, and with nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from learnfleet.trainer.checksum import checksum


def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "weight": torch.randn(4, 3, 5, 5, generator=generator),
        "half": torch.randn(7, generator=generator).bfloat16(),
        "batches": torch.tensor(3),
        "mask": torch.tensor([True, False]),
        "nothing": torch.empty(0),
    }


def test_equal_tensors_have_one_checksum_however_they_are_laid_out() -> None:
    others = tensors()
    others["weight"] = others["weight"].to(memory_format=torch.channels_last).requires_grad_()
    assert checksum(others) == checksum(tensors())


def test_every_difference_changes_it() -> None:
    found = {tuple(checksum(tensors()))}
    for name, value in tensors().items():
        if value.numel():
            flipped = value.clone()
            flipped.view(-1).view(torch.uint8)[0] ^= 1
            found.add(tuple(checksum({**tensors(), name: flipped})))
    zeros, weight = {"x": torch.zeros(6)}, tensors()["weight"]
    others: list[dict[str, Tensor]] = [
        zeros,
        {"y": torch.zeros(6)},
        {"x": torch.zeros(2, 3)},
        {"x": torch.zeros(6, dtype=torch.float64)},
        {"x": torch.zeros(6, dtype=torch.int32)},
        {**zeros, "empty": torch.empty(0)},
        {"x": -torch.zeros(6)},
        {"x": weight},
        {"x": weight.flip(0)},
    ]
    found |= {tuple(checksum(other)) for other in others}
    assert len(found) == 1 + 4 + len(others)
    assert all(0 <= part < 2**62 for told in found for part in told)
