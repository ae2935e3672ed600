"""How a remote learner's pictures are loaded: what all ways to describe data take, and what users may write for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from numbers import Integral
from typing import Any, TypeAlias, TypedDict

from learnfleet.client.transform_specs import Transforms, TransformsLike, as_transforms
from learnfleet.v1 import learner_pb2

Size: TypeAlias = "int | tuple[int, int] | None"
Stats: TypeAlias = tuple[Sequence[float], Sequence[float]]
Normalize: TypeAlias = "str | Stats | None"

# Mean and std of the channels of pixels in [0, 1] (fastai's names).
imagenet_stats: Stats = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
cifar_stats: Stats = ((0.491, 0.482, 0.447), (0.247, 0.243, 0.261))
mnist_stats: Stats = ((0.131, 0.131, 0.131), (0.308, 0.308, 0.308))


class ResizeMethod(StrEnum):
    """How a picture of any shape becomes `size` (fastai ResizeMethod)."""

    CROP = "crop"
    PAD = "pad"
    SQUISH = "squish"
    NO = "no"  # as it is: all pictures must be of one size


RESIZE_METHODS = {
    "crop": learner_pb2.RESIZE_METHOD_CROP,
    "pad": learner_pb2.RESIZE_METHOD_PAD,
    "squish": learner_pb2.RESIZE_METHOD_SQUISH,
    "no": learner_pb2.RESIZE_METHOD_NO,
}
BAD_IMAGE = {"skip": learner_pb2.BAD_IMAGE_POLICY_SKIP, "fail": learner_pb2.BAD_IMAGE_POLICY_FAIL}
PADDING_MODES = {
    "reflection": learner_pb2.PADDING_MODE_REFLECTION,
    "border": learner_pb2.PADDING_MODE_BORDER,
    "zeros": learner_pb2.PADDING_MODE_ZEROS,
}
FOLLOWING_KINDS = ("mask", "points", "image")  # targets that are moved as their pictures are
LABELS = {
    "category": learner_pb2.LABEL_KIND_CATEGORY,
    "multi_category": learner_pb2.LABEL_KIND_MULTI_CATEGORY,
    "float": learner_pb2.LABEL_KIND_FLOAT,
    "mask": learner_pb2.LABEL_KIND_MASK,
    "points": learner_pb2.LABEL_KIND_POINTS,
    "image": learner_pb2.LABEL_KIND_IMAGE,
}


class LoadingOptions(TypedDict, total=False):
    """Keywords of every way to describe data, see `Options`."""

    ds_tfms: TransformsLike
    size: Size
    bs: int
    val_bs: int | None
    resize_method: str | None
    mult: int | None
    padding_mode: str
    tfm_y: bool | None
    normalize: Normalize
    bad_image: str


class CommonOptions(LoadingOptions, total=False):
    """Keywords of those that have no argument `test` of their own."""

    test: str | None


@dataclass(frozen=True)
class Options:
    """What all ways to describe data take.

    Args:
        ds_tfms: augmentation, from `get_transforms`. None: none.
        size: pixels, one number (which crops) or (rows, columns) (which squishes). None: pictures are as they are, and
            must be of one size.
        bs, val_bs: pictures a batch over all workers; `val_bs` None: bs.
        resize_method: "crop", "pad", "squish" or "no".
        mult: round each side to a multiple.
        padding_mode: what is seen beyond the edges: "reflection", "border" or "zeros".
        tfm_y: masks follow their pictures whatever this says; other targets cannot.
        normalize: (means, stds); "auto" (those of the pretrained weights, else ImageNet's), "imagenet", "cifar",
            "mnist". None: none, until `normalize()` is called.
        bad_image: "skip" or "fail", where a picture turns out broken.
        test: a folder of test pictures below the path.

    Raises ValueError for a word that is none of these.
    """

    ds_tfms: TransformsLike = None
    size: Size = None
    bs: int = 64
    val_bs: int | None = None
    resize_method: str | None = None
    mult: int | None = None
    padding_mode: str = "reflection"
    tfm_y: bool | None = None
    normalize: Normalize = None
    bad_image: str = "skip"
    test: str | None = None

    def __post_init__(self) -> None:
        known(self.bad_image, BAD_IMAGE, "bad_image")
        known(self.padding_mode, PADDING_MODES, "padding_mode")
        if self.resize_method is not None:
            known(self.resize_method, RESIZE_METHODS, "resize_method")
        if self.size is None and self.mult is not None:
            raise ValueError("size is missing: mult needs one")

    def fields(self, kind: str) -> dict[str, Any]:
        """As the fields of `ImageDataBunch`. `kind`: what the targets are."""
        if self.tfm_y is not None and self.tfm_y != (kind in FOLLOWING_KINDS):
            always = "masks, points and pictures as targets always follow their pictures, other targets never do"
            raise ValueError(f"tfm_y is {self.tfm_y}; {always}")
        return {
            "ds_tfms": self._transforms(),
            "size": self._size(),
            "bs": self.bs,
            "val_bs": self.val_bs,
            "resize_method": self._method(),
            "normalization": self.normalize,
            "bad_image": self.bad_image,
            "test": self.test or "",
            "padding_mode": self.padding_mode,
        }

    def _transforms(self) -> Transforms | None:
        return as_transforms(self.ds_tfms)

    def _method(self) -> str | None:
        """Said of a size that `mult` makes a pair of, which would squish."""
        crops = self.resize_method is None and self.mult is not None and isinstance(self.size, Integral)
        return "crop" if crops else self.resize_method

    def _size(self) -> Size:
        if self.size is None or self.mult is None:
            return self.size
        rows, columns = (self.size, self.size) if isinstance(self.size, int) else self.size
        step = self.mult
        return max(step, round(rows / step) * step), max(step, round(columns / step) * step)


def known(word: str, words: Mapping[str, int], name: str) -> None:
    """Raises ValueError for a word that is none of them."""
    if word not in words:
        raise ValueError(f"{name} is {word!r}; must be one of {', '.join(words)}")


def normalization(value: Normalize) -> learner_pb2.Normalization:
    if value is None:
        return learner_pb2.Normalization(preset="none")
    if isinstance(value, str):
        return learner_pb2.Normalization(preset=value)
    return learner_pb2.Normalization(stats=learner_pb2.ChannelStats(mean=value[0], std=value[1]))


def checked_stats(stats: Any) -> Stats:
    """Raises ValueError for what is not three means and three stds."""
    try:
        mean, std = (tuple(float(part) for part in channel) for channel in stats)
    except (TypeError, ValueError):
        mean, std = (), ()
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ValueError(f"{stats!r} is not (three means, three stds) of pixels in [0, 1], as imagenet_stats is")
    return mean, std
