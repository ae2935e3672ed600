"""Test-time augmentation: predictions averaged over zoomed and mirrored variants of each picture (fastai v1 `TTA`)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor

from learnfleet.trainer import geometry
from learnfleet.trainer.batch import Loader
from learnfleet.trainer.data import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import Predictions, predict_loader
from learnfleet.trainer.losses import loss_per_item, raw_of
from learnfleet.trainer.spec import TransformSpec
from learnfleet.trainer.transforms import AugmentParameters, BatchAugment

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


@dataclass(frozen=True)
class Variant:
    """A corner that is zoomed in to, and whether the picture is mirrored left and right."""

    row_pct: float
    column_pct: float
    flip: bool
    scale: float


def variants(scale: float) -> list[Variant]:
    """The four corners, each plain and mirrored."""
    return [Variant(row, column, flip, scale) for row in (0.0, 1.0) for column in (0.0, 1.0) for flip in (False, True)]


class VariantAugment(BatchAugment):
    """The training transforms without their own flip, zoom and random crop, and then one variant of all pictures."""

    def __init__(self, spec: TransformSpec, variant: Variant, seed: int, aspect: float = 1.0) -> None:
        plain = dataclasses.replace(spec, do_flip=False, flip_vert=False, max_zoom=1.0)
        super().__init__(plain, seed, aspect)
        self._variant = variant

    def parameters(self, epoch: int, indices: Tensor) -> AugmentParameters:
        found = super().parameters(epoch, indices)
        n, place = len(indices), self._variant
        ones = torch.ones(n, dtype=torch.float64)
        zoom = geometry.zoom(ones * place.scale, ones * place.row_pct, ones * place.column_pct)
        matrices = geometry.compose(zoom, geometry.dihedral(torch.full((n,), int(place.flip))))
        if found.matrices is not None:
            matrices = geometry.compose(found.matrices, matrices)
        return dataclasses.replace(found, crops=torch.full((n, 2), 0.5, dtype=torch.float64), matrices=matrices)


@runtime_checkable
class VariantData(Protocol):
    """Data whose pictures can be loaded as variants."""

    def variant_dl(self, ds_type: DatasetType, variant: Variant, number: int) -> Loader: ...


def predict_variants(learner: Learner, ds_type: DatasetType, scale: float) -> Tensor:
    """Mean of the activated outputs over all variants, [N, ...] in the dataset's order. Every rank must call."""
    data = learner.data
    if not isinstance(data, VariantData):
        raise LearnerError("TTA", "this data has no pictures that could be augmented")
    total: Tensor | None = None
    for number, variant in enumerate(variants(scale)):
        outputs = predict_loader(learner, data.variant_dl(ds_type, variant, number)).outputs
        total = outputs if total is None else total + outputs
    assert total is not None, "there are eight"
    return total / len(variants(scale))


def predict_tta(
    learner: Learner, ds_type: DatasetType, *, beta: float = 0.4, scale: float = 1.35, with_loss: bool = False
) -> Predictions:
    """Plain outputs * beta + mean of the variants * (1 - beta). Every rank must call.

    The losses are those of the averaged probabilities; fastai v1 gives the loss probabilities where it wants raw
    outputs.
    """
    plain = predict_loader(learner, learner.data.dl(ds_type))
    outputs = plain.outputs * beta + predict_variants(learner, ds_type, scale) * (1 - beta)
    losses = None
    if with_loss:
        losses = loss_per_item(learner.loss_func, raw_of(learner.loss_func)(outputs), plain.targets)
    return dataclasses.replace(plain, outputs=outputs, losses=losses)
