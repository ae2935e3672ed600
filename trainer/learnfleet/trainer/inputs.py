"""From what a user holds in hand (a file, bytes, a picture, a tensor) to a batch of one for the model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from learnfleet.trainer import images
from learnfleet.trainer.batch import as_arguments
from learnfleet.trainer.color import to_rgb
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.images import Source
from learnfleet.trainer.label_items import ImageSegment
from learnfleet.trainer.listing import Item

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


_PICTURE_DIMENSIONS = 3
_WHITE = 255


@runtime_checkable
class OpensPictures(Protocol):
    """Data that can make model inputs of pictures from anywhere."""

    def single_batch(self, images: Sequence[Source]) -> Tensor: ...


def as_source(item: object) -> Source:
    """A picture as something that the validation transforms open.

    Args:
        item: an item of a dataset, a path, the bytes of a picture file, such a file opened for reading (which is read
            to its end), a PIL image, uint8 pixels as a tensor [C, H, W] or an array [H, W, C] or [H, W]; C is 1 or 3.

    Raises LearnerError for anything else.
    """
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    if isinstance(item, Item):
        return item.path
    if isinstance(item, io.BufferedIOBase):
        return item.read()
    if isinstance(item, str | Path):
        return Path(item)
    if isinstance(item, Image.Image):
        return _as_png(ImageOps.exif_transpose(item))  # as a file is turned upright
    pixels = _pixels(item)
    if pixels is None:
        raise LearnerError(
            "item",
            f"{_described(item)} is no picture: give a path, bytes, an open file, a PIL image, uint8 pixels as a tensor"
            " [C, H, W] or an array [H, W, C], or the model's own input as a float tensor [C, H, W]",
        )
    return _as_png(Image.fromarray(pixels))


def open_image(fn: object) -> Tensor:
    """A picture in whatever form `as_source` takes as upright RGB pixels, uint8 [3, H, W], for `predict`.

    Raises BadImage for a file that is no picture.
    """
    return images.open_image(as_source(fn))


def open_mask(fn: Path | str, div: bool = False) -> ImageSegment:
    """A mask file: its pixel values are classes. Raises BadImage for a file that has no one number a pixel.

    Args:
        div: divide by 255, as of a black and white mask.
    """
    values = torch.from_numpy(images.decode_indices(Path(fn))).long().unsqueeze(0)
    return ImageSegment(values // _WHITE if div else values)


def _described(item: object) -> str:
    shape = getattr(item, "shape", None)
    return type(item).__name__ if shape is None else f"{type(item).__name__} of shape {tuple(shape)}"


def _pixels(item: object) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    """[H, W] or [H, W, 3]; None for what are no pixels."""
    if isinstance(item, Tensor) and item.dtype is torch.uint8 and item.ndim == 3:
        item = item.movedim(0, -1).cpu().numpy()
    if not isinstance(item, np.ndarray) or item.dtype != np.uint8 or item.ndim not in (2, 3):
        return None
    if item.ndim == 3 and item.shape[2] == 1:
        item = item[..., 0]
    return np.ascontiguousarray(item) if item.ndim == 2 or item.shape[2] == 3 else None


def _as_png(image: Image.Image) -> bytes:
    """Lossless, so that a picture in memory goes the very way of one in a file."""
    buffer = io.BytesIO()
    to_rgb(image).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def input_of(learner: Learner, item: object) -> Any:
    """A batch of one on the learner's device: a tensor, or a tuple of them for models of several inputs.

    Pictures get the data's validation transforms. A float tensor, or a tuple of tensors, is the model's own input and
    taken as it is.
    """
    if isinstance(item, tuple | list):
        return tuple(_alone(learner, part) for part in item)
    if isinstance(item, Tensor) and (item.dtype is not torch.uint8 or not isinstance(learner.data, OpensPictures)):
        if isinstance(learner.data, OpensPictures) and item.ndim != _PICTURE_DIMENSIONS:
            raise LearnerError(
                "item",
                f"a tensor of shape {tuple(item.shape)} is not one picture [C, H, W]; of several at once see"
                " pred_batch(batch=...)",
            )
        return _alone(learner, item)
    if not isinstance(learner.data, OpensPictures):
        raise LearnerError("predict", "this data cannot open pictures: give a tensor [C, H, W]")
    return learner.data.single_batch([as_source(item)]).to(learner.device)


def _alone(learner: Learner, part: object) -> Tensor:
    if not isinstance(part, Tensor):
        raise LearnerError("item", f"a model of several inputs wants a tensor for each, not {type(part).__name__}")
    return part.unsqueeze(0).to(learner.device)


def first_item(values: Any, *, batch_first: bool = True) -> Tensor:
    """The only item of a batch of one; of several tensors, that of the first."""
    part: Tensor = as_arguments(values)[0]
    return part.select(0 if batch_first else 1, 0)


def as_pictures(data: object, x: Tensor) -> Tensor:
    """Inputs [..., C, H, W] as pixels in [0, 1] where the data knows how it normalised them; else as they are."""
    denormalize = getattr(data, "denormalize", None)
    shown: Tensor = x if denormalize is None else denormalize(x)
    return shown
