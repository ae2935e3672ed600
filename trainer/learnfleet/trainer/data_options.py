"""What all ways to make a data bunch take, and what users may write for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, get_args

from learnfleet.trainer.data_spec import (
    FOLLOWING_KINDS,
    BadImagePolicy,
    DataSpec,
    LabelKind,
    Normalization,
    PaddingMode,
    ResizeMethod,
    TransformSpec,
)
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.normalization import as_normalization
from learnfleet.trainer.spec_base import Component
from learnfleet.trainer.transform_components import checked

if TYPE_CHECKING:
    import torch

    from learnfleet.trainer.loader_bunch import BatchFunction
    from learnfleet.trainer.pixels import Stats

# What `get_transforms()` gives; or fastai's pair of lists, of which the second, for validation, is empty. The first may
# mix `get_transforms()[0]` with transforms by name.
TransformList: TypeAlias = "Sequence[TransformSpec | Component | None]"
Transforms: TypeAlias = "TransformSpec | tuple[TransformSpec | TransformList | None, Sequence[None] | None] | None"
Size: TypeAlias = "int | tuple[int, int] | None"

# fastai draws a split anew for each None. Here None is this seed: every rank of a run and every restart of a script
# must find the same pictures in validation.
DEFAULT_SEED = 42
_NO_TRANSFORMS = TransformSpec(do_flip=False, max_rotate=0.0, max_zoom=1.0, max_lighting=0.0, max_warp=0.0)


class LoadingOptions(TypedDict, total=False):
    """Keywords of every factory, see `Options`."""

    bs: int
    val_bs: int | None
    ds_tfms: Transforms
    size: Size
    resize_method: ResizeMethod | None
    mult: int | None
    padding_mode: PaddingMode
    tfm_y: bool | None
    normalize: Stats | Normalization | None
    bad_image: BadImagePolicy
    dl_tfms: Sequence[BatchFunction]
    num_workers: int | None
    device: torch.device | str | None
    no_check: bool


class CommonOptions(LoadingOptions, total=False):
    """Keywords of the factories that have no argument `test` of their own."""

    test: str | None


@dataclass(frozen=True)
class Options:
    """What all factories take (fastai's `create_from_ll`).

    Args:
        bs, val_bs: items per batch, over all ranks; `val_bs` None: bs.
        ds_tfms: of training pictures, from `get_transforms()`. None: none.
        size, resize_method, mult: see `sized`.
        padding_mode: what is seen beyond the edges: "reflection", "border" or "zeros".
        tfm_y: masks and points follow their pictures whatever this says; other targets cannot.
        test: a folder below the path, of pictures without labels.
        normalize: (mean, std) or a Normalization. None: none, until `normalize()` is called.
        bad_image: what happens to pictures that turn out broken.
        dl_tfms: see `add_tfm`.
        num_workers: threads that decode, in each process. None: up to 4; 0: one.
        no_check: leave out `sanity_check`.
    """

    bs: int = 64
    val_bs: int | None = None
    ds_tfms: Transforms = None
    size: Size = None
    resize_method: ResizeMethod | None = None
    mult: int | None = None
    padding_mode: PaddingMode = "reflection"
    tfm_y: bool | None = None
    test: str | None = None
    normalize: Stats | Normalization | None = None
    bad_image: BadImagePolicy = BadImagePolicy.SKIP
    dl_tfms: Sequence[Callable[[Any, Any], tuple[Any, Any]]] = ()
    num_workers: int | None = None
    device: torch.device | str | None = None
    no_check: bool = False

    def spec(self, base: DataSpec) -> DataSpec:
        """`base`, which says where the pictures are and what they are labelled with, with these options."""
        check_tfm_y(self.tfm_y, base.labels)
        transforms = as_transforms(self.ds_tfms)
        size = _size_of(transforms, self.size)
        rows_columns, method = sized(size, self.resize_method, self.mult)
        return dataclasses.replace(
            base,
            size=rows_columns,
            resize_method=method,
            bs=_at_least_one(self.bs, "bs"),
            val_bs=None if self.val_bs is None else _at_least_one(self.val_bs, "val_bs"),
            transforms=transforms,
            normalization=as_normalization(self.normalize),
            bad_image=self.bad_image,
            test=self.test,
            padding_mode=_known_padding(self.padding_mode),
        )


def _at_least_one(count: object, name: str, unit: str = "items in a batch") -> int:
    if not isinstance(count, Integral) or count < 1:
        raise LearnerError(name, f"{count} is not possible: a whole number of {unit}, at least 1")
    return int(count)


def _known_padding(mode: PaddingMode) -> PaddingMode:
    if mode not in get_args(PaddingMode):
        raise LearnerError("padding_mode", f"{mode!r} is none of {', '.join(get_args(PaddingMode))}")
    return mode


def existing(path: Path | str) -> Path:
    """Raises LearnerError for a path that is no folder."""
    folder = Path(path)
    if not folder.is_dir():
        raise LearnerError("path", f"{path} is not a valid directory.")
    return folder.resolve()


def seed_of(seed: int | None) -> int:
    """The seed itself; None is `DEFAULT_SEED`. Raises LearnerError for one that a split cannot be drawn with."""
    if seed is not None and not 0 <= seed < 2**32:
        raise LearnerError("seed", f"{seed} is not in [0, 2**32)")
    return DEFAULT_SEED if seed is None else seed


def sized(size: Size, method: ResizeMethod | None, mult: int | None) -> tuple[tuple[int, ...], ResizeMethod]:
    """An int is square and crops, (rows, columns) squishes, unless `method` says otherwise; None leaves pictures as
    they are, and then all must be of one size. `mult` rounds each side to a multiple.
    """
    method = None if method is None else _known_method(method)
    if size is None:
        if mult is not None or method not in (None, ResizeMethod.NO):
            raise LearnerError("size", "is missing: `mult` and a resize method need one")
        return (), ResizeMethod.NO
    rows, columns = _sides(size)
    if mult is not None:
        step = _at_least_one(mult, "mult", "pixels")
        rows, columns = (max(step, round(side / step) * step) for side in (rows, columns))
    if method is ResizeMethod.NO:
        return (), method
    return (rows, columns), method or (ResizeMethod.CROP if isinstance(size, Integral) else ResizeMethod.SQUISH)


def _known_method(method: str) -> ResizeMethod:
    try:
        return ResizeMethod(method)
    except ValueError:
        names = ", ".join(f"ResizeMethod.{known.name}" for known in ResizeMethod)
        raise LearnerError("resize_method", f"{method!r} is none of {names}") from None


def _sides(size: object) -> tuple[int, int]:
    """Rows and columns. Raises LearnerError for what is neither a whole number nor a pair of them (also an array)."""
    sides = (size, size) if isinstance(size, Integral) else tuple(size) if isinstance(size, Iterable) else ()
    if len(sides) == 2 and all(isinstance(side, Integral) for side in sides):
        return int(sides[0]), int(sides[1])
    raise LearnerError("size", f"{size!r} is neither a number of pixels nor a pair (rows, columns) of them")


def _size_of(transforms: TransformSpec | None, size: Size) -> Size:
    """The data's size, which a transform may give too."""
    given = [item for item in (transforms.extra if transforms else ()) if "size" in item.arguments]
    for item in given:
        wanted = int(item.arguments["size"])
        if size is not None and _sides(size) != (wanted, wanted):
            raise LearnerError("size", f"is {size}, but {item.name} is to give {wanted}: give it once")
        size = wanted if size is None else size
    return size


def check_tfm_y(tfm_y: bool | None, kind: LabelKind) -> None:
    """Raises LearnerError where targets are asked to do what they cannot."""
    if tfm_y is False and kind in FOLLOWING_KINDS:
        raise LearnerError("tfm_y", f"targets of the kind {kind} always follow their pictures: leave it out")
    if tfm_y and kind not in FOLLOWING_KINDS:
        raise LearnerError("tfm_y", f"targets of the kind {kind} cannot be transformed with their pictures")


def as_transforms(value: Transforms) -> TransformSpec | None:
    """Raises LearnerError for what is neither from `get_transforms` nor a pair of lists of transforms."""
    if value is None or isinstance(value, TransformSpec):
        return value
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise LearnerError("ds_tfms", f"{value!r} is not what get_transforms() gives, nor a pair of lists")
    train, valid = value
    if valid and any(item is not None for item in valid):
        raise LearnerError(
            "ds_tfms", "validation pictures have no transforms of their own: leave the second list empty"
        )
    return train if train is None or isinstance(train, TransformSpec) else _merged(train)


def _merged(listed: TransformList) -> TransformSpec | None:
    """One value of a list of transforms; at most one of them is from `get_transforms`."""
    if isinstance(listed, str) or not isinstance(listed, Sequence):
        raise LearnerError("ds_tfms", f"{listed!r} is not a list of transforms")
    bases = [item for item in listed if isinstance(item, TransformSpec)]
    named = [item for item in listed if isinstance(item, Component)]
    others = [item for item in listed if item is not None and not isinstance(item, TransformSpec | Component)]
    if others or len(bases) > 1:
        raise LearnerError("ds_tfms", f"{others or bases!r} cannot be among the transforms of training pictures")
    if not (bases or named):
        return None
    base = bases[0] if bases else _NO_TRANSFORMS
    extra = tuple(checked(item, f"ds_tfms[0][{number}]") for number, item in enumerate(named))
    return dataclasses.replace(base, extra=(*base.extra, *extra))
