"""What is trained, as values that read like fastai; and their protobuf form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TypeAlias

from learnfleet.v1 import job_pb2, learner_pb2

Lr: TypeAlias = "float | slice | Sequence[float]"
Metric: TypeAlias = "str | tuple[str, dict[str, object]]"

_RESIZE_METHODS = {
    "crop": learner_pb2.RESIZE_METHOD_CROP,
    "pad": learner_pb2.RESIZE_METHOD_PAD,
    "squish": learner_pb2.RESIZE_METHOD_SQUISH,
}
_BAD_IMAGE = {"skip": learner_pb2.BAD_IMAGE_POLICY_SKIP, "fail": learner_pb2.BAD_IMAGE_POLICY_FAIL}


class DatasetType(IntEnum):
    """Which items of a learner's data, and how they are loaded (fastai's names and numbers)."""

    Train = 1  # shuffled, augmented, full batches only
    Valid = 2
    Test = 3
    Fix = 5  # the training items with the validation transforms, in order and complete

    def to_proto(self) -> learner_pb2.DatasetType:
        return _DATASETS[self]


_DATASETS = {
    DatasetType.Train: learner_pb2.DATASET_TYPE_TRAIN,
    DatasetType.Valid: learner_pb2.DATASET_TYPE_VALID,
    DatasetType.Test: learner_pb2.DATASET_TYPE_TEST,
    DatasetType.Fix: learner_pb2.DATASET_TYPE_FIX,
}


@dataclass(frozen=True)
class Transforms:
    """fastai's augmentation; made by `get_transforms`."""

    do_flip: bool = True
    flip_vert: bool = False
    max_rotate: float = 10.0  # degrees
    max_zoom: float = 1.1
    max_lighting: float = 0.2
    max_warp: float = 0.2
    p_affine: float = 0.75
    p_lighting: float = 0.75

    def to_proto(self) -> learner_pb2.Transforms:
        return learner_pb2.Transforms(**self.__dict__)


def get_transforms(
    do_flip: bool = True,
    flip_vert: bool = False,
    max_rotate: float = 10.0,
    max_zoom: float = 1.1,
    max_lighting: float = 0.2,
    max_warp: float = 0.2,
    p_affine: float = 0.75,
    p_lighting: float = 0.75,
) -> Transforms:
    """fastai v1's augmentation of training pictures. A maximum of 0 (zoom: 1) leaves that transform out."""
    return Transforms(do_flip, flip_vert, max_rotate, max_zoom, max_lighting, max_warp, p_affine, p_lighting)


@dataclass(frozen=True)
class ImageDataBunch:
    """Pictures on storage that the server's workers can read. Nothing is read here."""

    path: str
    train: str = "train"
    valid: str = "valid"
    valid_pct: float | None = None
    seed: int | None = None
    ds_tfms: Transforms | None = None
    size: int | tuple[int, int] = 224
    bs: int = 64
    val_bs: int | None = None
    resize_method: str = "crop"
    normalize: str | tuple[Sequence[float], Sequence[float]] = "auto"
    bad_image: str = "skip"

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        train: str = "train",
        valid: str = "valid",
        valid_pct: float | None = None,
        seed: int | None = None,
        ds_tfms: Transforms | None = None,
        size: int | tuple[int, int] = 224,
        bs: int = 64,
        val_bs: int | None = None,
        resize_method: str = "crop",
        normalize: str | tuple[Sequence[float], Sequence[float]] = "auto",
        bad_image: str = "skip",
    ) -> ImageDataBunch:
        """A folder of pictures, labelled by the folder they are in.

        Args:
            path: on the server: absolute, or relative to one of its data roots.
            train, valid: folders of class folders below `path`, where `valid_pct` is None.
            valid_pct: share of the class folders directly below `path` that validates, drawn with `seed`.
            ds_tfms: augmentation, from `get_transforms`. None: none.
            size: pixels, one number or (rows, columns).
            bs: pictures per optimiser step over all workers.
            resize_method: "crop", "pad" or "squish".
            normalize: "auto" (that of the pretrained weights, else ImageNet's), "imagenet", "cifar", "mnist", "none",
                or (mean, std) with three values each.
            bad_image: "skip" or "fail".

        Raises ValueError for a word that is none of these.
        """
        _known(resize_method, _RESIZE_METHODS, "resize_method")
        _known(bad_image, _BAD_IMAGE, "bad_image")
        return cls(
            str(path),
            train,
            valid,
            valid_pct,
            seed,
            ds_tfms,
            size,
            bs,
            val_bs,
            resize_method,
            normalize,
            bad_image,
        )

    def to_proto(self) -> learner_pb2.DataSpec:
        rows, columns = (self.size, self.size) if isinstance(self.size, int) else self.size
        message = learner_pb2.DataSpec(
            folder=learner_pb2.FolderSource(path=self.path, train=self.train, valid=self.valid),
            size=learner_pb2.Size(rows=rows, columns=columns),
            resize_method=_RESIZE_METHODS[self.resize_method],
            batch_size=self.bs,
            validation_batch_size=self.val_bs or 0,
            transforms=self.ds_tfms.to_proto() if self.ds_tfms else None,
            normalization=_normalization(self.normalize),
            bad_image_policy=_BAD_IMAGE[self.bad_image],
        )
        if self.valid_pct is not None:
            message.folder.valid_pct = self.valid_pct
        if self.seed is not None:
            message.folder.split_seed = self.seed
        return message


