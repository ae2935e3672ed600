"""From a network to a body: the part that turns pictures into feature maps."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import NamedTuple, TypedDict

import torch
from torch import nn

from learnfleet.trainer.architectures import build_network
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.network import Architecture, Boundaries, ChannelStats, Cut, Network, no_boundaries
from learnfleet.trainer.spec import WeightsSpec
from learnfleet.trainer.weights import load_body_weights

_POOLS = ("Pool1d", "Pool2d", "Pool3d")
_SIDES = (64, 128, 224, 256, 384, 512, 1024, 2048)  # pixels
Pretrained = bool | WeightsSpec | str | Path


@dataclass(frozen=True)
class Body:
    """A network without its classifier."""

    name: str
    module: nn.Module  # pictures [N, 3, H, W] to features [N, channels, h, w]
    channels: int
    boundaries: Boundaries  # of the module: where layer groups begin
    pretrained_stats: ChannelStats  # what the library's weights want pictures to be normalised with
    has_weights: bool

    @property
    def stats(self) -> ChannelStats:
        """What pictures are to be normalised with: as the weights want it, or ImageNet's where there are none."""
        return self.pretrained_stats if self.has_weights else ChannelStats()


class CnnConfig(TypedDict):
    """How a family is cut and split."""

    cut: Cut | None
    split: Boundaries  # of Sequential(body, head)


def cnn_config(arch: str | Architecture) -> CnnConfig:
    """The entry of an architecture in the table of families (fastai v1; without its side effect on cuDNN)."""
    meta = build_network(arch, pretrained=False).meta
    return {"cut": meta.cut, "split": lambda model: [*meta.boundaries(_child(model, 0)), _child(model, 1)]}


def _child(model: nn.Module, index: int) -> nn.Module:
    return list(model.children())[index]


def build_body(
    architecture: str | Architecture | nn.Module, weights: WeightsSpec | None = None, cut: Cut | None = None
) -> Body:
    """Build an architecture and cut its classifier off. Raises LearnerError (unknown name, weights, nothing to cut)."""
    weights = weights or WeightsSpec()
    return body_of_network(build_network(architecture, pretrained=weights.kind == "pretrained"), cut, weights)


def body_of_network(network: Network, cut: Cut | None = None, weights: WeightsSpec | None = None) -> Body:
    """Cut the classifier off a network that has been built, and load its weights where they are in a file."""
    weights = weights or WeightsSpec()
    module = cut_body(network, cut)
    if weights.kind == "file":
        if weights.path is None:
            raise LearnerError("weights.path", "kind `file` needs a path")
        load_body_weights(network, module, Path(weights.path))
    has_weights = weights.kind != "none"
    channels = count_channels(network.name, module, network.side)
    return Body(network.name, module, channels, _boundaries_within(network, cut), network.stats, has_weights)


def create_body(
    arch: str | Architecture | nn.Module, pretrained: Pretrained = True, cut: Cut | None = None
) -> nn.Module:
    """An architecture without its classifier (fastai v1 `create_body`).

    Args:
        arch: a name (`resnet18`, `timm/<name>`, `pytorchcv/<name>`), `models.resnet18`, a function
            `(pretrained) -> nn.Module`, or a network, which is then used as it is.
        pretrained: True takes the library's weights, a path those of a local file.
        cut: an int keeps `children()[:cut]`, a function of the network gives the body, None follows the table of
            families, and for others keeps what is before the last child that pools.

    Raises:
        TypeError: `cut` is neither int nor function.
        LearnerError: unknown name, weights that cannot be had or do not fit, nothing to cut at.
    """
    return build_body(arch, as_weights(pretrained), cut).module


def as_weights(pretrained: Pretrained) -> WeightsSpec:
    """What `cnn_learner` takes as `pretrained`, as a spec."""
    if isinstance(pretrained, WeightsSpec):
        return pretrained
    if isinstance(pretrained, str | Path):
        return WeightsSpec("file", str(pretrained))
    return WeightsSpec("pretrained" if pretrained else "none")


