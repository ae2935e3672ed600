"""Labelled files, and how they become a data bunch: the end of the data-block API."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from learnfleet.trainer.data_options import (
    Options,
    Size,
    Transforms,
    as_transforms,
    check_tfm_y,
    existing,
    seed_of,
    sized,
)
from learnfleet.trainer.data_spec import (
    BadImagePolicy,
    DataSpec,
    LabelKind,
    ListedItem,
    Normalization,
    PaddingMode,
    ResizeMethod,
)
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.folder import FolderScan, inner_folder
from learnfleet.trainer.label_values import kind_of, listed, numbered_classes
from learnfleet.trainer.spec_base import Component
from learnfleet.trainer.transform_components import rand_resize_crop

if TYPE_CHECKING:
    import torch

    from learnfleet.trainer.data import ImageDataBunch
    from learnfleet.trainer.loader_bunch import BatchFunction
    from learnfleet.trainer.pixels import Stats

Part = Literal["train", "valid", "test"]


class LabelLists:
    """Training, validation and test files with their labels, before they are loaded."""

    def __init__(
        self,
        path: Path,
        pairs: Sequence[tuple[Path, Any]],
        n_train: int,
        kind: LabelKind | None,
        classes: tuple[str, ...] | None,
        log: bool,
    ) -> None:
        """`pairs`: files and labels, the `n_train` to train on first."""
        self.path, self.classes, self.log = path, classes, log
        self.kind = kind or kind_of([label for _, label in pairs])
        self._pairs, self._n_train = list(pairs), n_train
        self._test: list[Path] = []
        self._options = Options()
        self._window: Component | None = None
        self._valid_margin = 0

    def transform(
        self,
        tfms: Transforms = None,
        size: Size = None,
        resize_method: ResizeMethod | None = None,
        mult: int | None = None,
        padding_mode: PaddingMode = "reflection",
        tfm_y: bool | None = None,
        remove_out: bool = False,
    ) -> Self:
        """How training pictures are augmented, and how all get one size (see `Options`).

        Args:
            remove_out: True is an error: points that are moved out of their picture stay targets, beyond -1 or 1, as
                all items of a batch need the same number of them.
        """
        check_tfm_y(tfm_y, self.kind)
        if remove_out:
            raise LearnerError("remove_out", "points that are moved out of their picture stay targets: leave it out")
        as_transforms(tfms)
        if size is not None:
            sized(size, resize_method, mult)
        self._options = Options(
            ds_tfms=tfms, size=size, resize_method=resize_method, mult=mult, padding_mode=padding_mode, tfm_y=tfm_y
        )
        return self

    def presize(
        self,
        size: int,
        val_xtra_size: int = 32,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> Self:
        """Train on random windows scaled to `size`, and validate on the middle of pictures `val_xtra_size` larger.

        Args:
            scale: shares of the picture's area; the larger must be 1.
            ratio: width / height of the windows.
        """
        if not 0 < scale[0] <= 1 or scale[1] != 1:
            raise LearnerError("scale", f"{scale} is not (a share, 1)")
        if val_xtra_size < 0:
            raise LearnerError("val_xtra_size", f"{val_xtra_size} is below 0")
        self._window = rand_resize_crop(size, 1 / math.sqrt(scale[0]), ratio)
        self._valid_margin = val_xtra_size
        return self

    def add_test(self, items: Iterable[Path | str]) -> Self:
        """Files whose labels are not known."""
        self._test += [self.path / item for item in items]
        return self

    def add_test_folder(self, test_folder: str = "test") -> Self:
        """All pictures below a folder of the folder, as `add_test`."""
        folder = inner_folder(self.path, test_folder, "test_folder")
        return self.add_test(found.path for found in FolderScan(self.path).pictures(folder))

    def spec(self, options: Options | None = None, seed: int | None = None) -> DataSpec:
        """As a specification. Its path is `path`, or the nearest folder above it that holds all the files."""
        root = self._root()
        items = [listed(root, file, label, self.kind) for file, label in self._pairs]
        n = self._n_train
        items[n:] = [dataclasses.replace(item, part="valid") for item in items[n:]]
        tests = [dataclasses.replace(listed(root, file, None, LabelKind.NONE), part="test") for file in self._test]
        base = DataSpec(
            str(root),
            split_seed=seed_of(seed),
            source="list",
            items=(*items, *tests),
            labels=self.kind,
            classes=self.classes or self._numbered(items),
            log=self.log,
            valid_margin=self._valid_margin,
        )
        return self._with_window(options or self._options).spec(base)

    def _numbered(self, items: Sequence[ListedItem]) -> tuple[str, ...] | None:
        is_named = self.kind in (LabelKind.CATEGORY, LabelKind.MULTI_CATEGORY)
        return numbered_classes([label for _, label in self._pairs], items) if is_named else None

    def _with_window(self, options: Options) -> Options:
        if self._window is None:
            return options
        given = options.ds_tfms[0] if isinstance(options.ds_tfms, tuple | list) else options.ds_tfms
        train = list(given) if isinstance(given, Sequence) and not hasattr(given, "do_flip") else [given]
        return dataclasses.replace(options, ds_tfms=([*train, self._window], []))

    def _root(self) -> Path:
        has_files = self.kind in (LabelKind.MASK, LabelKind.IMAGE)
        targets = [label for _, label in self._pairs if isinstance(label, str | Path)] if has_files else []
        files = [*(file for file, _ in self._pairs), *targets, *self._test]
        outside = [path for file in files if not (path := self.path / file).is_relative_to(self.path)]
        return Path(os.path.commonpath([self.path, *(path.resolve() for path in outside)])) if outside else self.path

    def databunch(
        self,
        path: Path | str | None = None,
        bs: int = 64,
        val_bs: int | None = None,
        num_workers: int | None = None,
        dl_tfms: Sequence[BatchFunction] = (),
        device: torch.device | str | None = None,
        no_check: bool = False,
        seed: int | None = None,
        normalize: Stats | Normalization | None = None,
        bad_image: BadImagePolicy = BadImagePolicy.SKIP,
        collate_fn: Callable[..., Any] | None = None,
    ) -> ImageDataBunch:
        """The loaders (see `Options`).

        Args:
            path: where a learner writes. None: the folder of the items.
            seed: of shuffling and augmentation.
            collate_fn: None, or `bb_pad_collate`, which boxes are put together by in any case.
        """
        from learnfleet.trainer.boxes import bb_pad_collate
        from learnfleet.trainer.data import ImageDataBunch

        if isinstance(path, int):
            raise LearnerError("path", f"{path} is no path; the batch size is `bs={path}`")
        if collate_fn is not None and (collate_fn is not bb_pad_collate or self.kind is not LabelKind.BOXES):
            raise LearnerError("collate_fn", "is only for boxes, and bb_pad_collate: items are put together by kind")
        options = dataclasses.replace(
            self._options,
            bs=bs,
            val_bs=val_bs,
            num_workers=num_workers,
            dl_tfms=dl_tfms,
            device=device,
            no_check=no_check,
            normalize=normalize,
            bad_image=bad_image,
        )
        return ImageDataBunch.loaded(self.spec(options, seed), options, self.path if path is None else existing(path))
