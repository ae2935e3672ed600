"""Loss functions of fastai as modules, each with what its outputs mean."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from learnfleet.trainer.errors import LearnerError

NO_INDEX = -100  # torch's: no class is left out


@runtime_checkable
class Decoding(Protocol):
    """A loss that says what its outputs mean."""

    def activation(self, output: Tensor) -> Tensor:
        """Probabilities (or values) of raw outputs."""
        ...

    def decodes(self, activated: Tensor) -> Tensor:
        """What is predicted: class indices, or the values themselves."""
        ...


class CrossEntropyFlat(nn.CrossEntropyLoss):
    """Cross entropy with the classes in dimension `axis`, all other dimensions flattened (fastai's).

    Args:
        axis: of the classes: -1 for [N, C], 1 for masks [N, C, H, W] with targets [N, 1, H, W].
        ignore_index: targets of this class count nowhere (`Void` of a segmentation).
        weight: one a class.

    Targets may also be the classes' probabilities: floats of the outputs' shape (mixup with stack_y=False).
    """

    def __init__(
        self,
        axis: int = -1,
        ignore_index: int = NO_INDEX,
        reduction: str = "mean",
        weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction)
        self.axis = axis

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        if are_probabilities(target, output):
            return super().forward(flat_rows(output, self.axis), flat_rows(target, self.axis))
        return super().forward(flat_rows(output, self.axis), target.reshape(-1).long())

    def activation(self, output: Tensor) -> Tensor:
        return torch.softmax(output, dim=self.axis)

    def decodes(self, activated: Tensor) -> Tensor:
        return activated.argmax(dim=self.axis)


def are_probabilities(target: Tensor, output: Tensor) -> bool:
    """Whether targets are shares of the classes and not their numbers."""
    return target.is_floating_point() and target.shape == output.shape


def flat_rows(output: Tensor, axis: int) -> Tensor:
    """[rows, C] of outputs with their classes in dimension `axis`."""
    if output.ndim == 2 and axis in (1, -1):
        return output  # the usual case: no views, which cost more than a small model's loss
    output = output.movedim(axis, -1)
    return output.reshape(-1, output.shape[-1])


class LabelSmoothingCrossEntropy(nn.Module):
    """eps / C * sum(-log p) + (1 - eps) * cross entropy, over the last dimension (fastai's).

    Its outputs become probabilities by softmax; in fastai v1 `get_preds` gives raw outputs under this loss. Targets may
    be probabilities, as of CrossEntropyFlat.

    Source: Szegedy et al., "Rethinking the Inception architecture", 2016, arXiv:1512.00567.
    """

    def __init__(self, eps: float = 0.1, reduction: str = "mean") -> None:
        super().__init__()
        if not 0 <= eps <= 1:
            raise LearnerError("eps", f"{eps} is not possible: it is a share, from 0 to 1")
        self.eps, self.reduction = eps, reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        log_p = F.log_softmax(output, dim=-1)
        smooth = -log_p.mean(dim=-1)
        if are_probabilities(target, output):
            true = -(target * log_p).sum(dim=-1)
        else:
            true = F.nll_loss(log_p, target, reduction="none")
        return reduced(self.eps * smooth + (1 - self.eps) * true, self.reduction)

    def activation(self, output: Tensor) -> Tensor:
        return torch.softmax(output, dim=-1)

    def decodes(self, activated: Tensor) -> Tensor:
        return activated.argmax(dim=-1)


class FocalLoss(nn.Module):
    """(1 - p)^gamma * cross entropy: well classified examples count for less.

    Source: Lin et al., "Focal loss for dense object detection", 2017, arXiv:1708.02002.
    """

    def __init__(self, gamma: float = 2.0, axis: int = -1, reduction: str = "mean") -> None:
        super().__init__()
        self.gamma, self.axis, self.reduction = gamma, axis, reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        if are_probabilities(target, output):
            raise LearnerError("loss_func", "FocalLoss weighs items by their one class: use mixup with stack_y=True")
        plain = F.cross_entropy(flat_rows(output, self.axis), target.reshape(-1).long(), reduction="none")
        return reduced((1 - torch.exp(-plain)) ** self.gamma * plain, self.reduction)

    def activation(self, output: Tensor) -> Tensor:
        return torch.softmax(output, dim=self.axis)

    def decodes(self, activated: Tensor) -> Tensor:
        return activated.argmax(dim=self.axis)


class DiceLoss(nn.Module):
    """1 - 2 |P T| / (|P| + |T|) of the soft masks, per item and class, averaged (Milletari et al. 2016, V-Net)."""

    def __init__(self, axis: int = 1, smooth: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__()
        self.axis, self.smooth, self.reduction = axis, smooth, reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        p = torch.softmax(output, dim=self.axis).movedim(self.axis, 1).flatten(2)
        t = F.one_hot(target.reshape(len(output), -1).long(), p.shape[1]).movedim(-1, 1).to(p.dtype)
        overlap, total = (p * t).sum(dim=2), (p + t).sum(dim=2)
        per_item = (1 - (2 * overlap + self.smooth) / (total + self.smooth)).mean(dim=1)
        return reduced(per_item, self.reduction)

    def activation(self, output: Tensor) -> Tensor:
        return torch.softmax(output, dim=self.axis)

    def decodes(self, activated: Tensor) -> Tensor:
        return activated.argmax(dim=self.axis)


class BCEWithLogitsFlat(nn.BCEWithLogitsLoss):
    """Binary cross entropy of logits, for several labels an item; both flattened (fastai's).

    Args:
        thresh: a label is predicted from this probability on.
    """

    def __init__(
        self,
        thresh: float = 0.5,
        reduction: str = "mean",
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight=weight, reduction=reduction, pos_weight=pos_weight)
        self.thresh = thresh

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        # Not flattened where weights are given: torch spreads them over the last dimension.
        if self.weight is None and self.pos_weight is None:
            output, target = output.reshape(-1), target.reshape(-1)
        return super().forward(output, target.to(output.dtype))

    def activation(self, output: Tensor) -> Tensor:
        return torch.sigmoid(output)

    def decodes(self, activated: Tensor) -> Tensor:
        return activated >= self.thresh


class BCEFlat(nn.BCELoss):
    """Binary cross entropy of probabilities; both flattened (fastai's)."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return super().forward(output.reshape(-1), target.reshape(-1).to(output.dtype))

    def activation(self, output: Tensor) -> Tensor:
        return output

    def decodes(self, activated: Tensor) -> Tensor:
        return activated >= 0.5


class MSELossFlat(nn.MSELoss):
    """Mean squared error; both flattened (fastai's)."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return super().forward(output.reshape(-1), target.reshape(-1).to(output.dtype))


class L1LossFlat(nn.L1Loss):
    """Mean absolute error; both flattened (fastai's)."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return super().forward(output.reshape(-1), target.reshape(-1).to(output.dtype))


class NoopLoss(nn.Module):
    """The mean of the outputs, whatever the targets (fastai's, for models that compute their own loss)."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, output: Tensor, *targets: Tensor) -> Tensor:
        return reduced(output, self.reduction)


def reduced(values: Tensor, reduction: str) -> Tensor:
    """The mean, the sum, or the values themselves ("none")."""
    if reduction == "mean":
        return values.mean()
    return values.sum() if reduction == "sum" else values
