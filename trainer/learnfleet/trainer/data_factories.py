"""The ways to describe pictures and their labels (fastai's factory methods of ImageDataBunch)."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from learnfleet.trainer import data_files
from learnfleet.trainer.data_options import CommonOptions, LoadingOptions, Options, existing, seed_of
from learnfleet.trainer.data_spec import DataSpec, LabelKind, TableSpec
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.label_values import (
    FrameLabels,
    class_names,
    kind_of,
    label_by_match,
    listed,
    numbered_classes,
    read_frame,
    split_items,
)
from learnfleet.trainer.normalization import as_normalization
from learnfleet.trainer.sources import has_numbers

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from learnfleet.trainer.data_options import Size, Transforms
    from learnfleet.trainer.pixels import Stats

_VALID_PCT = 0.2


class DataFactories(ABC):
    """Class methods that make a data bunch. `options` are those of `Options`, as keywords.

    `seed` is that of the split, the shuffling and the augmentation; None is 42, so that all ranks and all restarts of a
    script agree (fastai draws a new one).
    """

    @classmethod
    @abstractmethod
    def from_spec(
        cls,
        spec: DataSpec,
        *,
        seed: int = 0,
        device: torch.device | str | None = None,
        stats: Stats | None = None,
        threads: int | None = None,
    ) -> Self:
        """The data of a specification."""

    @classmethod
    @abstractmethod
    def empty_of(cls, spec: DataSpec, stats: Stats | None) -> Self:
        """The transforms and classes of a specification, without its pictures."""

    path: Path

    @abstractmethod
    def sanity_check(self) -> None:
        """Warn of what is wrong with the data."""

    @abstractmethod
    def add_tfm(self, function: Callable[[Any, Any], tuple[Any, Any]]) -> None:
        """Apply a function to every batch."""

    @classmethod
    def made_of(cls, base: DataSpec, options: Options) -> Self:
        """The data of a specification that says where pictures are, with options of how they are loaded."""
        return cls.loaded(options.spec(base), options)

    @classmethod
    def loaded(cls, spec: DataSpec, options: Options, path: Path | None = None) -> Self:
        """The data of a complete specification. `path`: where a learner writes, if not where the pictures are."""
        made = cls.from_spec(spec, seed=spec.split_seed, device=options.device, threads=options.num_workers)
        made.path = made.path if path is None else path
        for function in options.dl_tfms:
            made.add_tfm(function)
        if not options.no_check:
            made.sanity_check()
        return made

    @classmethod
    def from_folder(
        cls,
        path: Path | str,
        train: str = "train",
        valid: str = "valid",
        test: str | None = None,
        valid_pct: float | None = None,
        seed: int | None = None,
        classes: Sequence[str] | None = None,
        **options: Unpack[LoadingOptions],
    ) -> Self:
        """Pictures labelled by the folder they are in.

        Args:
            valid_pct: share in [0, 1) that validates, drawn with `seed`. None: there are `train` and `valid` folders.
            test: a folder of pictures without labels; no class under `valid_pct` either, as it is in fastai.
            classes: in the order of the model's outputs. None: the sorted labels of the training pictures.
        """
        if valid_pct is not None:
            _check_share(valid_pct)
        base = DataSpec(
            str(existing(path)),
            train=train,
            valid=valid,
            valid_pct=valid_pct,
            split_seed=seed_of(seed),
            classes=class_names(classes),
        )
        return cls.made_of(base, dataclasses.replace(Options(**options), test=test))

    @classmethod
    def from_lists(
        cls,
        path: Path | str,
        fnames: Sequence[Path | str],
        labels: Sequence[Any],
        valid_pct: float = _VALID_PCT,
        seed: int | None = None,
        **options: Unpack[CommonOptions],
    ) -> Self:
        """Files below `path` and a label for each: text, several texts (one picture, several classes), or numbers."""
        return cls._from_labels(path, fnames, FrameLabels([], list(labels)), valid_pct, seed, Options(**options))

    @classmethod
    def _from_labels(
        cls,
        path: Path | str,
        fnames: Sequence[Path | str],
        frame: FrameLabels,
        valid_pct: float,
        seed: int | None,
        options: Options,
    ) -> Self:
        if len(fnames) != len(frame.labels):
            raise LearnerError("labels", f"{len(frame.labels)} labels for {len(fnames)} files; give one each")
        _check_share(valid_pct)
        root, kind = existing(path), kind_of(frame.labels)
        items = [listed(root, Path(name), label, kind) for name, label in zip(fnames, frame.labels, strict=True)]
        parts = split_items(items, valid_pct, seed_of(seed))
        base = DataSpec(
            str(root),
            valid_pct=valid_pct,
            split_seed=seed_of(seed),
            source="list",
            labels=kind,
            classes=frame.classes or numbered_classes(frame.labels, parts),
            items=parts,
        )
        return cls.made_of(base, options)

    @classmethod
    def from_name_func(
        cls,
        path: Path | str,
        fnames: Sequence[Path | str],
        label_func: Callable[[Path], Any],
        valid_pct: float = _VALID_PCT,
        seed: int | None = None,
        **options: Unpack[CommonOptions],
    ) -> Self:
        """As `from_lists`, with the label that a function gives each path."""
        labels = [label_func(Path(name)) for name in fnames]
        return cls._from_labels(path, fnames, FrameLabels([], labels), valid_pct, seed, Options(**options))

    @classmethod
    def from_name_re(
        cls,
        path: Path | str,
        fnames: Sequence[Path | str],
        pat: str,
        valid_pct: float = _VALID_PCT,
        seed: int | None = None,
        **options: Unpack[CommonOptions],
    ) -> Self:
        """As `from_lists`, labelled by the first group of a regular expression searched in each path."""
        labels = [label_by_match(pat, Path(name).as_posix()) for name in fnames]
        return cls._from_labels(path, fnames, FrameLabels([], labels), valid_pct, seed, Options(**options))

    @classmethod
    def from_df(
        cls,
        path: Path | str,
        df: pd.DataFrame,
        folder: Path | str | None = None,
        label_delim: str | None = None,
        valid_pct: float = _VALID_PCT,
        seed: int | None = None,
        fn_col: str | int = 0,
        label_col: str | int | Sequence[str | int] = 1,
        suffix: str = "",
        **options: Unpack[CommonOptions],
    ) -> Self:
        """Pictures named in a table: path / folder / name + suffix.

        Args:
            label_delim: between the labels of one cell.
            label_col: a column of labels; several columns of 0 and 1 are one class each, others are numbers.
        """
        frame = read_frame(df, fn_col, label_col, label_delim)
        files = [str(Path(folder or "") / f"{name}{suffix}") for name in frame.names]
        return cls._from_labels(path, files, frame, valid_pct, seed, Options(**options))

    @classmethod
    def from_csv(
        cls,
        path: Path | str,
        folder: Path | str | None = None,
        label_delim: str | None = None,
        csv_labels: str = "labels.csv",
        valid_pct: float = _VALID_PCT,
        seed: int | None = None,
        fn_col: str | int = 0,
        label_col: str | int | Sequence[str | int] = 1,
        suffix: str = "",
        delimiter: str | None = None,
        header: Literal["infer", 0] | None = "infer",
        **options: Unpack[CommonOptions],
    ) -> Self:
        """As `from_df`, with the table in the file path / csv_labels. `header` None: its first line holds no headings.

        Labels that are all numbers, and not all written as whole ones, are values. Class names stay as they are
        written (007 is no 7), and those that are all whole numbers are sorted by size.
        """
        columns = (label_col,) if isinstance(label_col, str | int) else tuple(label_col)
        table = TableSpec(
            csv_labels,
            str(folder or ""),
            suffix,
            fn_col,
            columns,
            label_delim,
            delimiter or ",",
            _has_headings(header),
        )
        root = existing(path)
        _check_share(valid_pct)
        several = label_delim is not None or len(columns) > 1
        kind = LabelKind.MULTI_CATEGORY if several else LabelKind.CATEGORY
        if label_delim is None and has_numbers(root, table):
            kind = LabelKind.FLOAT
        seeded = seed_of(seed)
        base = DataSpec(str(root), valid_pct=valid_pct, split_seed=seeded, source="table", labels=kind, table=table)
        return cls.made_of(base, Options(**options))

    @classmethod
    def single_from_classes(
        cls, path: Path | str, classes: Sequence[str], ds_tfms: Transforms = None, size: Size = None
    ) -> Self:
        """No picture at all, to predict with (deprecated in fastai, too: use `load_learner`)."""
        named = tuple(str(name) for name in classes)
        base = DataSpec(str(existing(path)), source="list", items=(), classes=named)
        return cls.empty_of(Options(ds_tfms=ds_tfms, size=size).spec(base), None)

    @classmethod
    def load_data(
        cls,
        path: Path | str,
        file: str = "data_save.json",
        bs: int = 64,
        val_bs: int | None = None,
        num_workers: int | None = None,
        device: torch.device | str | None = None,
        no_check: bool = False,
    ) -> Self:
        """What `save` wrote (fastai `load_data`)."""
        spec, stats = data_files.load(existing(path) / file)
        spec = dataclasses.replace(spec, bs=bs, val_bs=val_bs, normalization=as_normalization(stats))
        made = cls.from_spec(spec, seed=spec.split_seed, device=device, threads=num_workers)
        if not no_check:
            made.sanity_check()
        return made

    @classmethod
    def load_empty(cls, path: Path | str, file: str = "data_export.json") -> Self:
        """What `export` wrote: classes, transforms and normalisation, no pictures."""
        spec, stats = data_files.load(existing(path) / file)
        return cls.empty_of(spec, stats)


def _has_headings(header: object) -> bool:
    """Raises LearnerError for a line further down, which would have to leave lines out."""
    if header is None or header == "infer" or (header == 0 and not isinstance(header, bool)):
        return header is not None
    raise LearnerError("header", f"{header!r} is not possible: 'infer' or 0 (the first line), or None (no headings)")


def _check_share(valid_pct: float) -> None:
    if not 0 <= valid_pct < 1:
        raise LearnerError("valid_pct", f"{valid_pct} is not a share in [0, 1)")
