"""What data a learner has and how they become batches, as values. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from learnfleet.trainer.spec_base import Component, Spec


class ResizeMethod(StrEnum):
    """How a picture of any shape becomes `size` (fastai ResizeMethod)."""

    CROP = "crop"
    PAD = "pad"
    SQUISH = "squish"
    NO = "no"  # as it is: all pictures must be of one size


class BadImagePolicy(StrEnum):
    """What happens when a picture cannot be decoded in mid-epoch."""

    SKIP = "skip"
    FAIL = "fail"


class LabelKind(StrEnum):
    """What the target of a picture is."""

    CATEGORY = "category"  # one class
    MULTI_CATEGORY = "multi_category"  # any number of classes
    FLOAT = "float"  # one or several numbers
    MASK = "mask"  # a class for each pixel
    POINTS = "points"  # places in the picture
    IMAGE = "image"  # another picture
    BOXES = "boxes"  # places of things, and their classes
    NONE = "none"  # nothing is known: 0


# Targets that are resized, cropped and moved as their pictures are.
FOLLOWING_KINDS = (LabelKind.MASK, LabelKind.POINTS, LabelKind.IMAGE, LabelKind.BOXES)
PaddingMode = Literal["reflection", "border", "zeros"]


@dataclass(frozen=True)
class TransformSpec(Spec):
    """Arguments of `get_transforms` (fastai v1). A maximum of 0 (zoom: 1) leaves that transform out.

    Where fastai has a pair of lists this is one value, which reads as the pair (itself, None) of training and
    validation: `train, valid = get_transforms()`, `get_transforms()[0]`.
    """

    do_flip: bool = True
    flip_vert: bool = False
    max_rotate: float = 10.0  # degrees
    max_zoom: float = 1.1
    max_lighting: float = 0.2
    max_warp: float = 0.2
    p_affine: float = 0.75
    p_lighting: float = 0.75
    extra: tuple[Component, ...] = ()  # further transforms, by the names of `extra_transforms`

    def __iter__(self) -> Iterator[TransformSpec | None]:
        return iter((self, None))

    def __getitem__(self, index: int) -> TransformSpec | None:
        return (self, None)[index]

    def __len__(self) -> int:
        return 2


@dataclass(frozen=True)
class Normalization(Spec):
    """Per-channel mean and std. `auto` takes those the pretrained weights were made with, else ImageNet's."""

    kind: Literal["auto", "imagenet", "cifar", "mnist", "none", "explicit"] = "auto"
    mean: tuple[float, ...] | None = None  # three values in [0, 1], for kind "explicit" only
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class TableSpec(Spec):
    """A CSV file that names pictures and their labels (fastai `from_csv`)."""

    file: str = "labels.csv"  # below the data's path
    folder: str = ""  # below the data's path: where the pictures are
    suffix: str = ""  # added to each name
    fn_col: str | int = 0  # column of the names, by its heading or number
    label_cols: tuple[str | int, ...] = (1,)  # several: one 0/1 column a class
    label_delim: str | None = None  # between the labels of one cell
    delimiter: str = ","
    header: bool = True  # the first line holds headings
    valid_col: str | int | None = None  # column that is true for validation; None: by valid_pct


@dataclass(frozen=True)
class MaskSpec(Spec):
    """Where the mask of a picture is: the picture's path below `pictures`, in `masks`, with another ending."""

    pictures: str = "images"  # below the data's path
    masks: str = "labels"
    suffix: str = ""  # between the name and its extension
    extension: str = ""  # with its dot; empty: the picture's own


@dataclass(frozen=True)
class ListedItem(Spec):
    """One picture and what is known of it."""

    file: str  # below the data's path
    labels: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    mask: str = ""  # its file; or that of the picture that is the target
    part: Literal["train", "valid", "test"] = "train"


@dataclass(frozen=True)
class DatasetRef(Spec):
    """A version of a data set that somebody keeps."""

    name: str
    path: str  # of the data below the version's folder; "": all of it


@dataclass(frozen=True)
class DataSpec(Spec):
    """Pictures with labels and how they become batches.

    source "folder": with `valid_pct` None there are `train` and `valid` folders of class folders; otherwise the path
    holds class folders and a `valid_pct` share, drawn with `split_seed`, validates. "table", "masks": see the fields of
    these names. "names": all pictures below the path, labelled by `pattern`. "list": see `items`. Sources without a
    split of their own are split by `valid_pct` (None: 0.2).
    """

    path: str  # absolute, already resolved beneath a declared root by whoever made this value
    train: str = "train"
    valid: str = "valid"
    valid_pct: float | None = None
    split_seed: int = 42
    size: tuple[int, ...] = (224, 224)  # rows, columns in pixels; empty: as the pictures are (ResizeMethod.NO)
    resize_method: ResizeMethod = ResizeMethod.CROP
    bs: int = 64  # pictures per optimiser step over ALL workers, so that num_workers changes speed, not meaning
    val_bs: int | None = None  # None: bs
    transforms: TransformSpec | None = None  # None: no augmentation (a centre crop)
    normalization: Normalization = field(default_factory=Normalization)
    bad_image: BadImagePolicy = BadImagePolicy.SKIP
    source: Literal["folder", "table", "names", "list", "masks"] = "folder"
    labels: LabelKind = LabelKind.CATEGORY
    classes: tuple[str, ...] | None = None  # None: the sorted labels of the training pictures; of masks: required
    test: str | None = None  # folder of test pictures below the path; it holds no class
    table: TableSpec | None = None
    masks: MaskSpec | None = None
    pattern: str | None = None  # regular expression; its first group is the label
    items: tuple[ListedItem, ...] | None = None
    log: bool = False  # FLOAT: train on the logarithm of the values
    padding_mode: PaddingMode = "reflection"
    normalizes_targets: bool = False  # of IMAGE targets: by the mean and std of the pictures
    valid_margin: int = 0  # pixels that pictures which are not trained on are larger, before their middle is taken
    dataset: DatasetRef | None = None  # what `path` is, or lies in, for those who keep account of data; not used here
