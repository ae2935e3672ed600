"""Where in an encoder maps are about to shrink: what a U-Net takes its skip connections from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from learnfleet.trainer.bodies import blank_picture, has_pool_type, probe
from learnfleet.trainer.errors import LearnerError

_SHRINKS = 0.75  # to less than this: the unpadded convolutions of Inception take a pixel off, which is no step
Size = tuple[int, int]


@dataclass(frozen=True)
class Step:
    """The last module whose maps have a size."""

    module: nn.Module
    channels: int
    size: Size  # rows, columns, for the blank picture it was found with
    channels_last: bool  # it gives [N, h, w, C], as the stages of a Swin do


def without_last_pool(encoder: nn.Module) -> nn.Module:
    """The encoder without a pooling layer at its end (vgg and alexnet have one), which would undo its sizes."""
    children = list(encoder.children())
    if not is_plain_sequence(encoder) or len(children) < 2:
        return encoder
    pools = has_pool_type(children[-1]) and not list(children[-1].parameters())
    return nn.Sequential(*children[:-1]) if pools else encoder


def is_plain_sequence(module: nn.Module) -> bool:
    """Whether it runs its children one after the other and does nothing else."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def find_steps(encoder: nn.Module) -> tuple[list[Step], Size]:
    """The modules that give the last maps of each size but the smallest, largest maps first, and the picture's size.

    Raises LearnerError when there is none.
    """
    name = type(encoder).__name__
    side = probe(name, encoder).side
    outputs = _record(encoder, side)
    steps = [now for now, after in pairwise(outputs) if after.size[0] <= _SHRINKS * now.size[0]]
    if not steps:
        raise LearnerError(
            "architecture",
            f"the maps of {name} do not shrink in steps, so a U-Net has nothing to join: choose a convolutional body",
        )
    return steps, (side, side)


def _record(encoder: nn.Module, side: int) -> list[Step]:
    """What each part of the encoder gives for a blank picture, in the order they run."""
    found: list[Step] = []
    handles = [part.register_forward_hook(lambda m, _, out: found.extend(_step(m, out))) for part in _parts(encoder)]
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            encoder(blank_picture(encoder, side))
    finally:
        encoder.train(was_training)
        for handle in handles:
            handle.remove()
    runs = Counter(id(step.module) for step in found)
    return [
        step for step in found if runs[id(step.module)] == 1
    ]  # one used twice, as an activation may be, is no place


def _parts(encoder: nn.Module) -> Iterator[nn.Module]:
    """The encoder's children, and theirs in place of those that are plain sequences. A mere wrapper is looked into."""
    children = list(encoder.children())
    while len(children) == 1 and list(children[0].children()):
        children = list(children[0].children())
    for child in children:
        yield from _flattened(child)


def _flattened(module: nn.Module) -> Iterator[nn.Module]:
    if not is_plain_sequence(module):
        yield module
        return
    for child in module.children():
        yield from _flattened(child)


def _step(module: nn.Module, output: object) -> list[Step]:
    if not isinstance(output, Tensor) or output.ndim != 4:
        return []
    _, first, second, third = output.shape
    if second == third:
        return [Step(module, first, (second, third), channels_last=False)]
    return [Step(module, third, (first, second), channels_last=True)] if first == second else []
