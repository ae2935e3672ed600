"""torchvision's families of networks: where each is cut, and where its layer groups begin.

Groups: resnet, squeezenet, densenet, vgg with BatchNorm, alexnet and mobilenet_v2 as in fastai v1. The others have
three as well, the second of them from where maps are 1/16 of the picture (as resnet's), a ViT's from its middle.

Better than v1: resnext and wide_resnet have three groups instead of two; densenet keeps its last ReLU; vgg without
BatchNorm is in the table; shufflenet is more than its stem; mnasnet, vit and maxvit have bodies at all; googlenet and
inception_v3 run, as their auxiliary heads are left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from learnfleet.trainer.network import Boundaries, Meta
from learnfleet.trainer.vision_bodies import VisionTransformerBody, densenet_body, maxvit_body


def _at(*paths: tuple[int, ...]) -> Boundaries:
    """Groups begin at these children of children."""
    return lambda body: [_child(body, path) for path in paths]


def _child(module: nn.Module, path: Iterable[int]) -> nn.Module:
    for index in path:
        module = list(module.children())[index]
    return module


def _after_third_pool(body: nn.Module) -> list[nn.Module]:
    features = list(_child(body, (0,)).children())
    pools = [index for index, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d)]
    return [features[pools[2] + 1]]


def _middle_layer(body: nn.Module) -> list[nn.Module]:
    assert isinstance(body, VisionTransformerBody)
    layers = body.encoder.layers
    return [layers[len(layers) // 2]]


_RESNET = Meta(-2, _at((6,)))
_FOURTH_FEATURE = Meta(1, _at((0, 4)))
# Without weights these builders warn unless they are told how to initialise.
_NO_AUX = (("aux_logits", False), ("init_weights", True))

_BY_PREFIX: dict[str, Meta] = {
    "resnet": _RESNET,
    "resnext": _RESNET,
    "wide_resnet": _RESNET,
    "squeezenet": Meta(-1, _at((0, 5), (0, 8))),
    "densenet": Meta(densenet_body, _at((0, 7))),
    "vgg": Meta(-1, _after_third_pool),
    "alexnet": Meta(-1, _at((0, 6))),
    "mobilenet_v2": Meta(-1, _at((0, 10))),
    "mobilenet_v3_large": Meta(1, _at((0, 7))),
    "mobilenet_v3_small": _FOURTH_FEATURE,
    "mnasnet": Meta(-1, _at((0, 10))),
    "shufflenet_v2": Meta(-1, _at((3,))),
    "efficientnet": _FOURTH_FEATURE,
    "convnext": _FOURTH_FEATURE,
    "regnet": Meta(2, _at((1, 2))),
    "swin": Meta(3, _at((0, 4))),
    "vit": Meta(VisionTransformerBody, _middle_layer),
    "maxvit": Meta(maxvit_body, _at((1, 2))),
    "googlenet": Meta(-3, _at((7,)), _NO_AUX),
    "inception_v3": Meta(-3, _at((10,)), _NO_AUX),
}
_VGG_BN = Meta(-1, _at((0, 22)))


def meta_of(name: str) -> Meta:
    """The entry of a torchvision network; the default one for a name that is not in the table."""
    if name.startswith("vgg") and name.endswith("_bn"):
        return _VGG_BN
    return next((meta for prefix, meta in _BY_PREFIX.items() if name.startswith(prefix)), Meta())
