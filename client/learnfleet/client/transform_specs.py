"""Augmentation of a remote learner's pictures, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learnfleet.client.components import Component, component_to_proto
from learnfleet.v1 import learner_pb2


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
    xtra_tfms: tuple[Component, ...] = ()

    def to_proto(self) -> learner_pb2.Transforms:
        numbers = {name: value for name, value in vars(self).items() if name != "xtra_tfms"}
        return learner_pb2.Transforms(**numbers, extra=[component_to_proto(item) for item in self.xtra_tfms])


def get_transforms(
    do_flip: bool = True,
    flip_vert: bool = False,
    max_rotate: float = 10.0,
    max_zoom: float = 1.1,
    max_lighting: float = 0.2,
    max_warp: float = 0.2,
    p_affine: float = 0.75,
    p_lighting: float = 0.75,
    xtra_tfms: Sequence[Component] = (),
) -> Transforms:
    """fastai v1's augmentation of training pictures. A maximum of 0 (zoom: 1) leaves that transform out.

    Args:
        xtra_tfms: further ones by name, such as ("cutout", {"length": [10, 40]}).
    """
    return Transforms(
        do_flip, flip_vert, max_rotate, max_zoom, max_lighting, max_warp, p_affine, p_lighting, tuple(xtra_tfms)
    )
