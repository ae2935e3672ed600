"""The data-block API of described data: items, a split, labels, transforms, a data bunch (fastai v1's names).

ImageList.from_folder(path).split_by_rand_pct().label_from_folder().transform(tfms, size=128).databunch(bs=64)

The server lists the files, so what a function of one's own would decide about them is not offered; of masks, the
function that gives a picture's mask is asked for its rule. Lists of names that are here can be treated in any way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from learnfleet.client.data_sources import Folder, Label, Masks, Names, Source, Split, Table, column_name, read_frame
from learnfleet.client.data_specs import ImageDataBunch
from learnfleet.client.drawn_split import split_by_pct
from learnfleet.client.label_list import LabelList
from learnfleet.client.mask_rule import MaskRule, pattern_in_name, rule_of

if TYPE_CHECKING:
    import pandas as pd

# fastai's names for `label_cls`.
CategoryList, MultiCategoryList, FloatList, SegmentationLabelList = "category", "multi_category", "float", "mask"
PointsLabelList, ImageLabelList = "points", "image"  # the second is fastai's ImageList

_BY_FOLDER = r"([^/]+)/[^/]+$"


class ImageList:
    """Pictures of the server, before they are split: those of a folder, of a table there, or a list of names."""

    kind: ClassVar[str] = ""  # of the targets. "": by the labels

    def __init__(
        self, items: Iterable[str | Path], path: str | PathLike[str] = ".", df: pd.DataFrame | None = None
    ) -> None:
        """Files below `path` on the server, named one by one."""
        self.path, self.inner_df = str(path), df
        self.items: list[Path] | None = [Path(item) for item in items]
        self.table: Table | None = None

    @classmethod
    def from_folder(cls, path: str | PathLike[str] = ".") -> Self:
        """All pictures below a folder of the server, by name."""
        made = cls((), path)
        made.items = None
        return made

    @classmethod
    def from_csv(
        cls,
        path: str | PathLike[str],
        csv_name: str = "labels.csv",
        cols: str | int = 0,
        folder: str | Path | None = None,
        suffix: str = "",
        delimiter: str | None = None,
        header: str | None = "infer",
    ) -> Self:
        """Pictures named in a column of the file path / csv_name on the server."""
        made = cls.from_folder(path)
        has_header = header is not None
        fn_col = column_name(cols, 0, has_header)
        made.table = Table(
            str(path), csv_name, str(folder or ""), suffix, fn_col, (), "", delimiter or ",", "", has_header
        )
        return made

    @classmethod
    def from_df(
        cls,
        df: pd.DataFrame,
        path: str | PathLike[str] = ".",
        cols: str | int = 0,
        folder: str | Path | None = None,
        suffix: str = "",
    ) -> Self:
        """Pictures named in a column of a table that is here: path / folder / name + suffix on the server."""
        names = read_frame(df, cols, cols, None)[0]
        return cls([Path(folder or "") / f"{name}{suffix}" for name in names], path, df)

    # --- splits

    def split_by_rand_pct(self, valid_pct: float = 0.2, seed: int | None = None) -> SplitList:
        """The first int(valid_pct * n) of a drawn order validate."""
        if self.items is None:
            return SplitList(self, Split(valid_pct, seed))
        train, valid = split_by_pct(range(len(self.items)), valid_pct, seed)
        return self.split_by_idxs(train, valid)

    def split_by_folder(self, train: str = "train", valid: str = "valid") -> SplitList:
        """Pictures below these folders; others are left out."""
        if self.items is None and self.table is None:
            return SplitList(self, (train, valid))
        raise ValueError("split_by_folder is for ImageList.from_folder: the server knows which folders there are")

    def split_from_df(self, col: str | int = 2) -> SplitList:
        """Pictures whose cell of a column is true validate."""
        if self.table is not None:
            return SplitList(self, column_name(col, -1, self.table.header))
        if self.inner_df is None:
            raise ValueError("these items come from no table: use from_df or from_csv")
        flags = [
            str(flag).strip().lower() in ("true", "1", "1.0") for flag in read_frame(self.inner_df, 0, col, None)[1]
        ]
        return self.split_by_idx([place for place, flag in enumerate(flags) if flag])

    def split_none(self) -> SplitList:
        """Nothing validates."""
        return self.split_by_idxs(range(len(self._named())), ())

    def split_by_idx(self, valid_idx: Iterable[int]) -> SplitList:
        """These positions validate, the others train."""
        valid = list(valid_idx)
        chosen = set(valid)
        return self.split_by_idxs([i for i in range(len(self._named())) if i not in chosen], valid)

    def split_by_idxs(self, train_idx: Iterable[int], valid_idx: Iterable[int]) -> SplitList:
        """By positions in the list."""
        self._named()
        return SplitList(self, (list(train_idx), list(valid_idx)))

    def split_by_valid_func(self, func: Callable[[Path], bool]) -> SplitList:
        """Files that the function says True of validate."""
        return self.split_by_idx([i for i, item in enumerate(self._named()) if func(item)])

    def _named(self) -> list[Path]:
        if self.items is None:
            raise ValueError(
                "these files are listed by the server: split_by_rand_pct, split_by_folder and split_from_df are"
                " possible; for other splits make the list here: ImageList(names, path)"
            )
        return self.items


class SegmentationItemList(ImageList):
    """Pictures whose targets are masks: label them by `label_from_func(get_mask_path, classes=codes)`."""

    kind: ClassVar[str] = "mask"


class PointsItemList(ImageList):
    """Pictures whose targets are points: lists of (row, column) in pixels of the pictures as they are stored."""

    kind: ClassVar[str] = "points"


class ImageImageList(ImageList):
    """Pictures that other pictures are to be made of: label them by the files of those."""

    kind: ClassVar[str] = "image"


class SplitList:
    """Training and validation pictures, before they are labelled."""

    def __init__(self, items: ImageList, how: Split | str | tuple[Any, Any]) -> None:
        """`how`: a draw, a column of the table, two folders, or two lists of positions."""
        self._items, self._how = items, how

    def label_from_folder(self, label_cls: str | None = None, classes: Sequence[str] | None = None) -> LabelList:
        """By the name of the folder each file is in."""
        items = self._items
        if items.items is not None:
            return self.label_from_func(lambda path: path.parent.name, label_cls, classes)
        if isinstance(self._how, tuple):
            return self._labelled(Folder(items.path, *self._how), label_cls or "category", classes)
        return self.label_from_re(_BY_FOLDER, True, label_cls, classes)

    def label_from_re(
        self,
        pat: str,
        full_path: bool = False,
        label_cls: str | None = None,
        classes: Sequence[str] | None = None,
    ) -> LabelList:
        """The first group of a regular expression searched in the name (or path)."""
        if self._items.items is not None:
            from learnfleet.client.data_specs import matched

            return self.label_from_func(lambda path: matched(pat, path if full_path else path.name), label_cls, classes)
        if not isinstance(self._how, Split) or self._items.table is not None:
            raise ValueError("label_from_re goes with split_by_rand_pct; of folders take label_from_folder")
        source = Names(self._items.path, pat if full_path else pattern_in_name(pat), self._how)
        return self._labelled(source, label_cls or "category", classes)

    def label_from_df(
        self,
        cols: str | int | Sequence[str | int] = 1,
        label_cls: str | None = None,
        label_delim: str | None = None,
        classes: Sequence[str] | None = None,
        log: bool = False,
    ) -> LabelList:
        """The cells of a column of the table. Several columns of 0 and 1 are one class each, unless `label_cls` is
        FloatList. `log`: numbers, and their logarithms are trained on.
        """
        if self._items.inner_df is not None:
            _, labels, named = read_frame(self._items.inner_df, 0, cols, label_delim)
            return self._listed(labels, label_cls or ("float" if log else None), classes or named, log)
        table = self._items.table
        if table is None:
            raise ValueError("these items come from no table: use from_df or from_csv")
        columns = [cols] if isinstance(cols, str | int) else list(cols)
        names = tuple(name for column in columns if (name := column_name(column, 1, table.header)))
        kind = label_cls or ("float" if log else "multi_category" if label_delim or len(columns) > 1 else "category")
        split, valid_col = (Split(), self._how) if isinstance(self._how, str) else (self._how, "")
        assert isinstance(split, Split)
        source = Table(
            table.path,
            table.file,
            table.folder,
            table.suffix,
            table.fn_col,
            names,
            label_delim or "",
            table.delimiter,
            str(valid_col),
            table.header,
            split,
        )
        return self._labelled(source, kind, classes, log)

    def label_from_func(
        self,
        func: Callable[[Path], Any],
        label_cls: str | None = None,
        classes: Sequence[str] | None = None,
        log: bool = False,
    ) -> LabelList:
        """What a function of the path gives, of a list of names that is here; or the path of each picture's mask.

        Of masks whose pictures the server lists, the function is asked for its rule: where the masks are, and what
        their names have that the pictures' have not.
        """
        kind = label_cls or self._items.kind
        if self._items.items is not None:
            labels = [func(path) for path in self._items.items]
            return self._listed(labels, kind or ("float" if log else None), classes, log)
        if kind != "mask" or not isinstance(self._how, Split):
            raise ValueError(
                "the server lists these files, and no function travels there: use label_from_folder, label_from_re or"
                " label_from_df; or make the list here: ImageList(names, path)"
            )
        rule = rule_of(func, Path(self._items.path))
        return self._labelled(_masks(rule, self._how), "mask", classes)

    def label_from_lists(
        self,
        train_labels: Sequence[Label],
        valid_labels: Sequence[Label],
        label_cls: str | None = None,
        classes: Sequence[str] | None = None,
    ) -> LabelList:
        """One label for each training and each validation file, in their order."""
        self._items._named()
        assert isinstance(self._how, tuple)
        labels: dict[int, Any] = {}
        for places, given in zip(self._how, (train_labels, valid_labels), strict=True):
            labels.update(zip(places, given, strict=True))
        return self._listed([labels.get(i) for i in range(len(self._items._named()))], label_cls, classes, False)

    def _listed(self, labels: Sequence[Any], kind: str | None, classes: Sequence[str] | None, log: bool) -> LabelList:
        assert isinstance(self._how, tuple)
        train, valid = self._how
        names, places = self._items._named(), [*train, *valid]
        made = ImageDataBunch.from_lists(
            self._items.path,
            [names[i] for i in places],
            [labels[i] for i in places],
            is_valid=[number >= len(train) for number in range(len(places))],
            masks_of=tuple(classes or ()) if kind == "mask" else (),
            classes=classes,
            label_cls=kind if kind in ("points", "image") else None,
        )
        if kind not in (None, "", made.kind):
            raise ValueError(f"label_cls is {kind!r}, and the labels are of the kind {made.kind!r}")
        return self._labelled(made.source, made.kind, made.given_classes, log)

    def _labelled(self, source: Source, kind: str, classes: Sequence[str] | None, log: bool = False) -> LabelList:
        return LabelList(source, kind, tuple(str(name) for name in classes or ()), log)


def _masks(rule: MaskRule, split: Split) -> Masks:
    return Masks(rule.root, rule.pictures, rule.masks, rule.suffix, rule.extension, split)
