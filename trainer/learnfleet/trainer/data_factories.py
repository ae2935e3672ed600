"""The ways to describe pictures and their labels (fastai's factory methods of ImageDataBunch)."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import torch

from learnfleet.trainer import data_files
from learnfleet.trainer.data_spec import (
    BadImagePolicy,
    DataSpec,
    LabelKind,
    ListedItem,
    Normalization,
    PaddingMode,
    ResizeMethod,
    TableSpec,
    TransformSpec,
)
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.folder import split_by_pct
from learnfleet.trainer.normalization import as_normalization
from learnfleet.trainer.sources import place_beneath, split_labels

if TYPE_CHECKING:
    import pandas as pd

    from learnfleet.trainer.pixels import Stats

# What `get_transforms()` gives, or fastai's pair of it and the (empty) validation transforms.
Transforms: TypeAlias = "TransformSpec | tuple[TransformSpec | None, None] | None"
Size: TypeAlias = "int | tuple[int, int] | None"
_MAX_SEED = 2**32


@dataclass(frozen=True)
class Options:
    """What all factories take, see `DataFactories`."""

    bs: int = 64
    val_bs: int | None = None
    ds_tfms: Transforms = None
    size: Size = None
    resize_method: ResizeMethod | None = None
    mult: int | None = None
    padding_mode: PaddingMode = "reflection"
    normalize: Stats | Normalization | None = None
    bad_image: BadImagePolicy = BadImagePolicy.SKIP
    test: str | None = None

    def spec(self, path: Path | str, seed: int | None, **fields: Any) -> DataSpec:
        """The specification of pictures at `path` with these options."""
        rows_columns, method = sized(self.size, self.resize_method, self.mult)
        return DataSpec(
            path=str(existing(path)),
            split_seed=random.randrange(_MAX_SEED) if seed is None else seed,
            size=rows_columns,
            resize_method=method,
            bs=self.bs,
            val_bs=self.val_bs,
            transforms=as_transforms(self.ds_tfms),
            normalization=as_normalization(self.normalize),
            bad_image=self.bad_image,
            test=self.test,
            padding_mode=self.padding_mode,
            **fields,
        )


def existing(path: Path | str) -> Path:
    """Raises LearnerError for a path that is no folder."""
    folder = Path(path)
    if not folder.is_dir():
        raise LearnerError("path", f"{path} is not a valid directory.")
    return folder.resolve()


def sized(size: Size, method: ResizeMethod | None, mult: int | None) -> tuple[tuple[int, ...], ResizeMethod]:
    """An int is square and crops, (rows, columns) squishes, unless `method` says otherwise; None leaves pictures as
    they are. `mult` rounds each side to a multiple.
    """
    if size is None:
        if mult is not None or method not in (None, ResizeMethod.NO):
            raise LearnerError("size", "is missing: `mult` and a resize method need one")
        return (), ResizeMethod.NO
    rows, columns = (size, size) if isinstance(size, int) else size
    if mult is not None:
        rows, columns = (max(mult, round(side / mult) * mult) for side in (rows, columns))
    if method is ResizeMethod.NO:
        return (), method
    return (rows, columns), method or (ResizeMethod.CROP if isinstance(size, int) else ResizeMethod.SQUISH)


def as_transforms(value: Transforms) -> TransformSpec | None:
    """Raises LearnerError for what `get_transforms` does not give."""
    if value is None or isinstance(value, TransformSpec):
        return value
    if isinstance(value, Sequence) and len(value) == 2 and not value[1] and isinstance(value[0], TransformSpec | None):
        return value[0]
    raise LearnerError(
        "ds_tfms", f"{value!r} is not what get_transforms() gives; validation pictures have no transforms of their own"
    )


class DataFactories:
    """Class methods that make a data bunch.

    All take: `bs`, `val_bs` (None: bs); `ds_tfms` from `get_transforms()`; `size`, `resize_method`, `mult` (see
    `sized`); `padding_mode` "reflection", "border" or "zeros"; `normalize` (mean, std) or a Normalization, None until
    `.normalize()` is called; `test`, a folder of pictures without labels; `bad_image`; `num_workers`, threads that
    decode; `device`; `no_check` to leave out `sanity_check`.
    """

    @classmethod
    def _made(
        cls,
        spec: DataSpec,
        seed: int | None,
        device: torch.device | None,
        num_workers: int | None,
        no_check: bool = True,
    ) -> Self:
        made: Self = cls.from_spec(  # type: ignore[attr-defined]  # of the class that has these methods
            spec, seed=spec.split_seed if seed is None else seed, device=device, threads=num_workers
        )
        if not no_check:
            made.sanity_check()  # type: ignore[attr-defined]
        return made

    @classmethod
    def from_folder(
        cls,
        path: Path | str,
        train: str = "train",
        valid: str = "valid",
        test: str | None = None,
        valid_pct: float | None = None,
        seed: int | None = 42,
        classes: Sequence[str] | None = None,
        ds_tfms: Transforms = None,
        size: Size = 224,
        bs: int = 64,
        val_bs: int | None = None,
        normalize: Stats | Normalization | None = None,
        resize_method: ResizeMethod | None = None,
        mult: int | None = None,
        padding_mode: PaddingMode = "reflection",
        bad_image: BadImagePolicy = BadImagePolicy.SKIP,
        num_workers: int | None = None,
        device: torch.device | None = None,
        no_check: bool = True,
    ) -> Self:
        """Pictures labelled by the folder they are in.

        Args:
            valid_pct: share in [0, 1) that validates, drawn with `seed`. None: there are `train` and `valid` folders.
            test: a folder of pictures without labels; no class under `valid_pct` either, as it is in fastai.
            seed: of the split, the shuffling and the augmentation. None: a random one.
            classes: in the order of the model's outputs. None: the sorted labels of the training pictures.
        """
        options = Options(bs, val_bs, ds_tfms, size, resize_method, mult, padding_mode, normalize, bad_image, test)
        named = None if classes is None else tuple(classes)
        spec = options.spec(path, seed, train=train, valid=valid, valid_pct=valid_pct, classes=named)
        return cls._made(spec, seed, device, num_workers, no_check)

    @classmethod
    def from_lists(
        cls,
        path: Path | str,
        fnames: Sequence[Path | str],
        labels: Sequence[Any],
        valid_pct: float = 0.2,
        seed: int | None = None,
        ds_tfms: Transforms = None,
        size: Size = None,
        bs: int = 64,
        val_bs: int | None = None,
        normalize: Stats | Normalization | None = None,
        resize_method: ResizeMethod | None = None,
        mult: int | None = None,
        padding_mode: PaddingMode = "reflection",
        bad_image: BadImagePolicy = BadImagePolicy.SKIP,
        test: str | None = None,
        num_workers: int | None = None,
        device: torch.device | None = None,
    ) -> Self:
        """Files below `path` and a label for each: text, several texts (one picture, several classes), or numbers."""
        if len(fnames) != len(labels):
            raise LearnerError("labels", f"{len(labels)} labels for {len(fnames)} files; give one each")
        options = Options(bs, val_bs, ds_tfms, size, resize_method, mult, padding_mode, normalize, bad_image, test)
        root = existing(path)
        kind = kind_of(labels)
        items = [listed(root, Path(name), label, kind) for name, label in zip(fnames, labels, strict=True)]
        spec = options.spec(path, seed, valid_pct=valid_pct, source="list", labels=kind)
        spec = dataclasses.replace(spec, items=split_items(items, valid_pct, spec.split_seed))
        return cls._made(spec, seed, device, num_workers)

    @classmethod
    def from_name_func(
        cls,
        path: Path | str,
        fnames: Sequence[Path | str],
        label_func: Callable[[Path], Any],
        valid_pct: float = 0.2,
        seed: int | None = None,
        ds_tfms: Transforms = None,
        size: Size = None,
        bs: int = 64,
        val_bs: int | None = None,
        normalize: Stats | Normalization | None = None,
        resize_method: ResizeMethod | None = None,
        num_workers: int | None = None,
        device: torch.device | None = None,
    ) -> Self:
        """As `from_lists`, with the label that a function gives each path."""
        labels = [label_func(Path(name)) for name in fnames]
        return cls.from_lists(
            path,
            fnames,
            labels,
            valid_pct,
            seed,
            ds_tfms,
            size,
            bs,
            val_bs,
            normalize,
            resize_method,
            num_workers=num_workers,
            device=device,
        )

    @classmethod
    def from_name_re(
        cls,
        path: Path | str,
        fnames: Sequence[Path | str],
        pat: str,
        valid_pct: float = 0.2,
        seed: int | None = None,
        ds_tfms: Transforms = None,
        size: Size = None,
        bs: int = 64,
        val_bs: int | None = None,
        normalize: Stats | Normalization | None = None,
        resize_method: ResizeMethod | None = None,
        num_workers: int | None = None,
        device: torch.device | None = None,
    ) -> Self:
        """As `from_lists`, labelled by the first group of a regular expression searched in each path."""

        def label(name: Path) -> str:
            match = re.search(pat, name.as_posix())
            if match is None:
                raise LearnerError("pat", f'Failed to find "{pat}" in "{name}"')
            return match[1]

        return cls.from_name_func(
            path,
            fnames,
            label,
            valid_pct,
            seed,
            ds_tfms,
            size,
            bs,
            val_bs,
            normalize,
            resize_method,
            num_workers,
            device,
        )

    @classmethod
    def from_df(
        cls,
        path: Path | str,
        df: pd.DataFrame,
        folder: str | None = None,
        label_delim: str | None = None,
        valid_pct: float = 0.2,
        seed: int | None = None,
        fn_col: str | int = 0,
        label_col: str | int | Sequence[str | int] = 1,
        suffix: str = "",
        ds_tfms: Transforms = None,
        size: Size = None,
        bs: int = 64,
        val_bs: int | None = None,
        normalize: Stats | Normalization | None = None,
        resize_method: ResizeMethod | None = None,
        num_workers: int | None = None,
        device: torch.device | None = None,
    ) -> Self:
        """Pictures named in a table: path / folder / name + suffix.

        Args:
            label_delim: between the labels of one cell.
            label_col: a column of labels; several columns of 0 and 1 are one class each.
        """
        names, labels = read_frame(df, fn_col, label_col, label_delim)
        files = [str(Path(folder or "") / f"{name}{suffix}") for name in names]
        return cls.from_lists(
            path,
            files,
            labels,
            valid_pct,
            seed,
            ds_tfms,
            size,
            bs,
            val_bs,
            normalize,
            resize_method,
            num_workers=num_workers,
            device=device,
        )

    @classmethod
    def from_csv(
        cls,
        path: Path | str,
        folder: str | None = None,
        label_delim: str | None = None,
        csv_labels: str = "labels.csv",
        valid_pct: float = 0.2,
        seed: int | None = None,
        fn_col: str | int = 0,
        label_col: str | int | Sequence[str | int] = 1,
        suffix: str = "",
        delimiter: str | None = None,
        header: Literal["infer"] | None = "infer",
        ds_tfms: Transforms = None,
        size: Size = None,
        bs: int = 64,
        val_bs: int | None = None,
        normalize: Stats | Normalization | None = None,
        resize_method: ResizeMethod | None = None,
        test: str | None = None,
        num_workers: int | None = None,
        device: torch.device | None = None,
    ) -> Self:
        """As `from_df`, with the table in the file path / csv_labels. `header` None: its first line holds no headings.

        All labels are text; for numbers read the table yourself and use `from_df`.
        """
        columns = (label_col,) if isinstance(label_col, str | int) else tuple(label_col)
        table = TableSpec(
            csv_labels, folder or "", suffix, fn_col, columns, label_delim, delimiter or ",", bool(header)
        )
        several = label_delim is not None or len(columns) > 1
        options = Options(bs, val_bs, ds_tfms, size, resize_method, normalize=normalize, test=test)
        kind = LabelKind.MULTI_CATEGORY if several else LabelKind.CATEGORY
        spec = options.spec(path, seed, valid_pct=valid_pct, source="table", labels=kind, table=table)
        return cls._made(spec, seed, device, num_workers)

    @classmethod
    def load_data(cls, path: Path | str, file: str = "data_save.json", bs: int = 64) -> Self:
        """What `save` wrote (fastai `load_data`)."""
        root = existing(path)
        spec, stats = data_files.load(root / file, root)
        spec = dataclasses.replace(spec, bs=bs, normalization=as_normalization(stats))
        return cls._made(spec, None, None, None)

    @classmethod
    def load_empty(cls, path: Path | str, file: str = "data_export.json") -> Self:
        """What `export` wrote: classes, transforms and normalisation, no pictures."""
        from learnfleet.trainer.listing import assemble

        root = existing(path)
        spec, stats = data_files.load(root / file, root)
        made: Self = cls(spec, assemble(spec, (), ()), stats=stats)  # type: ignore[call-arg]
        return made


def kind_of(labels: Sequence[Any]) -> LabelKind:
    """What kind of target these are, by the first (fastai's rule): text is a class, a collection of texts several, and
    floating-point numbers, or collections of numbers, are values. Whole numbers are classes.
    """
    first = labels[0] if len(labels) else ""
    if isinstance(first, float):
        return LabelKind.FLOAT
    if isinstance(first, str | int | bool):
        return LabelKind.CATEGORY
    if isinstance(first, Mapping) or not hasattr(first, "__iter__"):
        raise LearnerError("labels", f"{first!r} is neither text, nor a number, nor a list of them")
    inner = next((label for item in labels for label in item), "")
    return LabelKind.FLOAT if isinstance(inner, float) else LabelKind.MULTI_CATEGORY


def listed(root: Path, name: Path, label: Any, kind: LabelKind) -> ListedItem:
    """A file and its label."""
    file = place_beneath(root, name)
    if kind is LabelKind.FLOAT:
        return ListedItem(file, values=(float(label),) if isinstance(label, int | float) else tuple(map(float, label)))
    if kind is LabelKind.MULTI_CATEGORY:
        return ListedItem(file, tuple(str(part) for part in label))
    return ListedItem(file, (str(label),))


def split_items(items: Sequence[ListedItem], valid_pct: float, seed: int) -> tuple[ListedItem, ...]:
    """The first int(valid_pct * n) of a drawn order validate; the others keep the order of the list."""
    train, valid = split_by_pct(items, valid_pct, seed)
    return (*train, *(dataclasses.replace(item, part="valid") for item in valid))


def read_frame(
    df: pd.DataFrame, fn_col: str | int, label_col: str | int | Sequence[str | int], label_delim: str | None
) -> tuple[list[str], list[Any]]:
    """Names and labels of a table. Raises LearnerError for columns that are not there, or with empty cells."""
    columns = [label_col] if isinstance(label_col, str | int) else list(label_col)
    picked = [_column_name(df, name) for name in (fn_col, *columns)]
    frame = df[picked]
    if frame.isna().to_numpy().any():
        raise LearnerError("df", f"the columns {', '.join(map(str, picked))} have empty cells (NaN)")
    names = [str(name) for name in frame[picked[0]]]
    if len(columns) > 1:
        flags = frame[picked[1:]].to_numpy()
        return names, [[str(c) for c, flag in zip(picked[1:], row, strict=True) if flag] for row in flags]
    values = frame[picked[1]].tolist()
    return names, [split_labels(str(v), label_delim) for v in values] if label_delim else values


def _column_name(df: pd.DataFrame, name: str | int) -> Any:
    if name in df.columns:
        return name
    if isinstance(name, int) and 0 <= name < len(df.columns):
        return df.columns[name]
    raise LearnerError("df", f"there is no column {name!r}; there are {', '.join(map(str, df.columns))}")
