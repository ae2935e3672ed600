"""Augmentation of a remote learner's pictures, as values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from learnfleet.client.components import Component, Components, as_components, component_to_proto
from learnfleet.v1 import learner_pb2


@dataclass(frozen=True)
class Transforms:
    """fastai's augmentation; made by `get_transforms`. It reads as the pair (itself, None)."""

    do_flip: bool = True
    flip_vert: bool = False
    max_rotate: float = 10.0  # degrees
    max_zoom: float = 1.1
    max_lighting: float = 0.2
    max_warp: float = 0.2
    p_affine: float = 0.75
    p_lighting: float = 0.75
    xtra_tfms: tuple[Component, ...] = ()

    def to_proto(self) -> learner_pb2.Transforms:
        numbers = {name: value for name, value in vars(self).items() if name != "xtra_tfms"}
        return learner_pb2.Transforms(**numbers, extra=[component_to_proto(item) for item in self.xtra_tfms])

    def __iter__(self) -> Iterator[Transforms | None]:
        return iter((self, None))

    def __getitem__(self, index: int) -> Transforms | None:
        return (self, None)[index]


# What `get_transforms()` gives, or fastai's pair of lists, of which the second is empty.
TransformsLike: TypeAlias = "Transforms | tuple[Any, Any] | list[Any] | None"

_NO_TRANSFORMS = Transforms(do_flip=False, max_rotate=0.0, max_zoom=1.0, max_lighting=0.0, max_warp=0.0)


def get_transforms(
    do_flip: bool = True,
    flip_vert: bool = False,
    max_rotate: float | None = 10.0,
    max_zoom: float = 1.1,
    max_lighting: float | None = 0.2,
    max_warp: float | None = 0.2,
    p_affine: float = 0.75,
    p_lighting: float = 0.75,
    xtra_tfms: Components = None,
) -> Transforms:
    """fastai v1's augmentation of training pictures. A maximum of 0 or None (zoom: 1) leaves that transform out.

    Args:
        xtra_tfms: further ones, such as `cutout(length=(10, 40))`, or by name: ("cutout", {"length": [10, 40]}).
    """
    rotate, lighting, warp = max_rotate or 0.0, max_lighting or 0.0, max_warp or 0.0
    extra = as_components(xtra_tfms)
    return Transforms(do_flip, flip_vert, rotate, max_zoom, lighting, warp, p_affine, p_lighting, extra)


def as_transforms(value: TransformsLike) -> Transforms | None:
    """Raises ValueError for what is neither from `get_transforms` nor a pair of lists of transforms."""
    if value is None or isinstance(value, Transforms):
        return value
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"ds_tfms is {value!r}; must be what get_transforms() gives, or a pair of lists")
    train, valid = value
    if valid and any(item is not None for item in valid):
        raise ValueError("ds_tfms: validation pictures have no transforms of their own: leave the second list empty")
    return train if train is None or isinstance(train, Transforms) else _merged(list(train))


def _merged(listed: Sequence[Any]) -> Transforms | None:
    """One value of a list; at most one of it is from `get_transforms`."""
    bases = [item for item in listed if isinstance(item, Transforms)]
    extra = tuple(item for item in listed if item is not None and not isinstance(item, Transforms))
    if len(bases) > 1:
        raise ValueError(f"ds_tfms: {len(bases)} results of get_transforms cannot be mixed: give one")
    if not (bases or extra):
        return None
    base = bases[0] if bases else _NO_TRANSFORMS
    return replace(base, xtra_tfms=(*base.xtra_tfms, *extra))


def rand_zoom(scale: float | Sequence[float] = (1.0, 1.5), p: float = 1.0) -> Component:
    """As `zoom`, to a part anywhere in the picture."""
    return ("zoom", {"scale": scale, "row_pct": (0.0, 1.0), "col_pct": (0.0, 1.0), "p": p})
