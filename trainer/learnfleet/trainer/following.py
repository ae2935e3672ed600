"""Targets that follow their pictures: resized, cropped and moved as these are."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from learnfleet.trainer.boxes import BoxTargets
from learnfleet.trainer.data_spec import LabelKind, ResizeMethod
from learnfleet.trainer.images import Window
from learnfleet.trainer.listing import Boxes, FolderListing, Item
from learnfleet.trainer.masks import MaskStore, is_alike, of_another_shape
from learnfleet.trainer.pictures import PictureStore
from learnfleet.trainer.pixels import NO_STATS, normalized
from learnfleet.trainer.points import PointPlaces
from learnfleet.trainer.resize import Resize
from learnfleet.trainer.transforms import AugmentParameters, BatchAugment

Size: TypeAlias = tuple[int, int]  # rows, columns
Moves: TypeAlias = tuple[BatchAugment, AugmentParameters]  # what is done to N pictures, and how


class FollowingTargets(Protocol):
    """The targets of one data set. Safe to use from several threads."""

    def check(self, item: Item, shape: Size) -> None:
        """Raises BadImage or LearnerError for a target that cannot be used with the prepared picture of this shape."""
        ...

    def cut(self, item: Item, shape: Size, window: Window) -> Tensor:
        """The target in that window of the prepared picture, once the window has its size. Raises as `check`.

        All have one shape where their pictures have. Of an item without a target: zeros.
        """
        ...

    def finish(self, targets: Tensor, moves: Moves | None, size: Size) -> Tensor:
        """Targets [N, ...] as a batch has them.

        Args:
            moves: None: the pictures are not augmented.
            size: of the pictures.
        """
        ...

    def batched(self, targets: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Finished targets of a whole batch, as losses are called with them."""
        ...


class MaskTargets:
    """A class for each pixel: int64 [N, 1, H, W]."""

    def __init__(self, store: MaskStore, resize: Resize) -> None:
        self._store, self._resize = store, resize

    def check(self, item: Item, shape: Size) -> None:
        self._mask(item, shape)

    def cut(self, item: Item, shape: Size, window: Window) -> Tensor:
        return self._resize.cut(self._mask(item, shape), window, "nearest")

    def _mask(self, item: Item, shape: Size) -> Tensor:
        if not isinstance(item.label, Path):  # of a test set nothing is known
            return torch.zeros(1, *shape, dtype=torch.uint8)
        return self._store.mask(item.label, shape)

    def finish(self, targets: Tensor, moves: Moves | None, size: Size) -> Tensor:
        if moves is None:
            return targets.long()
        augment, parameters = moves
        return augment.apply_to_masks(targets, parameters)

    def batched(self, targets: Tensor) -> Tensor:
        return targets


class PointTargets:
    """K points of each picture: float32 [N, K, 2] of (y, x), -1 and 1 being the middles of the outermost pixels."""

    def __init__(self, root: Path, resize: Resize, n_points: int) -> None:
        self._places, self._n_points = PointPlaces(root, resize), n_points

    def check(self, item: Item, shape: Size) -> None:
        self._places.size_of(item.path)

    def cut(self, item: Item, shape: Size, window: Window) -> Tensor:
        if not isinstance(item.label, tuple):
            return torch.zeros(self._n_points, 2)
        points = torch.tensor(item.label, dtype=torch.float64).view(-1, 2)
        return self._places.placed(item.path, points, shape, window)

    def finish(self, targets: Tensor, moves: Moves | None, size: Size) -> Tensor:
        if moves is None:
            return targets
        augment, parameters = moves
        return augment.apply_to_points(targets, parameters, size)

    def batched(self, targets: Tensor) -> Tensor:
        return targets


class PictureTargets:
    """A picture each: float32 [N, 3, H, W], normalised by `stats`."""

    def __init__(self, store: PictureStore) -> None:
        self._store, self.stats = store, NO_STATS

    def check(self, item: Item, shape: Size) -> None:
        if isinstance(item.label, Path):
            self._picture(item.label, shape)

    def cut(self, item: Item, shape: Size, window: Window) -> Tensor:
        if not isinstance(item.label, Path):  # of a test set nothing is known
            return self._store.resize.cut(torch.zeros(3, *shape, dtype=torch.uint8), window)
        picture = self._picture(item.label, shape)
        return self._store.resize.cut(picture, _scaled_window(window, shape, (picture.shape[1], picture.shape[2])))

    def _picture(self, path: Path, shape: Size) -> Tensor:
        picture = self._store.picture(path)
        found = (picture.shape[1], picture.shape[2])
        is_unsized = self._store.resize.method is ResizeMethod.NO
        if found != shape and (is_unsized or not is_alike(found, shape)):
            raise of_another_shape("data.images", path, found, shape)
        return picture

    def finish(self, targets: Tensor, moves: Moves | None, size: Size) -> Tensor:
        if moves is None:
            return normalized(targets, self.stats)
        augment, parameters = moves
        return augment.apply_to_pictures(targets, parameters, self.stats)

    def batched(self, targets: Tensor) -> Tensor:
        return targets


def _scaled_window(window: Window, shape: Size, wanted: Size) -> Window:
    """The same part of a picture that has more or fewer pixels."""
    if shape == wanted:
        return window
    down, across = wanted[0] / shape[0], wanted[1] / shape[1]
    top, left, rows, columns = window
    rows, columns = max(1, round(rows * down)), max(1, round(columns * across))
    top, left = min(round(top * down), wanted[0] - rows), min(round(left * across), wanted[1] - columns)
    return top, left, rows, columns


def following_targets(listing: FolderListing, root: Path, resize: Resize, cache_bytes: int) -> FollowingTargets | None:
    """Of what is listed; None where targets do not depend on what is done to their pictures."""
    kind, classes = listing.kind, listing.classes
    if kind is LabelKind.MASK:
        return MaskTargets(MaskStore(root, resize, classes, cache_bytes // 4), resize)
    if kind is LabelKind.IMAGE:
        return PictureTargets(PictureStore(root, resize, cache_bytes))
    if kind is LabelKind.POINTS:
        return PointTargets(root, resize, len(classes) // 2)
    if kind is LabelKind.BOXES:
        counts = [len(item.label.classes) for item in (*listing.train, *listing.valid) if isinstance(item.label, Boxes)]
        return BoxTargets(root, resize, max(counts, default=1))
    return None
