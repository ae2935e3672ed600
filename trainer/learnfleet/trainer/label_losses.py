"""The loss that suits a kind of target (fastai: each label list has one)."""

from __future__ import annotations

from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.loss_functions import BCEWithLogitsFlat, CrossEntropyFlat, MSELossFlat
from learnfleet.trainer.losses import Loss
from learnfleet.trainer.spec_base import Component


def loss_of(kind: LabelKind) -> Loss:
    """Cross entropy for classes (of pixels: over dimension 1), BCE with logits for several labels, MSE for numbers."""
    if kind is LabelKind.MULTI_CATEGORY:
        return BCEWithLogitsFlat()
    if kind is LabelKind.FLOAT:
        return MSELossFlat()
    return CrossEntropyFlat(axis=1) if kind is LabelKind.MASK else CrossEntropyFlat()


def loss_component_of(kind: LabelKind) -> Component:
    """The same by its registered name."""
    if kind is LabelKind.MULTI_CATEGORY:
        return Component("bce_with_logits")
    if kind is LabelKind.FLOAT:
        return Component("mse")
    return Component("cross_entropy", {"axis": 1} if kind is LabelKind.MASK else {})
