"""Networks of pytorchcv, as `pytorchcv/<name>`. An extra: `pip install learnfleet[pytorchcv]`."""

from __future__ import annotations

import functools
import re

from torch import nn

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.network import ChannelStats, Meta, Network

PREFIX = "pytorchcv/"
FOLDER = "~/.torch/models"  # where it looks for weights before it fetches them
# Not for classifying pictures: segmentation, detection, poses, flow, speech. And those whose features are no one row.
_OTHER = re.compile(
    r"_(voc|coco|ade20k|cityscapes|celebamaskhq|widerface|things|rfc|ip)$|_cub$"
    r"|^(jasper|quartznet|propainter|msdnet|raft|espnetv2|fractalnet|irevnet|resnetd\d+b$)"
    r"|^(pfpcnet|voca8flame|nvpattexp116bazel76|visemenet20|superpointnet)$"
)
_CIFAR = ChannelStats((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
_POOL = "final_pool"


@functools.cache
def names() -> frozenset[str]:
    """Every classification network. Empty where the package is missing."""
    try:
        from pytorchcv import model_provider
    except ImportError:
        return frozenset()
    known = getattr(model_provider, "_models", {})  # it has no public list
    return frozenset(PREFIX + name for name in known if not _OTHER.search(name))


def build(name: str, pretrained: bool) -> Network:
    """The network, with pytorchcv's weights when `pretrained`. Raises LearnerError where it has no row of features."""
    from pytorchcv.model_provider import get_model

    module = get_model(name.removeprefix(PREFIX), pretrained=pretrained)
    stats = _CIFAR if "_cifar" in name else ChannelStats()
    side = getattr(module, "in_size", (None,))[0]
    return Network(name, module, Meta(_features, _third_stage), stats, ("output",), side)


def _features(module: nn.Module) -> nn.Module:
    features = getattr(module, "features", None)
    if not isinstance(features, nn.Module):
        raise LearnerError("architecture", f"{type(module).__name__} of pytorchcv has no row of features: give `cut`")
    if hasattr(features, _POOL):
        setattr(features, _POOL, nn.Identity())  # not deleted: some of these containers count their children
    return features


def _third_stage(body: nn.Module) -> list[nn.Module]:
    stage = getattr(body, "stage3", None)
    return [stage] if isinstance(stage, nn.Module) else []
