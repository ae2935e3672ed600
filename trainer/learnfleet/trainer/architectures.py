"""Which networks there are, by name, and how each is cut into a body.

Names: torchvision's (`resnet18`), `timm/<name>`, and those that installed packages declare in the entry-point group
`learnfleet.architectures` (a callable `(pretrained: bool) -> nn.Module`).
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

import torch
import torchvision
from torch import nn

from learnfleet.trainer.errors import LearnerError

ENTRY_POINT_GROUP = "learnfleet.architectures"
TIMM_PREFIX = "timm/"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Cut = int | Callable[[nn.Module], nn.Module]
Boundaries = Callable[[nn.Sequential], list[nn.Module]]

_log = logging.getLogger(__name__)


class Architecture(Protocol):
    """A network for classification: `resnet18` of torchvision, or a function of your own."""

    def __call__(self, pretrained: bool) -> nn.Module: ...


@dataclass(frozen=True)
class ChannelStats:
    """Mean and std per channel of pictures scaled to [0, 1]."""

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


@dataclass(frozen=True)
class Meta:
    """How a family is cut, and where its layer groups begin (fastai's `model_meta`)."""

    cut: Cut | None = None  # None: the last child that pools, and all after it, are left out
    boundaries: Boundaries = lambda model: [model[1]]
    options: tuple[tuple[str, object], ...] = ()  # further arguments of the torchvision builder


@dataclass(frozen=True)
class Network:
    """A whole network, before it is cut."""

    name: str
    module: nn.Module
    meta: Meta
    stats: ChannelStats
    classifier: tuple[str, ...] = ()  # names of the modules that classify, where the network says so
    is_body: bool = False  # timm builds bodies itself


def _third(model: nn.Sequential) -> list[nn.Module]:
    return [_at(model, 0, 6), model[1]]


def _at(model: nn.Module, *indices: int) -> nn.Module:
    for index in indices:
        assert isinstance(model, nn.Sequential)
        model = model[index]
    return model


def _inside(*indices: int) -> Boundaries:
    """Boundaries at these children of the body's first child, and at the head."""
    return lambda model: [*(_at(model, 0, 0, index) for index in indices), model[1]]


_RESNET = Meta(-2, _third)
_NO_AUX = (("aux_logits", False), ("init_weights", True))
_META: dict[str, Meta] = {
    **dict.fromkeys(("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"), _RESNET),
    **dict.fromkeys(("squeezenet1_0", "squeezenet1_1"), Meta(-1, _inside(5, 8))),
    **dict.fromkeys(("densenet121", "densenet161", "densenet169", "densenet201"), Meta(-1, _inside(7))),
    **dict.fromkeys(("vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"), Meta(-1, _inside(22))),
    "alexnet": Meta(-1, _inside(6)),
    "mobilenet_v2": Meta(-1, _inside(10)),
    # The default rule would keep the stem alone: the only pooling child of ShuffleNet is its second.
    **dict.fromkeys((f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")), Meta(-1)),
    # Auxiliary heads cannot run inside a Sequential body.
    **dict.fromkeys(("googlenet", "inception_v3"), Meta(options=_NO_AUX)),
}
# These have no feature map to cut at: they need a cut of the user's own.
_UNCUTTABLE = ("vit_", "mnasnet", "maxvit_")


def available_architectures() -> list[str]:
    """Every name that `spec.architecture` may hold here, sorted. The first call imports timm (seconds)."""
    return sorted({*_torchvision_names(), *_timm_names(), *_plugins()})


@functools.cache
def _torchvision_names() -> frozenset[str]:
    names = torchvision.models.list_models(module=torchvision.models)
    return frozenset(name for name in names if not name.startswith(_UNCUTTABLE))


@functools.cache
def _timm_names() -> frozenset[str]:
    try:
        import timm
    except ImportError:
        return frozenset()
    return frozenset(TIMM_PREFIX + name for name in timm.list_models())


@functools.cache
def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def build_network(architecture: str | Architecture, pretrained: bool) -> Network:
    """Build the network, with the library's weights when `pretrained` (downloaded where not cached).

    Raises LearnerError for a name that is not known, and when the weights cannot be had.
    """
    try:
        return _build(architecture, pretrained)
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        raise LearnerError(
            "weights",
            f"the pretrained weights of {_name_of(architecture)} cannot be had ({error}). Give a local file"
            " instead, put them in the library's cache (TORCH_HOME or HF_HOME), or choose none",
        ) from error


def _name_of(architecture: str | Architecture) -> str:
    return architecture if isinstance(architecture, str) else str(getattr(architecture, "__name__", architecture))


def _build(architecture: str | Architecture, pretrained: bool) -> Network:
    name = _name_of(architecture)
    if not isinstance(architecture, str):
        builder = getattr(torchvision.models, name, None)
        if builder is not architecture:
            return Network(name, architecture(pretrained), Meta(), ChannelStats())
    if name.startswith(TIMM_PREFIX):
        return _build_timm(name, pretrained)
    if name in _plugins():
        return Network(name, _plugins()[name].load()(pretrained), Meta(), ChannelStats())
    return _build_torchvision(name, pretrained)


def _build_torchvision(name: str, pretrained: bool) -> Network:
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise unknown_architecture(name)
    meta = _META.get(name, Meta())
    weights = torchvision.models.get_model_weights(name).DEFAULT
    preset = weights.transforms()
    options = {} if pretrained else dict(meta.options)  # with weights, torchvision removes auxiliary heads itself
    if pretrained and meta.options:
        options = {"aux_logits": False}
    module = torchvision.models.get_model(name, weights=weights if pretrained else None, **options)
    return Network(name, module, meta, ChannelStats(tuple(preset.mean), tuple(preset.std)))


def _build_timm(name: str, pretrained: bool) -> Network:
    if name not in _timm_names():
        raise unknown_architecture(name)
    import timm

    module = timm.create_model(name.removeprefix(TIMM_PREFIX), pretrained=pretrained, num_classes=0, global_pool="")
    config: dict[str, Any] = getattr(module, "pretrained_cfg", {})
    classifier = config.get("classifier") or ()
    names = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return Network(name, module, Meta(), ChannelStats(tuple(config["mean"]), tuple(config["std"])), names, is_body=True)


def unknown_architecture(name: str) -> LearnerError:
    """The error for a name nobody knows, with the nearest ones."""
    import difflib

    near = difflib.get_close_matches(name, available_architectures(), n=3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    return LearnerError("architecture", f"there is no {name!r}; {hint}names are torchvision's, or timm/<name>")


def cut_body(network: Network, cut: Cut | None = None) -> nn.Module:
    """The network without its classifier: pictures [N, 3, H, W] in, a feature map [N, C, h, w] out.

    Args:
        cut: an int keeps `children[:cut]`, a callable gives the body itself, None follows the family's rule.

    Raises:
        TypeError: `cut` is neither.
        LearnerError: there is nothing to cut at.
    """
    if cut is None and network.is_body:
        return network.module
    cut = network.meta.cut if cut is None else cut
    children = list(network.module.children())
    if cut is None:
        cut = _last_pooling_child(network.name, children)
    if isinstance(cut, int):
        return nn.Sequential(*children[:cut])
    if callable(cut):
        return cut(network.module)
    raise TypeError(f"cut must be an int or a function of the model, not {type(cut).__name__}")


def _last_pooling_child(name: str, children: list[nn.Module]) -> int:
    for index in range(len(children) - 1, -1, -1):
        if any(type(module).__name__.endswith(("Pool1d", "Pool2d", "Pool3d")) for module in children[index].modules()):
            return index
    raise LearnerError("architecture", f"{name} has no child that pools, so its body has no known end: give `cut`")


def count_channels(name: str, body: nn.Module) -> int:
    """Channels of the feature map, found by running a blank picture of 64 pixels, doubling until one fits.

    Raises LearnerError when none fits or the output is not [1, C, h, w].
    """
    was_training = body.training
    body.eval()
    try:
        output = _probe(name, body)
    finally:
        body.train(was_training)
    if not isinstance(output, torch.Tensor) or output.ndim != 4:
        shape = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise LearnerError("architecture", f"the body of {name} gives {shape}, not maps [N, C, h, w]: give `cut`")
    return output.shape[1]


def _probe(name: str, body: nn.Module) -> object:
    failure: Exception | None = None
    for side in (64, 128, 224, 256, 512, 1024, 2048):
        try:
            with torch.no_grad():
                return body(torch.zeros(1, 3, side, side))
        except NotImplementedError as error:  # a ModuleList inside the cut: no size will help
            failure = error
            break
        except (RuntimeError, ValueError, AssertionError, IndexError) as error:
            failure = error
    raise LearnerError("architecture", f"the body of {name} does not run on pictures ({failure}): give `cut`")
