"""From an architecture to a model that can be trained: body, head, layer groups, `cnn_learner`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from learnfleet.trainer.architectures import (
    Architecture,
    Boundaries,
    ChannelStats,
    Cut,
    Meta,
    build_network,
    count_channels,
    cut_body,
)
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.head import Init, create_head, init_head
from learnfleet.trainer.layer_groups import SplitOn
from learnfleet.trainer.learner import Learner, LearnerData
from learnfleet.trainer.loss_functions import CrossEntropyFlat
from learnfleet.trainer.losses import Loss
from learnfleet.trainer.optimizer import Adam, OptFunc
from learnfleet.trainer.spec import DataSpec, HeadSpec, LearnerSpec, WeightsSpec
from learnfleet.trainer.weights import load_body_weights


@dataclass(frozen=True)
class Body:
    """A network without its classifier."""

    module: nn.Module  # pictures [N, 3, H, W] to features [N, channels, h, w]
    channels: int
    boundaries: Boundaries  # of (body, head): where layer groups begin
    stats: ChannelStats  # what its weights want pictures to be normalised with
    has_weights: bool


def create_body(architecture: str | Architecture, weights: WeightsSpec | None = None, cut: Cut | None = None) -> Body:
    """Build an architecture and cut its classifier off. Raises LearnerError (unknown name, weights, nothing to cut)."""
    weights = weights or WeightsSpec()
    network = build_network(architecture, pretrained=weights.kind == "pretrained")
    module = cut_body(network, cut)
    if weights.kind == "file":
        if weights.path is None:
            raise LearnerError("weights.path", "kind `file` needs a path")
        load_body_weights(network, module, Path(weights.path))
    has_weights = weights.kind != "none"
    stats = network.stats if has_weights else ChannelStats()
    # The family's boundaries are places in the body that its own cut gives.
    boundaries = network.meta.boundaries if cut is None else Meta().boundaries
    return Body(module, count_channels(network.name, module), boundaries, stats, has_weights)


def create_cnn_model(
    body: Body,
    nc: int,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = 0.5,
    custom_head: nn.Module | None = None,
    bn_final: bool = False,
    concat_pool: bool = True,
) -> nn.Sequential:
    """The body and a head for `nc` outputs, as Sequential(body, head)."""
    features = body.channels * (2 if concat_pool else 1)
    return nn.Sequential(body.module, custom_head or create_head(features, nc, lin_ftrs, ps, concat_pool, bn_final))


def cnn_learner(
    data: LearnerData,
    base_arch: str | Architecture,
    cut: Cut | None = None,
    pretrained: bool | WeightsSpec | str | Path = True,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = 0.5,
    custom_head: nn.Module | None = None,
    split_on: SplitOn | None = None,
    bn_final: bool = False,
    init: Init | None = nn.init.kaiming_normal_,
    concat_pool: bool = True,
    *,
    opt_func: OptFunc | str = Adam,
    loss_func: Loss | None = None,
    metrics: object = None,
    true_wd: bool = True,
    bn_wd: bool = True,
    wd: float | Sequence[float] = 1e-2,
    train_bn: bool = True,
    path: Path | str | None = None,
    model_dir: str = "models",
    callback_fns: Sequence[Callable[[Learner], Callback]] = (),
    callbacks: Sequence[Callback] = (),
    add_time: bool = True,
    silent: bool = False,
    seed: int = 0,
) -> Learner:
    """A Learner for pictures on a (pretrained) body with a new head (fastai v1 `cnn_learner`).

    Args:
        base_arch: a name (`resnet18`, `timm/<name>`), or a function `(pretrained) -> nn.Module`.
        cut: where the body ends: an int (`children()[:cut]`) or a function of the model.
        pretrained: True takes the library's weights, a path those of a local file; the body is then frozen.
        init: initialisation of the head's weights; None leaves torch's.
        Others as in `create_head` and `Learner`.
    """
    body = create_body(base_arch, as_weights(pretrained), cut)
    model = create_cnn_model(body, data.c, lin_ftrs, ps, custom_head, bn_final, concat_pool)
    learner = Learner(
        data,
        model,
        opt_func,
        loss_func,
        metrics,
        true_wd,
        bn_wd,
        wd,
        train_bn,
        path,
        model_dir,
        callback_fns,
        callbacks,
        None,
        add_time,
        silent,
        seed,
    )
    learner.split(split_on or body.boundaries(model))
    if body.has_weights:
        learner.freeze()
    init_head(model[1], init)
    if cut is None and custom_head is None and isinstance(learner.loss_func, CrossEntropyFlat):
        learner.spec = _spec_of(
            learner, base_arch, HeadSpec(_as_tuple(lin_ftrs), _as_dropouts(ps), concat_pool, bn_final)
        )
    return learner


def _spec_of(learner: Learner, base_arch: str | Architecture, head: HeadSpec) -> LearnerSpec | None:
    """What an export needs to build the model again, where names suffice for that."""
    data = getattr(learner.data, "spec", None)
    if not isinstance(base_arch, str) or not isinstance(data, DataSpec):
        return None
    return LearnerSpec(data, base_arch, head=head, train_bn=learner.train_bn, seed=learner.seed)


def _as_tuple(widths: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if widths is None else tuple(widths)


def _as_dropouts(ps: float | Sequence[float]) -> tuple[float, ...]:
    return (float(ps),) if isinstance(ps, int | float) else tuple(ps)


def as_weights(pretrained: bool | WeightsSpec | str | Path) -> WeightsSpec:
    """What `cnn_learner` takes as `pretrained`, as a spec."""
    if isinstance(pretrained, WeightsSpec):
        return pretrained
    if isinstance(pretrained, bool):
        return WeightsSpec("pretrained" if pretrained else "none")
    return WeightsSpec("file", str(pretrained))


def describe_groups(learner: Learner) -> list[dict[str, Any]]:
    """Modules, parameters and trainable parameters of each layer group, as JSON-able data."""
    return [
        {
            "modules": len(group.modules),
            "parameters": sum(item.parameter.numel() for item in group.parameters()),
            "trainable": group.count_trainable(),
        }
        for group in learner.layer_groups
    ]
