"""A network as its library builds it, before it is cut into a body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Cut = int | Callable[[nn.Module], nn.Module]
Boundaries = Callable[[nn.Module], list[nn.Module]]


class Architecture(Protocol):
    """A network for classification: `models.resnet18`, or a function of your own."""

    def __call__(self, pretrained: bool) -> nn.Module: ...


@dataclass(frozen=True)
class ChannelStats:
    """Mean and std per channel of pictures scaled to [0, 1]."""

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def no_boundaries(_body: nn.Module) -> list[nn.Module]:
    """The body is one layer group."""
    return []


@dataclass(frozen=True)
class Meta:
    """How a family is cut, and where in its body layer groups begin (fastai's `model_meta`)."""

    cut: Cut | None = None  # None: the last child that pools, and all after it, are left out
    boundaries: Boundaries = no_boundaries  # of the body; the head always begins a group of its own
    options: tuple[tuple[str, object], ...] = ()  # further arguments of the builder, without weights


@dataclass(frozen=True)
class Network:
    """A whole network."""

    name: str
    module: nn.Module
    meta: Meta = field(default_factory=Meta)
    stats: ChannelStats = field(default_factory=ChannelStats)
    classifier: tuple[str, ...] = ()  # names of the modules that classify, where the network says so
    side: int | None = None  # pixels of the pictures it was made for, where it says so