def _boundaries_within(network: Network, cut: Cut | None) -> Boundaries:
    """The family's boundaries are places in the body of its own cut. A cut of one's own may not reach them."""
    if cut is None:
        return network.meta.boundaries
    if callable(cut) or callable(network.meta.cut):
        return no_boundaries
    return lambda body: _existing(network.meta.boundaries, body)


def _existing(boundaries: Boundaries, body: nn.Module) -> list[nn.Module]:
    try:
        return boundaries(body)
    except IndexError:
        return []


def cut_body(network: Network, cut: Cut | None = None) -> nn.Module:
    """The network without its classifier: pictures [N, 3, H, W] in, a feature map [N, C, h, w] out."""
    cut = network.meta.cut if cut is None else cut
    children = list(network.module.children())
    if cut is None:
        cut = _last_pooling_child(network.name, children)
    if isinstance(cut, Integral) and not isinstance(cut, bool):
        return _children_before(network.name, children, int(cut))
    if callable(cut):
        return cut(network.module)
    raise TypeError(f"cut must be an int or a function of the model, not {type(cut).__name__}")


def _children_before(name: str, children: list[nn.Module], cut: int) -> nn.Sequential:
    if not children[:cut]:
        raise LearnerError("cut", f"children()[:{cut}] of {name} is empty, as it has {len(children)} children")
    return nn.Sequential(*children[:cut])


def has_pool_type(module: nn.Module) -> bool:
    """Whether the module is, or holds at any depth, a pooling layer (by class name: …Pool1d, …Pool2d or …Pool3d)."""
    return any(type(part).__name__.endswith(_POOLS) for part in module.modules())


def _last_pooling_child(name: str, children: list[nn.Module]) -> int:
    pooling = [index for index, child in enumerate(children) if has_pool_type(child)]
    if not pooling:
        raise LearnerError("architecture", f"{name} has no child that pools, so its body has no known end: give `cut`")
    if pooling[-1] == 0:
        raise LearnerError(
            "architecture", f"{name} pools last in its first child, so nothing would be left of it: give `cut`"
        )
    return pooling[-1]


def num_features_model(m: nn.Module) -> int:
    """Channels of a body's feature map (fastai v1 `num_features_model`)."""
    return count_channels(type(m).__name__, m)


def count_channels(name: str, body: nn.Module, side: int | None = None) -> int:
    """Channels of the feature map, found by running a blank picture of 64 pixels, then larger ones until one fits.

    Args:
        side: pixels of the pictures it is known to take.

    Raises LearnerError when none fits or the output is not [1, C, h, w].
    """
    return probe(name, body, side).maps.shape[1]


class Probe(NamedTuple):
    """What a body makes of the smallest blank picture that it takes."""

    maps: torch.Tensor  # [1, C, h, w]
    side: int  # of the picture, pixels


def probe(name: str, body: nn.Module, side: int | None = None) -> Probe:
    """Run a body on blank pictures, in eval mode. See `count_channels`."""
    was_training = body.training
    body.eval()
    try:
        output, pixels = _run_blank(name, body, side)
    finally:
        body.train(was_training)
    if not isinstance(output, torch.Tensor) or output.ndim != 4:
        shape = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise LearnerError("architecture", f"the body of {name} gives {shape}, not maps [N, C, h, w]: give `cut`")
    return Probe(output, pixels)


def _run_blank(name: str, body: nn.Module, side: int | None) -> tuple[object, int]:
    failure: Exception | None = None
    for pixels in sorted({*_SIDES, *([side] if side else [])}):
        try:
            with torch.no_grad():
                return body(blank_picture(body, pixels)), pixels
        except NotImplementedError as error:  # a ModuleList inside the cut: no size will help
            failure = error
            break
        except (RuntimeError, ValueError, AssertionError, IndexError, TypeError) as error:
            failure = error
    raise LearnerError("architecture", f"the body of {name} does not run on pictures ({failure}): give `cut`")


def blank_picture(body: nn.Module, side: int) -> torch.Tensor:
    """Zeros [1, 3, side, side] where the body is."""
    device = next((parameter.device for parameter in body.parameters()), torch.device("cpu"))
    return torch.zeros(1, 3, side, side, device=device)
