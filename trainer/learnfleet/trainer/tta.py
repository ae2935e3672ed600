"""Test-time augmentation: predictions averaged over variants of each item (fastai v1 `TTA`, fastai v2 `tta`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor

from learnfleet.trainer import geometry
from learnfleet.trainer.data_spec import LabelKind, PaddingMode, TransformSpec
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.decoding import predicted_classes
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import Predictions, compact, kind_of, predict_loader
from learnfleet.trainer.losses import Activation, activation_of, loss_per_item, raw_of
from learnfleet.trainer.transforms import AugmentParameters, BatchAugment

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner
    from learnfleet.trainer.loader import ImageLoader

NO_TRANSFORMS = TransformSpec(do_flip=False, max_rotate=0.0, max_zoom=1.0, max_lighting=0.0, max_warp=0.0)
_LEFT_OUT = (
    "dihedral",
    "flip_lr",
    "zoom",
    "rand_pad",
    "rand_resize_crop",
)  # beside the flip, zoom and crop that every TransformSpec has
_MASK_DIMENSIONS = 4  # [N, C, H, W]
_SEEN = 0.5  # of all variants together: below, a pixel is only touched by their borders
_AT_A_TIME = 8  # items whose masks are turned back at a time


@dataclass(frozen=True)
class AugmentSettings:
    """What a data set's training augmentation is made of."""

    spec: TransformSpec
    seed: int
    aspect: float  # rows / columns
    padding: PaddingMode


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


class CentredAugment(BatchAugment):
    """The training transforms, but for the random crop: the middle is taken, as in validation."""

    def parameters(self, epoch: int, indices: Tensor, aspect: float | None = None) -> AugmentParameters:
        found = super().parameters(epoch, indices, aspect)
        return dataclasses.replace(found, crops=torch.full((len(indices), 2), 0.5, dtype=torch.float64))


class VariantAugment(CentredAugment):
    """The training transforms without their own flip, symmetries, zoom and crop, and then one variant of all items.

    What it draws is a function of (seed, number of the variant, index of the item).
    """

    def __init__(self, settings: AugmentSettings, variant: Variant, number: int) -> None:
        extra = tuple(item for item in settings.spec.extra if item.name not in _LEFT_OUT)
        plain = dataclasses.replace(settings.spec, do_flip=False, flip_vert=False, max_zoom=1.0, extra=extra)
        super().__init__(plain, settings.seed + 1 + number, settings.aspect, settings.padding)
        self._variant = variant

    def parameters(self, epoch: int, indices: Tensor, aspect: float | None = None) -> AugmentParameters:
        found = super().parameters(epoch, indices, aspect)
        n, place = len(indices), self._variant
        ones = torch.ones(n, dtype=torch.float64)
        zoom = geometry.zoom(ones * place.scale, ones * place.row_pct, ones * place.column_pct)
        matrices = geometry.compose(zoom, geometry.dihedral(torch.full((n,), int(place.flip))))
        if found.matrices is not None:
            matrices = geometry.compose(found.matrices, matrices)
        return dataclasses.replace(found, matrices=matrices, mirrored=None)


@runtime_checkable
class AugmentableData(Protocol):
    """Data whose items can be augmented in other ways than for training."""

    @property
    def augment_settings(self) -> AugmentSettings: ...
    def dl(self, ds_type: DatasetType) -> ImageLoader: ...


def variant_augments(settings: AugmentSettings, scale: float) -> list[BatchAugment]:
    """The eight variants of fastai v1."""
    if not scale >= 1:
        raise LearnerError("scale", f"{scale} does not zoom in to the corners: give at least 1")
    return [VariantAugment(settings, variant, number) for number, variant in enumerate(variants(scale))]


def _settings_of(learner: Learner) -> tuple[AugmentableData, AugmentSettings]:
    if not isinstance(learner.data, AugmentableData):
        raise LearnerError("TTA", "this data has no pictures that could be augmented")
    # The learner's seed, not the data's: an export has it too, and its predictions shall be the same.
    return learner.data, dataclasses.replace(learner.data.augment_settings, seed=learner.seed)


# --- the two ways


def plain_and_mean(
    learner: Learner, ds_type: DatasetType, scale: float, activ: Activation | None = None
) -> tuple[Predictions, Tensor]:
    """Plain predictions, and the mean of the activated outputs over the eight variants. Every rank must call."""
    plain = predict_loader(learner, learner.data.dl(ds_type), activ=activ)
    passes = _Passes(learner, ds_type, variant_augments(_settings_of(learner)[1], scale), plain)
    return plain, passes.mean([activ or activation_of(learner.loss_func)])[0]


def predict_tta(
    learner: Learner,
    ds_type: DatasetType,
    *,
    beta: float = 0.4,
    scale: float = 1.35,
    activ: Activation | None = None,
    with_loss: bool = False,
    masks_only: bool = False,
) -> Predictions:
    """Plain outputs * beta + mean of the eight variants * (1 - beta). Every rank must call.

    The losses are those of the averaged probabilities; fastai v1 gives the loss probabilities where it wants raw
    outputs.
    """
    augments = variant_augments(_settings_of(learner)[1], scale)
    plain = predict_loader(learner, learner.data.dl(ds_type), activ=_as_it_is)
    usual = activation_of(learner.loss_func)
    wanted = [activ or usual, *([usual] if with_loss and activ is not None else [])]
    means = _Passes(learner, ds_type, augments, plain).mean(wanted)
    mixed = [
        make(plain.outputs).mul_(beta).add_(mean, alpha=1 - beta) for make, mean in zip(wanted, means, strict=True)
    ]
    losses = None
    if with_loss:
        losses = loss_per_item(learner.loss_func, raw_of(learner.loss_func)(mixed[-1]), plain.targets)
    found = dataclasses.replace(plain, outputs=mixed[0], losses=losses)
    return _as_masks(learner, found) if masks_only else found


