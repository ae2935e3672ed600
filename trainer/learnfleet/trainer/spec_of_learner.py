"""What a learner that was made from names can be made from again, as a LearnerSpec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from learnfleet.trainer.architectures import name_of
from learnfleet.trainer.head import INITS, Init
from learnfleet.trainer.layer_groups import SplitOn, boundary_names
from learnfleet.trainer.loss_functions import (
    BCEFlat,
    BCEWithLogitsFlat,
    CrossEntropyFlat,
    DiceLoss,
    FocalLoss,
    L1LossFlat,
    LabelSmoothingCrossEntropy,
    MSELossFlat,
)
from learnfleet.trainer.losses import Loss, build_loss, registered_loss
from learnfleet.trainer.network import Architecture, Cut
from learnfleet.trainer.spec import Component, DataSpec, HeadSpec, LearnerSpec, OptimizerSpec, UnetSpec, WeightsSpec

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


def describe_head(
    lin_ftrs: Sequence[int] | None,
    ps: float | Sequence[float],
    concat_pool: bool,
    bn_final: bool,
    init: Init | None,
) -> HeadSpec:
    """`create_head` arguments as a spec. An `init` of the user's own is left out: trained weights do not need it."""
    dropouts = (float(ps),) if isinstance(ps, int | float) else tuple(ps)
    init_name = next((name for name, known in INITS.items() if known is init), None)
    return HeadSpec(tuple(lin_ftrs) if lin_ftrs is not None else None, dropouts, concat_pool, bn_final, init_name)


def spec_of_learner(
    learner: Learner,
    base_arch: str | Architecture | nn.Module,
    weights: WeightsSpec,
    cut: Cut | None,
    split_on: SplitOn | None,
    *,
    head: HeadSpec | None = None,
    unet: UnetSpec | None = None,
) -> LearnerSpec | None:
    """The spec that an export carries, or None where names do not suffice to build the learner again.

    See `own_parts` for which. Loss and data are those of now, and looked at again when it is exported. A `split_on` of
    lists of modules is left out: it changes how the model trains, not what it is.
    """
    name = None if isinstance(base_arch, nn.Module) else name_of(base_arch)
    data = getattr(learner.data, "spec", None)
    if learner.own_parts or name is None or callable(cut) or not isinstance(data, DataSpec):
        return None
    return LearnerSpec(
        data,
        name,
        weights,
        head or HeadSpec(),
        loss=describe_loss(learner.loss_func),
        optimizer=_describe_optimizer(learner),
        train_bn=learner.train_bn,
        seed=learner.seed,
        kind="cnn" if unet is None else "unet",
        cut=cut,
        split=None if split_on is None else boundary_names(learner.model, split_on),
        unet=unet or UnetSpec(),
    )


def _describe_optimizer(learner: Learner) -> OptimizerSpec:
    """The optimiser; the default one where it is of the user's own, which leads to no name."""
    given = learner.opt_func
    if given.arguments is None:
        return OptimizerSpec()
    wd = float(learner.wd) if isinstance(learner.wd, int | float) else tuple(learner.wd)
    return OptimizerSpec(given.name, wd, learner.true_wd, learner.bn_wd, dict(given.arguments))


def own_parts(
    base_arch: str | Architecture | nn.Module, cut: Cut | None, custom_head: nn.Module | None = None
) -> tuple[str, ...]:
    """The parts of a model that no name leads to, each with what to do about it."""
    parts = []
    if isinstance(base_arch, nn.Module) or name_of(base_arch) is None:
        what = type(base_arch).__name__ if isinstance(base_arch, nn.Module) else getattr(base_arch, "__name__", "it")
        parts.append(
            f"architecture: {what} has no registered name; put a function (pretrained) -> nn.Module that builds it into"
            " the entry-point group learnfleet.architectures, and give its name"
        )
    if callable(cut):
        parts.append("cut: a function; give an int, or register an architecture whose body needs no cut")
    if custom_head is not None:
        parts.append("custom_head: a module; describe the head by lin_ftrs, ps, concat_pool and bn_final")
    return tuple(parts)


# The arguments that decide what outputs mean. Class weights and the like shape the training alone, and have no names.
_LOSSES: dict[type, tuple[str, tuple[str, ...]]] = {
    CrossEntropyFlat: ("cross_entropy", ("axis", "ignore_index")),
    LabelSmoothingCrossEntropy: ("label_smoothing", ("eps",)),
    FocalLoss: ("focal", ("gamma", "axis")),
    DiceLoss: ("dice", ("axis",)),
    BCEWithLogitsFlat: ("bce_with_logits", ("thresh",)),
    BCEFlat: ("bce", ()),
    MSELossFlat: ("mse", ()),
    L1LossFlat: ("l1", ()),
}


def describe_loss(loss: Loss) -> Component | None:
    """A loss by its registered name, with the arguments that are not its defaults; None for one of the user's own."""
    name, arguments = _LOSSES.get(type(loss)) or registered_loss(loss)
    if name is None:
        return None
    default = build_loss(name)
    given = {key: getattr(loss, key) for key in arguments}
    return Component(name, {key: value for key, value in given.items() if value != getattr(default, key)})
