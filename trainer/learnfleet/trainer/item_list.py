"""The data-block API: items, then a split, then labels, then transforms, then a data bunch (fastai v1's names).

ImageList.from_folder(path).split_by_rand_pct().label_from_folder().transform(tfms, size=128).databunch(bs=64)
"""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from learnfleet.trainer.data_factories import existing, read_frame
from learnfleet.trainer.data_spec import LabelKind, ResizeMethod
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.folder import FolderScan, inner_folder
from learnfleet.trainer.label_list import LabelLists

if TYPE_CHECKING:
    import pandas as pd

_MAX_SEED = 2**32


class ImageList:
    """Picture files below a folder, before they are split."""

    kind: ClassVar[LabelKind | None] = None  # None: by the labels
    resize_method: ClassVar[ResizeMethod | None] = None

    def __init__(self, items: Iterable[Path | str], path: Path | str = ".", df: pd.DataFrame | None = None) -> None:
        self.path, self.items, self.inner_df = existing(path), [Path(item) for item in items], df

    @classmethod
    def from_folder(
        cls, path: Path | str, recurse: bool = True, exclude: Sequence[str] = (), include: Sequence[str] | None = None
    ) -> Self:
        """All pictures below a folder, by name. `exclude`, `include`: names of folders directly below it."""
        root = existing(path)
        found = [item.path for item in FolderScan(root).pictures(root)]
        if not recurse:
            found = [file for file in found if file.parent == root]
        tops = [(file, file.relative_to(root).parts[0]) for file in found]
        return cls([f for f, top in tops if top not in exclude and (include is None or top in include)], root)

    @classmethod
    def from_df(
        cls, df: pd.DataFrame, path: Path | str, cols: str | int = 0, folder: str | None = None, suffix: str = ""
    ) -> Self:
        """Files named in a column: path / folder / name + suffix. Labels may then come `label_from_df`."""
        names, _ = read_frame(df, cols, cols, None)
        root = existing(path)
        return cls([root / (folder or "") / f"{name}{suffix}" for name in names], root, df)

    @classmethod
    def from_csv(
        cls, path: Path | str, csv_name: str = "labels.csv", cols: str | int = 0, folder: str = "", suffix: str = ""
    ) -> Self:
        """As `from_df`, of the table in the file path / csv_name."""
        import pandas as pd

        return cls.from_df(pd.read_csv(Path(path) / csv_name), path, cols, folder, suffix)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Path:
        return self.items[index]

    def filter_by_func(self, func: Callable[[Path], bool]) -> Self:
        """Only the files that the function says True of."""
        self.items = [item for item in self.items if func(item)]
        return self

    def use_partial_data(self, sample_pct: float = 0.01, seed: int | None = None) -> Self:
        """A drawn share of the files."""
        order = np.random.RandomState(_seed(seed)).permutation(len(self.items))
        self.items = [self.items[int(i)] for i in order[: int(sample_pct * len(self.items))]]
        return self

    # --- splits

    def split_none(self) -> SplitLists:
        """Nothing validates."""
        return self.split_by_idxs(range(len(self)), ())

    def split_by_rand_pct(self, valid_pct: float = 0.2, seed: int | None = None) -> SplitLists:
        """The first int(valid_pct * n) of a drawn order validate."""
        order = np.random.RandomState(_seed(seed)).permutation(len(self)).tolist()
        cut = int(valid_pct * len(self))
        return self.split_by_idxs(sorted(order[cut:]), order[:cut])

    def split_subsets(self, train_size: float, valid_size: float, seed: int | None = None) -> SplitLists:
        """Drawn shares of the files; the rest is left out."""
        if not (0 < train_size < 1 and 0 < valid_size < 1 and train_size + valid_size <= 1):
            raise LearnerError("train_size", f"{train_size} and {valid_size} are not shares that fit into 1")
        order = np.random.RandomState(_seed(seed)).permutation(len(self)).tolist()
        n_train, n_valid = int(train_size * len(self)), int(valid_size * len(self))
        return self.split_by_idxs(order[:n_train], order[len(self) - n_valid :])

    def split_by_idxs(self, train_idx: Iterable[int], valid_idx: Iterable[int]) -> SplitLists:
        """By positions in the list."""
        return SplitLists(self, [self.items[i] for i in train_idx], [self.items[i] for i in valid_idx])

    def split_by_idx(self, valid_idx: Iterable[int]) -> SplitLists:
        """These positions validate, the others train."""
        valid = list(valid_idx)
        chosen = set(valid)
        return self.split_by_idxs((i for i in range(len(self)) if i not in chosen), valid)

    def split_by_valid_func(self, func: Callable[[Path], bool]) -> SplitLists:
        """Files that the function says True of validate."""
        return self.split_by_idx([i for i, item in enumerate(self.items) if func(item)])

    def split_by_folder(self, train: str = "train", valid: str = "valid") -> SplitLists:
        """Files below these folders; others are left out."""

        def below(name: str) -> list[int]:
            folder = inner_folder(self.path, name, "split_by_folder")
            return [i for i, item in enumerate(self.items) if item.is_relative_to(folder)]

        return self.split_by_idxs(below(train), below(valid))

    def split_by_files(self, valid_names: Iterable[Path | str]) -> SplitLists:
        """Files of these names (without folders) validate."""
        names = {Path(name).name for name in valid_names}
        return self.split_by_valid_func(lambda item: item.name in names)

    def split_by_fname_file(self, fname: Path | str, path: Path | str | None = None) -> SplitLists:
        """Files named in a text file, one a line, validate."""
        lines = (Path(path or self.path) / fname).read_text().splitlines()
        return self.split_by_files(line.strip() for line in lines if line.strip())

    def split_from_df(self, col: str | int = 2) -> SplitLists:
        """Files whose cell of a column is true validate."""
        if self.inner_df is None:
            raise LearnerError("split_from_df", "these items come from no table: use from_df or from_csv")
        flags, _ = read_frame(self.inner_df, col, col, None)
        return self.split_by_idx([i for i, flag in enumerate(flags) if flag.strip().lower() in ("true", "1", "1.0")])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("label_"):
            raise LearnerError(name, "Your data isn't split: use one of the split methods before labelling")
        if name in ("transform", "databunch", "add_test", "add_test_folder"):
            raise LearnerError(name, "Your data is neither split nor labelled: do both first")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


