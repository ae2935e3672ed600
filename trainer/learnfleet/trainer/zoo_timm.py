"""Networks of timm, as `timm/<name>`. timm takes the classifier off itself."""

from __future__ import annotations

import functools
from typing import Any

from torch import nn

from learnfleet.trainer.network import Boundaries, ChannelStats, Meta, Network
from learnfleet.trainer.vision_bodies import ChannelsFirst, TokenMap

PREFIX = "timm/"
# Modules of timm all of whose networks give tokens in no order that makes a map, lists, or nothing without pooling.
_WITHOUT_MAP = (
    *("cait", "coat", "convit", "crossvit", "deepseek_vit", "efficientformer", "efficientvim", "efficientvit_mit"),
    *("gemma4_vit", "hiera", "inception_next", "levit", "mlp_mixer", "mvitv2", "naflexvit", "pit", "qwen3_vit"),
    *("tnt", "twins", "vitamin", "volo", "xcit"),
)
_STAGES = ("layers", "stages", "blocks", "features")


@functools.cache
def names() -> frozenset[str]:
    """Every network that gives a feature map, or tokens that can be laid out as one. Empty where timm is missing."""
    try:
        import timm
    except ImportError:
        return frozenset()
    left_out = {
        name for module in _WITHOUT_MAP if module in timm.list_modules() for name in timm.list_models(module=module)
    }
    usable = (name for name in timm.list_models() if name not in left_out and "_distilled_" not in name)
    return frozenset(PREFIX + name for name in usable)


def has_tag(name: str) -> bool:
    """Whether it is a usable network with one of timm's sets of weights, as `timm/resnet18.a1_in1k`."""
    network, _, tag = name.partition(".")
    if not tag or network not in names():
        return False
    import timm

    return name.removeprefix(PREFIX) in timm.list_pretrained(network.removeprefix(PREFIX) + "*")


def tagged_names() -> frozenset[str]:
    """The same networks with each of timm's sets of weights."""
    usable = names()
    if not usable:
        return frozenset()
    import timm

    return frozenset(PREFIX + name for name in timm.list_pretrained() if PREFIX + name.partition(".")[0] in usable)


def is_known(name: str) -> bool:
    """Whether timm has it at all, with a map or without."""
    if not name.startswith(PREFIX):
        return False
    try:
        import timm
    except ImportError:
        return False
    return bool(timm.is_model(name.removeprefix(PREFIX)))


def build(name: str, pretrained: bool) -> Network:
    """The network without classifier and pooling, with timm's weights when `pretrained`."""
    import timm

    module = timm.create_model(name.removeprefix(PREFIX), pretrained=pretrained, num_classes=0, global_pool="")
    config: dict[str, Any] = getattr(module, "pretrained_cfg", {})
    classifier = config.get("classifier") or ()
    meta = Meta(_as_maps, _boundaries(module))
    return Network(
        name,
        module,
        meta,
        ChannelStats(tuple(config["mean"]), tuple(config["std"])),
        (classifier,) if isinstance(classifier, str) else tuple(classifier),
        int(config["input_size"][-1]),
    )


def _as_maps(module: nn.Module) -> nn.Module:
    if getattr(module, "output_fmt", None) == "NHWC":
        return ChannelsFirst(module)
    grid = getattr(getattr(module, "patch_embed", None), "grid_size", None)
    prefix = getattr(module, "num_prefix_tokens", None)
    if grid is not None and isinstance(prefix, int):
        return TokenMap(module, prefix, tuple(grid))
    return module


def _boundaries(module: nn.Module) -> Boundaries:
    """The second layer group begins in the middle of the stages: at 1/16 of the picture in most families."""
    third = getattr(module, "layer3", getattr(module, "s3", None))
    if isinstance(third, nn.Module):
        return lambda _: [third]
    stages = next((stages for name in _STAGES if isinstance(stages := getattr(module, name, None), nn.Module)), None)
    parts = list(stages.children()) if stages is not None else []
    return lambda _: parts[len(parts) // 2 :][:1]
