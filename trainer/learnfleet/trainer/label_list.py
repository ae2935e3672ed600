"""Labelled files, and how they become a data bunch: the end of the data-block API."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from learnfleet.trainer.data_factories import Options, Size, Transforms, as_transforms, kind_of, listed, sized
from learnfleet.trainer.data_spec import (
    BadImagePolicy,
    DataSpec,
    LabelKind,
    ListedItem,
    PaddingMode,
    ResizeMethod,
)
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.folder import FolderScan, inner_folder
from learnfleet.trainer.sources import place_beneath

if TYPE_CHECKING:
    import torch

    from learnfleet.trainer.data import ImageDataBunch


class LabelLists:
    """Training and validation files with their labels, before they are loaded."""

    def __init__(
        self,
        path: Path,
        pairs: Sequence[tuple[Path, Any]],
        n_train: int,
        kind: LabelKind | None,
        classes: tuple[str, ...] | None,
        log: bool,
    ) -> None:
        labels = [label for _, label in pairs]
        self.path, self.kind, self.classes, self.log = path, kind or kind_of(labels), classes, log
        items = [_listed(path, file, label, self.kind) for file, label in pairs]
        self._items = [*items[:n_train], *(dataclasses.replace(item, part="valid") for item in items[n_train:])]
        self._transforms: Transforms = None
        self._options = Options()

    def transform(
        self,
        tfms: Transforms = None,
        size: Size = None,
        resize_method: ResizeMethod | None = None,
        mult: int | None = None,
        padding_mode: PaddingMode = "reflection",
        tfm_y: bool | None = None,
    ) -> Self:
        """How training pictures are augmented, and how all get one size (see `DataFactories`).

        Args:
            tfm_y: masks follow their pictures always, so False for them is an error; other targets cannot follow.
        """
        if tfm_y is False and self.kind is LabelKind.MASK:
            raise LearnerError("tfm_y", "masks always follow their pictures: leave it out")
        if tfm_y and self.kind is not LabelKind.MASK:
            raise LearnerError("tfm_y", f"targets of the kind {self.kind} cannot be transformed with their pictures")
        as_transforms(tfms), sized(size, resize_method, mult)
        self._options = Options(
            ds_tfms=tfms, size=size, resize_method=resize_method, mult=mult, padding_mode=padding_mode
        )
        return self

    def add_test(self, items: Iterable[Path | str]) -> Self:
        """Files below the folder whose labels are not known."""
        self._items += [ListedItem(place_beneath(self.path, Path(item)), part="test") for item in items]
        return self

    def add_test_folder(self, test_folder: str = "test") -> Self:
        """All pictures below a folder of the folder, as `add_test`."""
        folder = inner_folder(self.path, test_folder, "test_folder")
        return self.add_test(found.path for found in FolderScan(self.path).pictures(folder))

    def spec(self, bs: int = 64, val_bs: int | None = None, seed: int | None = None) -> DataSpec:
        """As a specification, which a server understands too."""
        options = dataclasses.replace(self._options, bs=bs, val_bs=val_bs)
        return options.spec(
            self.path,
            seed,
            source="list",
            items=tuple(self._items),
            labels=self.kind,
            classes=self.classes,
            log=self.log,
        )

    def databunch(
        self,
        bs: int = 64,
        val_bs: int | None = None,
        seed: int | None = None,
        device: torch.device | None = None,
        num_workers: int | None = None,
        bad_image: BadImagePolicy = BadImagePolicy.SKIP,
    ) -> ImageDataBunch:
        """The loaders. `seed`: of shuffling and augmentation; None: a random one."""
        from learnfleet.trainer.data import ImageDataBunch

        spec = dataclasses.replace(self.spec(bs, val_bs, seed), bad_image=bad_image)
        return ImageDataBunch.from_spec(spec, seed=spec.split_seed, device=device, threads=num_workers)


def _listed(root: Path, file: Path, label: Any, kind: LabelKind) -> ListedItem:
    if kind is LabelKind.NONE:
        return ListedItem(place_beneath(root, file))
    if kind is LabelKind.MASK:
        if not isinstance(label, str | Path):
            raise LearnerError("label_from_func", f"{label!r} is not the path of a mask")
        return ListedItem(place_beneath(root, file), mask=place_beneath(root, Path(label)))
    return listed(root, file, label, kind)
