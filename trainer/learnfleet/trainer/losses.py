"""Losses by name, their value per item, and the activation that turns their outputs into probabilities."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.metrics import check_arguments, describe_arguments

Loss = Callable[[Any, Any], Tensor]
Activation = Callable[[Tensor], Tensor]


class CrossEntropyFlat(nn.CrossEntropyLoss):
    """Cross entropy with the classes in dimension `axis`, all other dimensions flattened (fastai's)."""

    def __init__(self, axis: int = -1, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.axis = axis

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        output = output.movedim(self.axis, -1)
        return super().forward(output.reshape(-1, output.shape[-1]), target.reshape(-1))


def _cross_entropy() -> Loss:
    return CrossEntropyFlat()


_BUILT_IN: dict[str, Callable[..., Loss]] = {"cross_entropy": _cross_entropy}


def available_losses() -> dict[str, list[dict[str, Any]]]:
    """Each loss's arguments, as `available_metrics` describes them."""
    return {name: describe_arguments(make) for name, make in sorted(_BUILT_IN.items())}


def build_loss(name: str, arguments: Mapping[str, Any] | None = None) -> Loss:
    """A registered loss. Raises LearnerError for a name or argument that is not known."""
    make = _BUILT_IN.get(name)
    if make is None:
        raise LearnerError("loss", f"there is no loss {name!r}; known: {', '.join(available_losses())}")
    return make(**check_arguments(f"loss.{name}", make, arguments or {}))


def activation_of(loss: Loss) -> Activation:
    """What makes probabilities of a model's outputs, by the loss it is trained with; identity where not known."""
    if isinstance(loss, CrossEntropyFlat):
        axis = loss.axis
        return lambda output: torch.softmax(output, dim=axis)
    if isinstance(loss, nn.CrossEntropyLoss):
        return lambda output: torch.softmax(output, dim=1)
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return torch.sigmoid
    if isinstance(loss, nn.NLLLoss | nn.KLDivLoss | nn.PoissonNLLLoss):
        return torch.exp
    return lambda output: output


def loss_per_item(loss: Loss, output: Tensor, target: Tensor) -> Tensor:
    """The loss of each example, [N], unreduced over the batch. Raises LearnerError for a loss that cannot do it."""
    if not hasattr(loss, "reduction"):
        raise LearnerError("loss_func", "losses per item need a loss with a `reduction`, as torch's have")
    unreduced = copy.copy(loss)
    unreduced.reduction = "none"
    values = unreduced(output, target)
    return values.reshape(len(target), -1).mean(dim=1)