def predict_augmented(
    learner: Learner,
    ds_type: DatasetType,
    *,
    n: int = 4,
    beta: float = 0.25,
    use_max: bool = False,
    activ: Activation | None = None,
) -> Predictions:
    """As `predict_tta` over `n` passes with the whole training augmentation; under `use_max` the greatest of all."""
    if n < 1:
        raise LearnerError("n", f"{n} passes are not possible: give at least 1")
    settings = _settings_of(learner)[1]
    seeds = [settings.seed + 1 + number for number in range(n)]
    augments = [CentredAugment(settings.spec, seed, settings.aspect, settings.padding) for seed in seeds]
    plain = predict_loader(learner, learner.data.dl(ds_type), activ=_as_it_is)
    activation = activ or activation_of(learner.loss_func)
    outputs, passes = activation(plain.outputs), _Passes(learner, ds_type, augments, plain)
    if use_max:
        mixed = torch.maximum(outputs, passes.greatest(activation))
    else:
        mixed = outputs * beta + passes.mean([activation])[0] * (1 - beta)
    return dataclasses.replace(plain, outputs=mixed)


def _as_it_is(output: Tensor) -> Tensor:
    return output


def _as_masks(learner: Learner, found: Predictions) -> Predictions:
    if kind_of(learner, found.outputs) is not LabelKind.MASK:
        return found
    masks = compact(predicted_classes(found.outputs))
    return dataclasses.replace(found, outputs=masks, targets=compact(found.targets))


class _Passes:
    """Runs over a data set, each with another augmentation."""

    def __init__(
        self, learner: Learner, ds_type: DatasetType, augments: Sequence[BatchAugment], plain: Predictions
    ) -> None:
        self._data = _settings_of(learner)[0]
        self._learner, self._ds_type, self._augments, self._plain = learner, ds_type, augments, plain
        self._kind = kind_of(learner, plain.outputs)

    def mean(self, activations: Sequence[Activation]) -> list[Tensor]:
        """Of each activation of the outputs."""
        means = [VariantMean(self._kind) for _ in activations]
        for augment in self._augments:
            raw = self._outputs(augment)
            for mean, make in zip(means, activations, strict=True):
                mean.add(make(raw), self._matrices(augment))
        return [mean.result(make(self._plain.outputs)) for mean, make in zip(means, activations, strict=True)]

    def greatest(self, activation: Activation) -> Tensor:
        """Of the activated outputs over all passes."""
        result: Tensor | None = None
        for augment in self._augments:
            values = turned_back(activation(self._outputs(augment)), self._matrices(augment), self._kind)[0]
            result = values if result is None else torch.maximum(result, values)
        assert result is not None, "there is at least one pass"
        return result

    def _outputs(self, augment: BatchAugment) -> Tensor:
        has_places = self._plain.outputs.ndim == _MASK_DIMENSIONS or self._kind is LabelKind.POINTS
        if has_places and augment.window is not None:
            raise LearnerError("TTA", f"{self._kind} of random windows (rand_resize_crop) cannot be turned back")
        loader = self._data.dl(self._ds_type).augmented(augment)
        return predict_loader(self._learner, loader, activ=_as_it_is).outputs

    def _matrices(self, augment: BatchAugment) -> Tensor | None:
        return augment.parameters(0, self._plain.indices).matrices


class VariantMean:
    """The mean of values [N, ...] over variants; of masks [N, C, H, W] at each pixel over the variants that show it."""

    def __init__(self, kind: LabelKind) -> None:
        self._kind = kind
        self._total: Tensor | float = 0.0
        self._cover: Tensor | float = 0.0

    def add(self, values: Tensor, matrices: Tensor | None) -> None:
        """One variant, whose items were moved by `matrices` (float64 [N, 3, 3]; None: not moved)."""
        values, cover = turned_back(values, matrices, self._kind)
        self._total, self._cover = self._total + values, self._cover + cover

    def result(self, plain: Tensor) -> Tensor:
        """`plain` stands where no variant shows the pixel."""
        assert isinstance(self._total, Tensor), "there is at least one variant"
        if isinstance(self._cover, Tensor):
            return torch.where(self._cover > _SEEN, self._total / self._cover.clamp_min(_SEEN), plain)
        return self._total / self._cover


def turned_back(values: Tensor, matrices: Tensor | None, kind: LabelKind) -> tuple[Tensor, Tensor | float]:
    """Masks [N, C, H, W], and points [N, 2 K], in the places of the item that was not moved, and the share of each
    pixel that is known.
    """
    if kind is LabelKind.POINTS and matrices is not None:
        points = geometry.moved_points(matrices, values.view(len(values), -1, 2).flip(-1))
        return points.flip(-1).reshape(values.shape), 1.0
    if values.ndim != _MASK_DIMENSIONS or matrices is None:
        return values, 1.0
    values, cover = values.clone(), torch.ones(len(values), 1, *values.shape[-2:])
    rows, columns = values.shape[-2:]
    for start in range(0, len(values), _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        places = geometry.grid(torch.linalg.inv(matrices[part]).contiguous(), rows, columns, values.device)
        cover[part] = geometry.resample(cover[part], places, "zeros")
        values[part] = geometry.resample(values[part], places, "zeros")
    return values, cover
