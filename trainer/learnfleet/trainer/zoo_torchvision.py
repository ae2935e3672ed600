"""Networks of torchvision, by its names."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
import torchvision
from torch import nn

from learnfleet.trainer.model_meta import meta_of
from learnfleet.trainer.network import ChannelStats, Network

# With their weights these normalise their input once more, from ImageNet's statistics to this range. A body cut out of
# them does not, so it is given pictures in this range at once.
_STATS = dict.fromkeys(("googlenet", "inception_v3"), ChannelStats((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))
_AUXILIARY = ("aux1", "aux2", "AuxLogits")  # heads that help in training from nothing, and cannot run in a body


@functools.cache
def names() -> frozenset[str]:
    """Every classification network."""
    return frozenset(torchvision.models.list_models(module=torchvision.models))


def address(name: str) -> str:
    """Where a network's weights are fetched from."""
    return str(torchvision.models.get_model_weights(name).DEFAULT.url)


def folder() -> Path:
    """Where weights are looked for before they are fetched."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def build(name: str, pretrained: bool) -> Network:
    """The network, with torchvision's default weights when `pretrained`."""
    meta = meta_of(name)
    weights = torchvision.models.get_model_weights(name).DEFAULT
    preset = weights.transforms()
    if pretrained:
        module = torchvision.models.get_model(name, weights=weights)
    else:
        module = torchvision.models.get_model(name, weights=None, **dict(meta.options))
    for head in _AUXILIARY:
        if isinstance(getattr(module, head, None), nn.Module):
            setattr(module, head, None)
    stats = _STATS.get(name, ChannelStats(tuple(preset.mean), tuple(preset.std)))
    return Network(name, module, meta, stats, side=preset.crop_size[0])