class SegmentationItemList(ImageList):
    """Pictures whose targets are masks: label them by `label_from_func(get_mask_path, classes=codes)`."""

    kind: ClassVar[LabelKind | None] = LabelKind.MASK


class SplitLists:
    """Training and validation files, before they are labelled."""

    def __init__(self, source: ImageList, train: list[Path], valid: list[Path]) -> None:
        self.source, self.train, self.valid = source, train, valid

    def label_from_folder(self, classes: Sequence[str] | None = None) -> LabelLists:
        """By the name of the folder each file is in."""
        return self.label_from_func(lambda item: item.parent.name, classes=classes)

    def label_from_func(
        self,
        func: Callable[[Path], Any],
        classes: Sequence[str] | None = None,
        label_cls: LabelKind | None = None,
        log: bool = False,
    ) -> LabelLists:
        """What a function of the path gives: text, several texts, numbers, or the path of a mask."""
        train, valid = ([func(item) for item in part] for part in (self.train, self.valid))
        return self._labelled(train, valid, classes, label_cls, log)

    def label_from_re(self, pat: str, full_path: bool = False, classes: Sequence[str] | None = None) -> LabelLists:
        """The first group of a regular expression searched in the name (or path)."""

        def label(item: Path) -> str:
            text = item.as_posix() if full_path else item.name
            match = re.search(pat, text)
            if match is None:
                raise LearnerError("pat", f'Failed to find "{pat}" in "{text}"')
            return match[1]

        return self.label_from_func(label, classes)

    def label_from_df(
        self,
        cols: str | int | Sequence[str | int] = 1,
        label_delim: str | None = None,
        classes: Sequence[str] | None = None,
        label_cls: LabelKind | None = None,
        log: bool = False,
    ) -> LabelLists:
        """The cells of a column of the table that the files come from; several columns of 0 and 1 are a class each."""
        if self.source.inner_df is None:
            raise LearnerError("label_from_df", "these items come from no table: use from_df or from_csv")
        _, labels = read_frame(self.source.inner_df, 0, cols, label_delim)
        by_file = dict(zip(self.source.items, labels, strict=True))
        return self.label_from_func(by_file.__getitem__, classes, label_cls, log)

    def label_from_list(
        self, labels: Sequence[Any], classes: Sequence[str] | None = None, label_cls: LabelKind | None = None
    ) -> LabelLists:
        """One label for each item of the list that was split, in its order."""
        by_file = dict(zip(self.source.items, labels, strict=True))
        return self.label_from_func(by_file.__getitem__, classes, label_cls)

    def label_const(self, const: Any = 0, label_cls: LabelKind | None = None) -> LabelLists:
        """The same label for all."""
        return self.label_from_func(lambda item: const, label_cls=label_cls)

    def label_empty(self) -> LabelLists:
        """Nothing is known: targets are 0."""
        return self._labelled([None] * len(self.train), [None] * len(self.valid), (), LabelKind.NONE, False)

    def _labelled(
        self,
        train: list[Any],
        valid: list[Any],
        classes: Sequence[str] | None,
        kind: LabelKind | None,
        log: bool,
    ) -> LabelLists:
        wanted = kind or self.source.kind
        if log and wanted is None:
            wanted = LabelKind.FLOAT
        named = None if classes is None else tuple(str(name) for name in classes)
        pairs = zip((*self.train, *self.valid), (*train, *valid), strict=True)
        return LabelLists(self.source.path, list(pairs), len(self.train), wanted, named, log)

    def __getattr__(self, name: str) -> Any:
        if name in ("transform", "databunch"):
            raise LearnerError(name, "Your data isn't labelled: use one of the label methods first")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


def _seed(seed: int | None) -> int:
    return random.randrange(_MAX_SEED) if seed is None else seed


def read_codes(file: Path) -> list[str]:
    """Names of classes, one a line or separated by commas."""
    with file.open(newline="") as lines:
        return [cell.strip() for row in csv.reader(lines) for cell in row if cell.strip()]