def _known(word: str, words: Mapping[str, int], name: str) -> None:
    if word not in words:
        raise ValueError(f"{name} is {word!r}; must be one of {', '.join(words)}")


def _normalization(value: str | tuple[Sequence[float], Sequence[float]]) -> learner_pb2.Normalization:
    if isinstance(value, str):
        return learner_pb2.Normalization(preset=value)
    return learner_pb2.Normalization(stats=learner_pb2.ChannelStats(mean=value[0], std=value[1]))


@dataclass(frozen=True)
class LearnerSpec:
    """What `Client.cnn_learner` describes."""

    data: ImageDataBunch
    architecture: str
    metrics: tuple[Metric, ...] = ()
    pretrained: bool | str | Path = False  # a string or path: a weights file on the server
    lin_ftrs: tuple[int, ...] | None = None
    ps: float | tuple[float, ...] = 0.5
    concat_pool: bool = True
    bn_final: bool = False
    opt_func: str = "adam"
    wd: float = 1e-2
    true_wd: bool = True
    bn_wd: bool = True
    train_bn: bool = True
    seed: int = 0

    def to_proto(self) -> learner_pb2.LearnerSpec:
        return learner_pb2.LearnerSpec(
            data=self.data.to_proto(),
            architecture=self.architecture,
            weights=_weights(self.pretrained),
            head=learner_pb2.Head(
                lin_ftrs=self.lin_ftrs or (),
                ps=(self.ps,) if isinstance(self.ps, int | float) else self.ps,
                concat_pool=self.concat_pool,
                bn_final=self.bn_final,
                linear_only=self.lin_ftrs == (),
            ),
            metrics=[component_to_proto(metric) for metric in self.metrics],
            optimizer=learner_pb2.Optimizer(name=self.opt_func, wd=self.wd, true_wd=self.true_wd, bn_wd=self.bn_wd),
            train_bn=self.train_bn,
            seed=self.seed,
        )


def _weights(pretrained: bool | str | Path) -> learner_pb2.Weights:
    if isinstance(pretrained, bool):
        return learner_pb2.Weights(pretrained=True) if pretrained else learner_pb2.Weights()
    return learner_pb2.Weights(file=str(pretrained))


def component_to_proto(metric: Metric) -> learner_pb2.Component:
    """A name, or (name, arguments)."""
    name, arguments = (metric, {}) if isinstance(metric, str) else metric
    message = learner_pb2.Component(name=name)
    if arguments:
        message.arguments.update(arguments)
    return message


@dataclass(frozen=True)
class Fit:
    """A stage: constant learning rate."""

    epochs: int
    lr: Lr = field(default_factory=lambda: slice(3e-3))
    wd: float | None = None

    def to_proto(self) -> job_pb2.Stage:
        return job_pb2.Stage(fit=job_pb2.Fit(epochs=self.epochs, lr=lr_to_proto(self.lr), wd=self.wd))


@dataclass(frozen=True)
class FitOneCycle:
    """A stage: the one-cycle policy (Smith 2018, arXiv:1803.09820), with fastai v1's defaults."""

    epochs: int
    max_lr: Lr = field(default_factory=lambda: slice(3e-3))
    moms: tuple[float, float] = (0.95, 0.85)
    div_factor: float = 25.0
    pct_start: float = 0.3
    final_div: float | None = None
    wd: float | None = None

    def to_proto(self) -> job_pb2.Stage:
        return job_pb2.Stage(
            fit_one_cycle=job_pb2.FitOneCycle(
                epochs=self.epochs,
                max_lr=lr_to_proto(self.max_lr),
                moms=self.moms,
                div_factor=self.div_factor,
                pct_start=self.pct_start,
                final_div=self.final_div,
                wd=self.wd,
            )
        )


@dataclass(frozen=True)
class FreezeTo:
    """A stage: layer groups [0, n) are frozen. -1 freezes all but the head, 0 none."""

    n: int

    def to_proto(self) -> job_pb2.Stage:
        return job_pb2.Stage(freeze_to=job_pb2.FreezeTo(n=self.n))


Stage: TypeAlias = Fit | FitOneCycle | FreezeTo


def lr_to_proto(lr: Lr) -> learner_pb2.LearningRate:
    """A number, `slice(stop)`, `slice(start, stop)`, or one number a layer group. Raises ValueError for others."""
    if isinstance(lr, slice):
        if lr.stop is None or lr.step is not None:
            raise ValueError(f"lr is {lr}; must be slice(stop) or slice(start, stop)")
        return learner_pb2.LearningRate(slice=learner_pb2.LearningRate.Slice(start=lr.start, stop=lr.stop))
    if isinstance(lr, int | float):
        return learner_pb2.LearningRate(value=lr)
    return learner_pb2.LearningRate(values=learner_pb2.LearningRate.Values(values=lr))
