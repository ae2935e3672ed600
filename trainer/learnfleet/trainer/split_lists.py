"""Files that are split, before they are labelled: the middle of the data-block API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.label_list import LabelLists
from learnfleet.trainer.label_values import class_names, label_by_match, read_frame

if TYPE_CHECKING:
    import pandas as pd

# fastai's names for `label_cls`.
CategoryList: Final = LabelKind.CATEGORY
MultiCategoryList: Final = LabelKind.MULTI_CATEGORY
FloatList: Final = LabelKind.FLOAT
SegmentationLabelList: Final = LabelKind.MASK
PointsLabelList: Final = LabelKind.POINTS
ImageLabelList: Final = LabelKind.IMAGE  # fastai: ImageList
ObjectCategoryList: Final = LabelKind.BOXES
EmptyLabelList: Final = LabelKind.NONE


class SplitLists:
    """Training and validation files.

    All label methods take `label_cls` (what the targets are; None: by the first label), `classes` (their names, in the
    order of the model's outputs; None: the sorted labels of the training files), and `log` (numbers: their logarithms).
    """

    def __init__(
        self,
        path: Path,
        items: Sequence[Path],
        train: Sequence[Path],
        valid: Sequence[Path],
        kind: LabelKind | None,
        df: pd.DataFrame | None,
    ) -> None:
        """`items`: those that were split, in the order of `df`, the table that they come from."""
        self.path, self.train, self.valid = path, list(train), list(valid)
        self._items, self._kind, self._df = list(items), kind, df

    def label_from_folder(self, label_cls: LabelKind | None = None, classes: Sequence[str] | None = None) -> LabelLists:
        """By the name of the folder each file is in."""
        return self.label_from_func(lambda item: item.parent.name, label_cls, classes)

    def label_from_func(
        self,
        func: Callable[[Path], Any],
        label_cls: LabelKind | None = None,
        classes: Sequence[str] | None = None,
        log: bool = False,
    ) -> LabelLists:
        """What a function of the path gives: text, several texts, numbers, the path of a mask or picture, points, or
        (boxes, classes).
        """
        train, valid = ([func(item) for item in part] for part in (self.train, self.valid))
        return self.label_from_lists(train, valid, label_cls, classes, log)

    def label_from_re(
        self,
        pat: str,
        full_path: bool = False,
        label_cls: LabelKind | None = None,
        classes: Sequence[str] | None = None,
    ) -> LabelLists:
        """The first group of a regular expression searched in the name (or path)."""
        return self.label_from_func(
            lambda item: label_by_match(pat, item.as_posix() if full_path else item.name), label_cls, classes
        )

    def label_from_df(
        self,
        cols: str | int | Sequence[str | int] = 1,
        label_cls: LabelKind | None = None,
        label_delim: str | None = None,
        classes: Sequence[str] | None = None,
        log: bool = False,
    ) -> LabelLists:
        """The cells of a column of the table that the files come from. Several columns of 0 and 1 are one class each,
        unless `label_cls` is FloatList. `label_delim`: between the labels of one cell.
        """
        if self._df is None:
            raise LearnerError("label_from_df", "these items come from no table: use from_df or from_csv")
        kind = LabelKind.FLOAT if log else label_cls
        frame = read_frame(self._df, 0, cols, label_delim, kind)
        return self.label_from_list(frame.labels, label_cls, frame.classes if classes is None else classes, log)

    def label_from_list(
        self,
        labels: Sequence[Any],
        label_cls: LabelKind | None = None,
        classes: Sequence[str] | None = None,
        log: bool = False,
    ) -> LabelLists:
        """One label for each item of the list that was split, in its order."""
        if len(labels) != len(self._items):
            raise LearnerError("labels", f"{len(labels)} labels for {len(self._items)} items; give one each")
        by_file: dict[Path, Any] = {}
        for item, label in zip(self._items, labels, strict=True):
            if str(by_file.setdefault(item, label)) != str(label):
                raise LearnerError("labels", f"{item.name} is there twice, as {by_file[item]!r} and as {label!r}")
        return self.label_from_func(by_file.__getitem__, label_cls, classes, log)

    def label_from_lists(
        self,
        train_labels: Sequence[Any],
        valid_labels: Sequence[Any],
        label_cls: LabelKind | None = None,
        classes: Sequence[str] | None = None,
        log: bool = False,
    ) -> LabelLists:
        """One label for each training and each validation file, in their order."""
        for name, files, labels in (("train", self.train, train_labels), ("valid", self.valid, valid_labels)):
            if len(files) != len(labels):
                raise LearnerError(f"{name}_labels", f"{len(labels)} labels for {len(files)} files; give one each")
        kind = label_cls or self._kind or (LabelKind.FLOAT if log else None)
        pairs = list(zip((*self.train, *self.valid), (*train_labels, *valid_labels), strict=True))
        return LabelLists(self.path, pairs, len(self.train), kind, class_names(classes), log)

    def label_const(self, const: Any = 0, label_cls: LabelKind | None = None) -> LabelLists:
        """The same label for all."""
        return self.label_from_func(lambda item: const, label_cls)

    def label_empty(self) -> LabelLists:
        """Nothing is known: targets are 0."""
        return self.label_from_func(lambda item: None, LabelKind.NONE, ())

    def __getattr__(self, name: str) -> Any:
        if name in ("transform", "databunch", "add_test", "add_test_folder", "presize"):
            raise LearnerError(name, "Your data isn't labelled: use one of the label methods first")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
