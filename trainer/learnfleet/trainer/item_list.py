"""The data-block API: items, then a split, then labels, then transforms, then a data bunch (fastai v1's names).

ImageList.from_folder(path).split_by_rand_pct().label_from_folder().transform(tfms, size=128).databunch(bs=64)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from learnfleet.trainer.data_options import existing, seed_of
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.folder import FolderScan, inner_folder
from learnfleet.trainer.label_values import column_name, read_frame
from learnfleet.trainer.split_lists import SplitLists

if TYPE_CHECKING:
    import pandas as pd

_TRUE = ("true", "1", "1.0")


def get_image_files(path: Path | str, check_ext: bool = True, recurse: bool = False) -> list[Path]:
    """The picture files in a folder, by name: what `from_name_re` is called with.

    Args:
        check_ext: False is an error: files that are no pictures are never listed.
        recurse: also those in the folders below it.
    """
    if not check_ext:
        raise LearnerError("check_ext", "files without the extension of a picture are never listed: leave it out")
    return list(ImageList.from_folder(path, recurse=recurse).items)


class ImageList:
    """Picture files below a folder, before they are split."""

    kind: ClassVar[LabelKind | None] = None  # of the targets. None: by the labels

    def __init__(self, items: Iterable[Path | str], path: Path | str = ".", df: pd.DataFrame | None = None) -> None:
        self.path, self.items, self.inner_df = existing(path), [Path(item) for item in items], df

    @classmethod
    def from_folder(
        cls,
        path: Path | str = ".",
        extensions: str | Sequence[str] | None = None,
        recurse: bool = True,
        exclude: str | Sequence[str] = (),
        include: str | Sequence[str] | None = None,
    ) -> Self:
        """All pictures below a folder, by name.

        Args:
            extensions: only these (or this), with their dots. None: of all pictures.
            exclude, include: names of folders directly below it, whole ones: fastai takes parts of names, too.
        """
        root = existing(path)
        found = [item.path for item in FolderScan(root).pictures(root)]
        if not recurse:
            found = [file for file in found if file.parent == root]
        if extensions is not None:
            wanted = {ending.lower() for ending in _names(extensions)}
            found = [file for file in found if file.suffix.lower() in wanted]
        return cls(found, root).filter_by_folder(include, exclude)

    @classmethod
    def from_df(
        cls,
        df: pd.DataFrame,
        path: Path | str = ".",
        cols: str | int = 0,
        folder: Path | str | None = None,
        suffix: str = "",
    ) -> Self:
        """Files named in a column: path / folder / name + suffix. Labels may then come `label_from_df`."""
        root = existing(path)
        return cls([root / (folder or "") / f"{name}{suffix}" for name in read_frame(df, cols, cols).names], root, df)

    @classmethod
    def from_csv(
        cls,
        path: Path | str,
        csv_name: str = "labels.csv",
        cols: str | int = 0,
        folder: Path | str | None = None,
        suffix: str = "",
        delimiter: str | None = None,
        header: Literal["infer"] | None = "infer",
    ) -> Self:
        """As `from_df`, of the table in the file path / csv_name."""
        import pandas as pd

        table = pd.read_csv(Path(path) / csv_name, sep=delimiter or ",", header=header)
        return cls.from_df(table, path, cols, folder, suffix)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Path:
        return self.items[index]

    def filter_by_func(self, func: Callable[[Path], bool]) -> Self:
        """Only the files that the function says True of."""
        self.items = [item for item in self.items if func(item)]
        return self

    def filter_by_folder(
        self, include: str | Sequence[str] | None = None, exclude: str | Sequence[str] | None = None
    ) -> Self:
        """Only the files whose folder directly below the path has one of these names, or none of those."""
        wanted, unwanted = (_names(names) for names in (include, exclude))

        def stays(file: Path) -> bool:
            top = file.relative_to(self.path).parts[0]
            return (include is None or top in wanted) and top not in unwanted

        return self.filter_by_func(stays)

    def filter_by_rand(self, p: float, seed: int | None = None) -> Self:
        """Each file with probability `p`."""
        drawn = np.random.RandomState(seed_of(seed)).rand(len(self.items)) < p
        self.items = [item for item, stays in zip(self.items, drawn, strict=True) if stays]
        return self

    def use_partial_data(self, sample_pct: float = 0.01, seed: int | None = None) -> Self:
        """A drawn share of the files."""
        order = np.random.RandomState(seed_of(seed)).permutation(len(self.items))
        self.items = [self.items[int(i)] for i in order[: int(sample_pct * len(self.items))]]
        return self

    # --- splits

    def split_none(self) -> SplitLists:
        """Nothing validates."""
        return self.split_by_idxs(range(len(self)), ())

    def split_by_rand_pct(self, valid_pct: float = 0.2, seed: int | None = None) -> SplitLists:
        """The first int(valid_pct * n) of a drawn order validate."""
        order = np.random.RandomState(seed_of(seed)).permutation(len(self)).tolist()
        cut = int(valid_pct * len(self))
        return self.split_by_idxs(sorted(order[cut:]), order[:cut])

    def split_subsets(self, train_size: float, valid_size: float, seed: int | None = None) -> SplitLists:
        """Drawn shares of the files; the rest is left out."""
        if not (0 < train_size < 1 and 0 < valid_size < 1 and train_size + valid_size <= 1):
            raise LearnerError("train_size", f"{train_size} and {valid_size} are not shares that fit into 1")
        order = np.random.RandomState(seed_of(seed)).permutation(len(self)).tolist()
        n_train, n_valid = int(train_size * len(self)), int(valid_size * len(self))
        return self.split_by_idxs(order[:n_train], order[len(self) - n_valid :])

    def split_by_idxs(self, train_idx: Iterable[int], valid_idx: Iterable[int]) -> SplitLists:
        """By positions in the list."""
        train, valid = ([self.items[i] for i in part] for part in (train_idx, valid_idx))
        return SplitLists(self.path, self.items, train, valid, self.kind, self.inner_df)

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
        """Files of these names (without folders, with or without extensions) validate.

        Raises LearnerError where there is none of them: fastai then validates on nothing.
        """
        names = {Path(name).name for name in valid_names}
        if not any(item.name in names or item.stem in names for item in self.items):
            raise LearnerError("valid_names", f"none of the {len(names)} names is that of one of the {len(self)} files")
        return self.split_by_valid_func(lambda item: item.name in names or item.stem in names)

    def split_by_fname_file(self, fname: Path | str, path: Path | str | None = None) -> SplitLists:
        """Files named in a text file, one a line, validate."""
        lines = (Path(path or self.path) / fname).read_text().splitlines()
        return self.split_by_files(line.strip() for line in lines if line.strip())

    def split_from_df(self, col: str | int = 2) -> SplitLists:
        """Files whose cell of a column is true validate."""
        if self.inner_df is None:
            raise LearnerError("split_from_df", "these items come from no table: use from_df or from_csv")
        flags = self.inner_df[column_name(self.inner_df, col)]
        return self.split_by_idx([i for i, flag in enumerate(flags) if str(flag).strip().lower() in _TRUE])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("label_"):
            raise LearnerError(name, "Your data isn't split: if nothing is to validate, use `split_none`")
        if name in ("transform", "databunch", "add_test", "add_test_folder"):
            raise LearnerError(name, "Your data is neither split nor labelled: do both first")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


class SegmentationItemList(ImageList):
    """Pictures whose targets are masks: label them by `label_from_func(get_mask_path, classes=codes)`."""

    kind: ClassVar[LabelKind | None] = LabelKind.MASK


class PointsItemList(ImageList):
    """Pictures whose targets are points: label them by a function that gives (y, x), or several of them, in pixels of
    the file. All pictures have the same number of points.

    Batches have them as float32 [N, points, 2] of (y, x) in [-1, 1], moved as their pictures are.
    """

    kind: ClassVar[LabelKind | None] = LabelKind.POINTS


class ImageImageList(ImageList):
    """Pictures whose targets are pictures: label them by a function that gives the path of each one's target.

    Targets are resized, cropped, moved and lit as their pictures are, float32 [N, 3, rows, columns] of [0, 1] unless
    `normalize(do_y=True)` is called. Holes and coloured noise (cutout, rgb_randomize) are left to the pictures.
    """

    kind: ClassVar[LabelKind | None] = LabelKind.IMAGE


class ObjectItemList(ImageList):
    """Pictures whose targets are boxes with classes: label them by a function that gives (boxes, classes), the boxes as
    [top, left, bottom, right] in pixels of the file.

    Batches have (boxes, classes), as `bb_pad_collate` makes them: float32 [N, B, 4] in [-1, 1], moved as their pictures
    are, and int64 [N, B]; rows of zeros, class 0 ("background"), fill up in front. Train with a loss, and metrics, of
    your own, which are called with (output, boxes, classes). Predictions and interpretation are not offered.
    """

    kind: ClassVar[LabelKind | None] = LabelKind.BOXES


def _names(names: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if names is None else (names,) if isinstance(names, str) else tuple(names)
