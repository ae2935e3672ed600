"""What data a remote learner has, as values that read like fastai. Nothing is read here: the files are the server's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from learnfleet.client.data_sources import (
    Folder,
    Label,
    Listed,
    Masks,
    Names,
    Source,
    Split,
    Table,
    kind_of_labels,
    listed_item,
    listed_mask,
    numbered_classes,
)
from learnfleet.client.transform_specs import Transforms as Transforms
from learnfleet.client.transform_specs import get_transforms as get_transforms
from learnfleet.v1 import learner_pb2

Size: TypeAlias = "int | tuple[int, int] | None"
Normalize: TypeAlias = "str | tuple[Sequence[float], Sequence[float]]"

_RESIZE_METHODS = {
    "crop": learner_pb2.RESIZE_METHOD_CROP,
    "pad": learner_pb2.RESIZE_METHOD_PAD,
    "squish": learner_pb2.RESIZE_METHOD_SQUISH,
    "no": learner_pb2.RESIZE_METHOD_NO,
}
_BAD_IMAGE = {"skip": learner_pb2.BAD_IMAGE_POLICY_SKIP, "fail": learner_pb2.BAD_IMAGE_POLICY_FAIL}
_PADDING_MODES = {
    "reflection": learner_pb2.PADDING_MODE_REFLECTION,
    "border": learner_pb2.PADDING_MODE_BORDER,
    "zeros": learner_pb2.PADDING_MODE_ZEROS,
}
_LABELS = {
    "category": learner_pb2.LABEL_KIND_CATEGORY,
    "multi_category": learner_pb2.LABEL_KIND_MULTI_CATEGORY,
    "float": learner_pb2.LABEL_KIND_FLOAT,
    "mask": learner_pb2.LABEL_KIND_MASK,
}


@dataclass(frozen=True)
class ImageDataBunch:
    """Pictures on storage that the server's workers can read, and how they become batches. Nothing is read here.

    Made by its class methods; `with_options` says the rest. Paths are the server's: absolute, or relative to one of its
    data roots.
    """

    source: Source
    ds_tfms: Transforms | None = None
    size: Size = 224
    bs: int = 64
    val_bs: int | None = None
    resize_method: str | None = None  # None: a square size crops, (rows, columns) squishes, no size leaves as is
    normalize: Normalize = "auto"
    bad_image: str = "skip"
    labels: str = ""  # "": the source's own
    classes: tuple[str, ...] = ()
    test: str = ""
    padding_mode: str = "reflection"
    log: bool = False
    valid_margin: int = 0

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        train: str = "train",
        valid: str = "valid",
        valid_pct: float | None = None,
        seed: int | None = None,
        ds_tfms: Transforms | None = None,
        size: Size = 224,
        bs: int = 64,
        val_bs: int | None = None,
        resize_method: str = "crop",
        normalize: Normalize = "auto",
        bad_image: str = "skip",
        test: str = "",
        classes: Sequence[str] = (),
    ) -> ImageDataBunch:
        """A folder of pictures, labelled by the folder they are in.

        Args:
            path: on the server: absolute, or relative to one of its data roots.
            train, valid: folders of class folders below `path`, where `valid_pct` is None.
            valid_pct: share of the class folders directly below `path` that validates, drawn with `seed`.
            ds_tfms: augmentation, from `get_transforms`. None: none.
            size: pixels, one number or (rows, columns).
            bs: pictures per optimiser step over all workers.
            resize_method: "crop", "pad", "squish" or "no".
            normalize: "auto" (that of the pretrained weights, else ImageNet's), "imagenet", "cifar", "mnist", "none",
                or (mean, std) with three values each.
            bad_image: "skip" or "fail".
            test: folder of test pictures below `path`.

        Raises ValueError for a word that is none of these.
        """
        source = Folder(str(path), train, valid, valid_pct, seed)
        return cls(source, ds_tfms, size, bs, val_bs, resize_method, normalize, bad_image).with_options(
            test=test, classes=tuple(classes)
        )

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        folder: str = "",
        label_delim: str = "",
        csv_labels: str = "labels.csv",
        valid_pct: float = 0.2,
        seed: int | None = None,
        fn_col: str = "",
        label_col: str | Sequence[str] = (),
        suffix: str = "",
        delimiter: str = ",",
        header: bool = True,
        ds_tfms: Transforms | None = None,
        size: Size = 224,
        bs: int = 64,
        labels: str = "",
        valid_col: str = "",
    ) -> ImageDataBunch:
        """Pictures named in the file path / csv_labels on the server, by the headings of its columns.

        Args:
            fn_col, label_col: headings; the columns' numbers as text ("0") where there is no `header`.
            label_delim: between the labels of one cell; then, and with several label columns, a picture may have
                several labels.
            labels: "category", "multi_category" or "float". Default: by the columns.
            valid_col: column that is true for pictures which validate, in place of `valid_pct`.
        """
        columns = (label_col,) if isinstance(label_col, str) else tuple(label_col)
        kind = labels or ("multi_category" if label_delim or len(columns) > 1 else "category")
        split = Split(valid_pct, seed)
        source = Table(
            str(path), csv_labels, folder, suffix, fn_col, columns, label_delim, delimiter, valid_col, header, split
        )
        return cls(source, ds_tfms, size, bs, labels=kind).with_options()

    @classmethod
    def from_name_re(
        cls,
        path: str | Path,
        pat: str,
        valid_pct: float = 0.2,
        seed: int | None = None,
        ds_tfms: Transforms | None = None,
        size: Size = 224,
        bs: int = 64,
    ) -> ImageDataBunch:
        """All pictures below a folder, labelled by the first group of a regular expression in their paths."""
        return cls(Names(str(path), pat, Split(valid_pct, seed)), ds_tfms, size, bs).with_options()

    @classmethod
    def from_lists(
        cls,
        path: str | Path,
        fnames: Sequence[str],
        labels: Sequence[Label],
        is_valid: Sequence[bool],
        ds_tfms: Transforms | None = None,
        size: Size = 224,
        bs: int = 64,
        masks_of: Sequence[str] = (),
    ) -> ImageDataBunch:
        """Files below `path` on the server, with a label each (text, numbers, or several of either) and whether it
        validates. Raises ValueError where these are not as many. Whole numbers are classes in the order of their size.

        Args:
            masks_of: classes in the order of the pixel values, where the labels are files of masks below `path`.
        """
        rows: Iterable[tuple[str, Any, bool]] = zip(fnames, labels, is_valid, strict=True)
        if masks_of:
            source = Listed(str(path), tuple(listed_mask(*row) for row in rows))
            return cls(source, ds_tfms, size, bs, labels="mask", classes=tuple(masks_of)).with_options()
        kind = kind_of_labels(labels)
        items = tuple(listed_item(*row, kind) for row in rows)
        classes = numbered_classes(labels, is_valid)
        return cls(Listed(str(path), items), ds_tfms, size, bs, labels=kind, classes=classes).with_options()

    @classmethod
    def from_masks(
        cls,
        path: str | Path,
        classes: Sequence[str],
        pictures: str = "images",
        masks: str = "labels",
        suffix: str = "",
        extension: str = "",
        valid_pct: float = 0.2,
        seed: int | None = None,
        ds_tfms: Transforms | None = None,
        size: Size = 224,
        bs: int = 64,
    ) -> ImageDataBunch:
        """Pictures of one folder and masks of the same names in another, for `unet_learner`.

        Args:
            classes: in the order of the pixel values.
            suffix, extension: what a mask's name has between name and extension, and its own extension.
        """
        source = Masks(str(path), pictures, masks, suffix, extension, Split(valid_pct, seed))
        return cls(source, ds_tfms, size, bs, classes=tuple(classes)).with_options()

    def with_options(
        self,
        val_bs: int | None = None,
        resize_method: str | None = None,
        normalize: Normalize | None = None,
        bad_image: str | None = None,
        classes: Sequence[str] | None = None,
        test: str | None = None,
        padding_mode: str | None = None,
        log: bool | None = None,
        valid_margin: int | None = None,
    ) -> ImageDataBunch:
        """The same with these changed; what is None stays. Raises ValueError for an unknown word.

        Args:
            valid_margin: pixels that pictures which are not trained on are larger, before their middle is taken.
        """
        given: dict[str, Any] = {
            "val_bs": val_bs,
            "resize_method": resize_method,
            "normalize": normalize,
            "bad_image": bad_image,
            "classes": None if classes is None else tuple(classes),
            "test": test,
            "padding_mode": padding_mode,
            "log": log,
            "valid_margin": valid_margin,
        }
        changed: ImageDataBunch = replace(self, **{name: value for name, value in given.items() if value is not None})
        _known(changed.method, _RESIZE_METHODS, "resize_method")
        _known(changed.bad_image, _BAD_IMAGE, "bad_image")
        _known(changed.padding_mode, _PADDING_MODES, "padding_mode")
        return changed

    @property
    def method(self) -> str:
        """The resize method in words."""
        if self.size is None:
            return "no"
        return self.resize_method or ("crop" if isinstance(self.size, int) else "squish")

    def to_proto(self) -> learner_pb2.DataSpec:
        message = learner_pb2.DataSpec(
            resize_method=_RESIZE_METHODS[self.method],
            batch_size=self.bs,
            validation_batch_size=self.val_bs or 0,
            transforms=self.ds_tfms.to_proto() if self.ds_tfms else None,
            normalization=_normalization(self.normalize),
            bad_image_policy=_BAD_IMAGE[self.bad_image],
            labels=_LABELS[self.labels] if self.labels else learner_pb2.LABEL_KIND_UNSPECIFIED,
            classes=self.classes,
            test=self.test,
            padding_mode=_PADDING_MODES[self.padding_mode],
            log=self.log,
            validation_margin=self.valid_margin,
        )
        if self.size is not None and self.method != "no":
            message.size.rows, message.size.columns = (
                (self.size, self.size) if isinstance(self.size, int) else self.size
            )
        self.source.put(message)
        return message


def _known(word: str, words: Mapping[str, int], name: str) -> None:
    if word not in words:
        raise ValueError(f"{name} is {word!r}; must be one of {', '.join(words)}")


def _normalization(value: Normalize) -> learner_pb2.Normalization:
    if isinstance(value, str):
        return learner_pb2.Normalization(preset=value)
    return learner_pb2.Normalization(stats=learner_pb2.ChannelStats(mean=value[0], std=value[1]))
