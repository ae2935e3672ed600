"""What can be predicted, as it is sent: a picture file, numbers, or a file that the server has."""

from __future__ import annotations

import io
import sys
from array import array
from pathlib import Path

from learnfleet.client.dataset_paths import DatasetPath, split_url
from learnfleet.v1 import prediction_service_pb2 as pb

_TYPES = {
    "B": pb.TENSOR_TYPE_UINT8,
    "f": pb.TENSOR_TYPE_FLOAT32,
    "<f": pb.TENSOR_TYPE_FLOAT32,
}
_DIMENSIONS = 3
_WANTED = (
    "give a path, the bytes of a file, a PIL image, a DatasetPath, or numbers [3, height, width] of uint8 or float32"
    " (a NumPy array, a torch tensor)"
)


def input_of(item: object) -> pb.Input:
    """As `put_input`."""
    message = pb.Input()
    put_input(message, item)
    return message


def put_input(message: pb.Input | pb.PredictRequest, item: object) -> None:
    """Say in a message what is to be predicted. Raises TypeError for what is no picture, OSError of a file.

    A text that begins with `dataset://` is a file of a data set on the server; other paths are of files that are here.
    """
    if isinstance(item, DatasetPath) or (isinstance(item, str) and item.startswith("dataset:/")):
        message.file.dataset, message.file.path = split_url(str(item))
    elif (content := _content(item)) is not None:
        message.image = content
    else:
        message.tensor.CopyFrom(_tensor(item))


def content_of(item: object) -> bytes:
    """The bytes of a picture file, of what may be given as a picture but for numbers. Raises TypeError, OSError."""
    content = _content(item)
    if content is None:
        raise TypeError(f"a {type(item).__name__} is no picture here: give a path, the bytes of a file, or a PIL image")
    return content


def _content(item: object) -> bytes | None:
    if isinstance(item, bytes | bytearray):
        return bytes(item)
    if isinstance(item, str | Path):
        return Path(item).read_bytes()
    if isinstance(content := getattr(item, "content", None), bytes):  # a Picture
        return content
    return _png(item) if hasattr(item, "save") and hasattr(item, "mode") else None


def _png(image: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")  # type: ignore[attr-defined]
    return buffer.getvalue()


def _tensor(item: object) -> pb.Tensor:
    numbers = item.numpy() if hasattr(item, "numpy") else item  # of torch
    try:
        view = memoryview(numbers)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"a {type(item).__name__} is no picture here: {_WANTED}") from None
    if view.ndim != _DIMENSIONS or view.format not in _TYPES:
        shape = list(view.shape or ())
        raise TypeError(f"numbers of shape {shape} and format {view.format!r} are no picture here: {_WANTED}")
    content = view.tobytes()
    if view.format == "f" and sys.byteorder == "big":
        swapped = array("f", content)
        swapped.byteswap()
        content = swapped.tobytes()
    return pb.Tensor(type=_TYPES[view.format], shape=view.shape, content=content)
