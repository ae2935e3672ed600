"""What an architecture is, found out without its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

import torch
from torch import nn

from learnfleet.trainer.architectures import build_network, check_name
from learnfleet.trainer.bodies import Body, body_of_network, build_body
from learnfleet.trainer.body_info import BodyInfo
from learnfleet.trainer.encoder_steps import find_steps, without_last_pool
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.layer_groups import split_model
from learnfleet.trainer.weights import tensors_of

T = TypeVar("T")


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
    return _without_memory(lambda: _describe(name))


def describe_body(name: str, cut: int | None = None) -> BodyInfo:
    """What a learner on this body has for layer groups, and what a file of its weights must hold.

    Args:
        cut: where the body ends. None: the family's rule.

    Costs and errors as `describe_architecture`.
    """
    check_name(name)
    return _without_memory(lambda: _describe_body(name, cut))


def _without_memory(describe: Callable[[], T]) -> T:
    try:
        with torch.device("meta"):
            return describe()
    except (LearnerError, RuntimeError, NotImplementedError):  # some make real tensors in their forward
        with torch.random.fork_rng(devices=[]):
            return describe()


def _describe_body(name: str, cut: int | None) -> BodyInfo:
    network = build_network(name, pretrained=False)
    body = body_of_network(network, cut)
    head = nn.Linear(1, 1)
    groups = split_model(nn.Sequential(body.module, head), [*body.boundaries(body.module), head])
    return BodyInfo(len(groups), tensors_of(network, body.module))


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
