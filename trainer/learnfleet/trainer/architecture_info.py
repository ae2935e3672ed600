"""What an architecture is, found out without its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch

from learnfleet.trainer.architectures import check_name
from learnfleet.trainer.bodies import Body, build_body
from learnfleet.trainer.encoder_steps import find_steps, without_last_pool
from learnfleet.trainer.errors import LearnerError


@dataclass(frozen=True)
class ArchitectureInfo:
    """A body, in numbers."""

    name: str
    parameters: int  # of the body
    channels: int  # of its feature map
    layer_groups: int  # with a head
    unet: bool  # whether its maps shrink in steps, as `unet_learner` needs
    mean: tuple[float, ...]  # what pictures are normalised with for its pretrained weights
    std: tuple[float, ...]

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def describe_architecture(name: str) -> ArchitectureInfo:
    """Say what `name` is. Takes no memory for weights where the network allows it, and fetches nothing.

    Raises LearnerError for a name that is unknown, or whose network gives no feature map.
    """
    check_name(name)
    try:
        with torch.device("meta"):
            return _describe(name)
    except (LearnerError, RuntimeError, NotImplementedError):  # some make real tensors in their forward
        with torch.random.fork_rng(devices=[]):
            return _describe(name)


def _describe(name: str) -> ArchitectureInfo:
    body = build_body(name)
    return ArchitectureInfo(
        name,
        sum(parameter.numel() for parameter in body.module.parameters()),
        body.channels,
        len(body.boundaries(body.module)) + 2,
        _has_steps(body),
        body.pretrained_stats.mean,
        body.pretrained_stats.std,
    )


def _has_steps(body: Body) -> bool:
    try:
        find_steps(without_last_pool(body.module))
    except LearnerError:
        return False
    return True
