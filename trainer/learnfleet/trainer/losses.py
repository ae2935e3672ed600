"""Losses by name, what they make of raw outputs (probabilities, predictions), and their value per item."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from learnfleet.trainer.arguments import check_arguments, describe_arguments
from learnfleet.trainer.batch import as_arguments, count_items
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.loss_functions import (
    NO_INDEX,
    BCEFlat,
    BCEWithLogitsFlat,
    CrossEntropyFlat,
    Decoding,
    DiceLoss,
    FocalLoss,
    L1LossFlat,
    LabelSmoothingCrossEntropy,
    MSELossFlat,
)

Loss = Callable[..., Tensor]
Activation = Callable[[Tensor], Tensor]
_EPS = 1e-7
_MODULES: dict[str, Callable[[], Loss]] = {
    "binary_cross_entropy_with_logits": nn.BCEWithLogitsLoss,
    "cross_entropy": nn.CrossEntropyLoss,
    "kl_div": nn.KLDivLoss,
    "nll_loss": nn.NLLLoss,
    "poisson_nll_loss": nn.PoissonNLLLoss,
}
ENTRY_POINT_GROUP = "learnfleet.losses"  # of classes, or functions that make a loss


def _cross_entropy(axis: int = -1, ignore_index: int = NO_INDEX) -> Loss:
    return CrossEntropyFlat(axis, ignore_index)


def _label_smoothing(eps: float = 0.1) -> Loss:
    return LabelSmoothingCrossEntropy(eps)


def _focal(gamma: float = 2.0, axis: int = -1) -> Loss:
    return FocalLoss(gamma, axis)


def _dice(axis: int = 1) -> Loss:
    return DiceLoss(axis)


def _bce_with_logits(thresh: float = 0.5) -> Loss:
    return BCEWithLogitsFlat(thresh)


def _bce() -> Loss:
    return BCEFlat()


def _mse() -> Loss:
    return MSELossFlat()


def _l1() -> Loss:
    return L1LossFlat()


_BUILT_IN: dict[str, Callable[..., Loss]] = {
    "bce": _bce,
    "bce_with_logits": _bce_with_logits,
    "cross_entropy": _cross_entropy,
    "dice": _dice,
    "focal": _focal,
    "l1": _l1,
    "label_smoothing": _label_smoothing,
    "mse": _mse,
}


def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def registered_loss(loss: Loss) -> tuple[str | None, tuple[str, ...]]:
    """The name under which a loss's class is registered by a plug-in, and its arguments; (None, ()) if it is not."""
    for name, entry in _plugins().items():
        known = entry.load()
        if type(loss) is known:
            return name, tuple(item["name"] for item in describe_arguments(known))
    return None, ()


def available_losses() -> dict[str, list[dict[str, Any]]]:
    """Each loss's arguments, as `available_metrics` describes them."""
    found: Mapping[str, Any] = {**{name: entry.load() for name, entry in _plugins().items()}, **_BUILT_IN}
    return {name: describe_arguments(make) for name, make in sorted(found.items())}


def build_loss(name: str, arguments: Mapping[str, Any] | None = None) -> Loss:
    """A registered loss. Raises LearnerError for a name or argument that is not known."""
    make = _BUILT_IN.get(name) or (_plugins()[name].load() if name in _plugins() else None)
    if make is None:
        raise LearnerError("loss", f"there is no loss {name!r}; known: {', '.join(available_losses())}")
    loss: Loss = make(**check_arguments(f"loss.{name}", make, arguments or {}))
    return loss


def activation_of(loss: Loss) -> Activation:
    """What makes probabilities of a model's outputs, by the loss it is trained with; identity where not known."""
    loss = _as_module(loss)
    if isinstance(loss, Decoding):
        return loss.activation
    if isinstance(loss, nn.CrossEntropyLoss):
        return _softmax
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return torch.sigmoid
    if isinstance(loss, nn.NLLLoss | nn.KLDivLoss | nn.PoissonNLLLoss):
        return torch.exp
    return _as_it_is


def _as_it_is(output: Tensor) -> Tensor:
    return output


def _softmax(output: Tensor) -> Tensor:
    return torch.softmax(output, dim=1)


ACTIVATIONS: dict[str, Activation] = {"none": _as_it_is, "softmax": _softmax, "sigmoid": torch.sigmoid}


def chosen_activation(activ: Activation | str | None) -> Activation | None:
    """A function, or the one of that name: none (raw outputs), softmax (along dimension 1) or sigmoid. None for None.

    Raises LearnerError for another name.
    """
    if not isinstance(activ, str):
        return activ
    if activ not in ACTIVATIONS:
        raise LearnerError("activ", f"{activ!r} must be one of {', '.join(ACTIVATIONS)}, or a function of raw outputs")
    return ACTIVATIONS[activ]


def decodes_of(loss: Loss) -> Activation:
    """What makes predictions of activated outputs: class indices, labels, or the values themselves."""
    loss = _as_module(loss)
    if isinstance(loss, Decoding):
        return loss.decodes
    if isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss):
        return lambda activated: activated.argmax(dim=1)
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return lambda activated: activated >= 0.5
    return lambda activated: activated


def raw_of(loss: Loss) -> Activation:
    """The inverse of the activation: raw outputs that it makes these probabilities of."""
    loss = _as_module(loss)
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return lambda p: torch.logit(p.double(), eps=_EPS).to(p.dtype)
    exponential = nn.CrossEntropyLoss | nn.NLLLoss | nn.KLDivLoss | nn.PoissonNLLLoss
    if isinstance(loss, exponential | LabelSmoothingCrossEntropy | FocalLoss | DiceLoss):
        return lambda p: p.clamp_min(_EPS).log()
    return lambda values: values


def loss_per_item(loss: Loss, output: Any, target: Any) -> Tensor:
    """The loss of each example, [N], unreduced over the batch: the mean of its parts that are not ignored.

    Raises LearnerError for a loss that cannot do it.
    """
    n = count_items(target)
    values: Tensor = _unreduced(loss)(output, *as_arguments(target)).reshape(n, -1)
    ignored = getattr(loss, "ignore_index", None)
    if ignored is None or values.shape[1] == 1 or not isinstance(target, Tensor):
        return values.mean(dim=1)
    counted = (target.reshape(n, -1) != ignored).sum(dim=1).clamp_min(1)
    per_item: Tensor = values.sum(dim=1) / counted
    return per_item


def _unreduced(loss: Loss) -> Loss:
    if hasattr(loss, "reduction"):
        unreduced = copy.copy(loss)
        unreduced.reduction = "none"
        return unreduced
    if inspect.isroutine(_inner(loss)) and "reduction" in inspect.signature(_inner(loss)).parameters:
        return partial(loss, reduction="none")
    raise LearnerError("loss_func", "losses per item need a loss with a `reduction`, as torch's have")


def _inner(loss: Loss) -> Loss:
    return loss.func if isinstance(loss, partial) else loss


def _as_module(loss: Loss) -> Loss:
    """torch's module for one of torch's functions, whose outputs mean the same."""
    made = _MODULES.get(getattr(_inner(loss), "__name__", ""))
    return made() if made is not None and getattr(F, _inner(loss).__name__, None) is _inner(loss) else loss
