"""What data a remote learner has, as values that read like fastai. Nothing is read here: the files are the server's."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from learnfleet.client.data_bunch import DataBunch
from learnfleet.client.data_options import LABELS, CommonOptions, LoadingOptions, Options, known
from learnfleet.client.data_sources import (
    Folder,
    Label,
    Listed,
    Masks,
    Names,
    Split,
    Table,
    column_name,
    kind_of_labels,
    listed_item,
    numbered_classes,
    part_flags,
    place_below,
    placed_labels,
    read_frame,
)
from learnfleet.client.transform_specs import Transforms as Transforms
from learnfleet.client.transform_specs import get_transforms as get_transforms

if TYPE_CHECKING:
    import pandas as pd

_VALID_PCT = 0.2


@dataclass(frozen=True)
class ImageFiles:
    """All pictures in a folder of the server, which only the server can list. Made by `get_image_files`."""

    path: str


def get_image_files(path: str | PathLike[str], recurse: bool = False) -> ImageFiles:
    """What `from_name_re` is called with: the pictures in a folder of the server.

    Args:
        recurse: those in the folders below it are among them in any case.
    """
    return ImageFiles(str(path))


class ImageDataBunch(DataBunch):
    """Pictures on storage that the server's workers can read, and how they become batches. Nothing is read here.

    Made by its class methods, whose `loading` keywords are those of `data_options.Options`. Paths are the server's:
    absolute, or relative to one of its data roots; or a data set (`client.datasets`), or a folder in one
    (`dataset / "images"`).
    """

    @classmethod
    def from_folder(
        cls,
        path: str | PathLike[str],
        train: str = "train",
        valid: str = "valid",
        test: str | None = None,
        valid_pct: float | None = None,
        seed: int | None = None,
        classes: Sequence[str] | None = None,
        **loading: Unpack[LoadingOptions],
    ) -> ImageDataBunch:
        """A folder of pictures, labelled by the folder they are in.

        Args:
            path: on the server: absolute, or relative to one of its data roots.
            train, valid: folders of class folders below `path`, where `valid_pct` is None.
            test: a folder of pictures without labels below `path`.
            valid_pct: share of the class folders directly below `path` that validates, drawn with `seed`.
            classes: in the order of the model's outputs. None: the sorted labels of the training pictures.

        Raises ValueError for a word that is not known.
        """
        source = Folder(str(path), train, valid, valid_pct, seed)
        made = cls(source, **Options(**loading).fields("category"))
        return made.with_options(test=test, classes=classes)

    @classmethod
    def from_csv(
        cls,
        path: str | PathLike[str],
        folder: str | Path | None = None,
        label_delim: str | None = None,
        csv_labels: str = "labels.csv",
        valid_pct: float = _VALID_PCT,
        seed: int | None = None,
        fn_col: str | int = 0,
        label_col: str | int | Sequence[str | int] = 1,
        suffix: str = "",
        delimiter: str | None = None,
        header: str | int | None = "infer",
        labels: str = "",
        valid_col: str = "",
        **loading: Unpack[CommonOptions],
    ) -> ImageDataBunch:
        """Pictures named in the file path / csv_labels on the server.

        Args:
            fn_col, label_col: headings; by numbers the first two columns, and any where there is no `header` (None).
            label_delim: between the labels of one cell; then, and with several label columns, a picture may have
                several labels.
            labels: "category", "multi_category" or "float". Default: by the columns. (The trainer looks into the file
                whether the labels are numbers; only the server could.)
            valid_col: column that is true for pictures which validate, in place of `valid_pct`.
        """
        if header not in ("infer", 0, None) or isinstance(header, bool):
            raise ValueError(f"header is {header!r}; must be 'infer' or 0 (the first line), or None (no headings)")
        columns = [label_col] if isinstance(label_col, str | int) else list(label_col)
        kind = labels or ("multi_category" if label_delim or len(columns) > 1 else "category")
        source = Table(
            str(path),
            csv_labels,
            str(folder or ""),
            suffix,
            column_name(fn_col, 0, header is not None),
            tuple(name for column in columns if (name := column_name(column, 1, header is not None))),
            label_delim or "",
            delimiter or ",",
            valid_col,
            header is not None,
            Split(valid_pct, seed),
        )
        return cls(source, labels=kind, **Options(**loading).fields(kind))

    @classmethod
    def from_name_re(
        cls,
        path: str | PathLike[str],
        fnames: ImageFiles | Sequence[str | Path],
        pat: str,
        valid_pct: float = _VALID_PCT,
        seed: int | None = None,
        **loading: Unpack[CommonOptions],
    ) -> ImageDataBunch:
        """Pictures labelled by the first group of a regular expression searched in their paths.

        Args:
            fnames: `get_image_files(folder)`, which the server lists; or names of files below `path`.

        Raises ValueError for a name that does not match.
        """
        if isinstance(fnames, ImageFiles):
            return cls(Names(fnames.path, pat, Split(valid_pct, seed)), **Options(**loading).fields("category"))
        return cls.from_lists(path, fnames, [matched(pat, name) for name in fnames], valid_pct, seed, **loading)

    @classmethod
    def from_name_func(
        cls,
        path: str | PathLike[str],
        fnames: Sequence[str | Path],
        label_func: Callable[[Path], Label],
        valid_pct: float = _VALID_PCT,
        seed: int | None = None,
        **loading: Unpack[CommonOptions],
    ) -> ImageDataBunch:
        """As `from_lists`, with the label that a function gives each path; it is called here."""
        if isinstance(fnames, ImageFiles):
            raise ValueError(
                "fnames are listed by the server, and no function travels there: use from_name_re, or give the names"
            )
        return cls.from_lists(path, fnames, [label_func(Path(name)) for name in fnames], valid_pct, seed, **loading)

    @classmethod
    def from_lists(
        cls,
        path: str | PathLike[str],
        fnames: Sequence[str | Path],
        labels: Sequence[Label],
        valid_pct: float = _VALID_PCT,
        seed: int | None = None,
        is_valid: Sequence[bool] | None = None,
        masks_of: Sequence[str] = (),
        classes: Sequence[str] | None = None,
        label_cls: str | None = None,
        **loading: Unpack[CommonOptions],
    ) -> ImageDataBunch:
        """Files below `path` on the server, and a label for each: text, numbers, or several of either.

        Whole numbers are classes in the order of their size. The split is drawn here, as the trainer draws it.

        Args:
            is_valid: whether each validates, in place of a draw.
            masks_of: classes in the order of the pixel values, where the labels are files of masks below `path`.
            label_cls: what the labels are: CategoryList, MultiCategoryList, FloatList, PointsLabelList (row and column
                of each point, in pixels) or ImageLabelList (files of pictures below `path` that are to be made of
                them). Default: by the labels, where pairs of numbers in a list are points.

        Raises ValueError where these are not as many.
        """
        if len(fnames) != len(labels):
            raise ValueError(f"{len(labels)} labels for {len(fnames)} files; give one each")
        flags, order = part_flags(len(fnames), valid_pct, seed, is_valid)
        root = str(path)
        rows = [(place_below(root, fnames[i]), labels[i], flags[i]) for i in order]
        if masks_of:
            masked = Listed(root, tuple(listed_item(*row, "mask") for row in placed_labels(root, rows)))
            return cls(masked, labels="mask", given_classes=tuple(masks_of), **Options(**loading).fields("mask"))
        kind = label_cls or kind_of_labels(labels)
        known(kind, {name: number for name, number in LABELS.items() if name != "mask"}, "label_cls")
        rows = placed_labels(root, rows) if kind == "image" else rows
        source = Listed(root, tuple(listed_item(*row, kind) for row in rows))
        has_classes = kind in ("category", "multi_category")
        named = tuple(classes or ()) or (numbered_classes(labels, flags) if has_classes else ())
        return cls(source, labels=kind, given_classes=named, **Options(**loading).fields(kind))

    @classmethod
    def from_df(
        cls,
        path: str | PathLike[str],
        df: pd.DataFrame,
        folder: str | Path | None = None,
        label_delim: str | None = None,
        valid_pct: float = _VALID_PCT,
        seed: int | None = None,
        fn_col: str | int = 0,
        label_col: str | int | Sequence[str | int] = 1,
        suffix: str = "",
        **loading: Unpack[CommonOptions],
    ) -> ImageDataBunch:
        """Pictures named in a table that is here: path / folder / name + suffix on the server.

        Args:
            label_delim: between the labels of one cell.
            label_col: a column of labels; several columns of 0 and 1 are one class each, others are numbers.
        """
        names, labels, classes = read_frame(df, fn_col, label_col, label_delim)
        files = [str(Path(folder or "") / f"{name}{suffix}") for name in names]
        return cls.from_lists(path, files, labels, valid_pct, seed, classes=classes, **loading)

    @classmethod
    def from_masks(
        cls,
        path: str | PathLike[str],
        classes: Sequence[str],
        pictures: str = "images",
        masks: str = "labels",
        suffix: str = "",
        extension: str = "",
        valid_pct: float = _VALID_PCT,
        seed: int | None = None,
        **loading: Unpack[CommonOptions],
    ) -> ImageDataBunch:
        """Pictures of one folder and masks of the same names in another, for `unet_learner`.

        Args:
            classes: in the order of the pixel values.
            suffix, extension: what a mask's name has between name and extension, and its own extension.
        """
        source = Masks(str(path), pictures, masks, suffix, extension, Split(valid_pct, seed))
        return cls(source, given_classes=tuple(classes), **Options(**loading).fields("mask"))


def matched(pat: str, name: str | Path) -> str:
    match = re.search(pat, Path(name).as_posix())
    if match is None or not match.groups() or match[1] is None:
        raise ValueError(f'Failed to find "{pat}" with a group in "{name}"')
    return match[1]
