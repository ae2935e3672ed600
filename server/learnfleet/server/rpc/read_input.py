"""What is to be predicted, from protobuf."""

from __future__ import annotations

import math
from typing import TypeAlias

from learnfleet.server.errors import FieldViolation, InvalidArgument
from learnfleet.server.inference.ports import Input, PictureFile, TensorInput
from learnfleet.server.rpc.server_files import ServerFiles
from learnfleet.v1 import prediction_service_pb2 as pb

MAX_IMAGE_BYTES = 20 * 2**20
MAX_SIDE = 4096
CHANNELS = 3
ITEM_BYTES = {"uint8": 1, "float32": 4}
_TYPES = {pb.TENSOR_TYPE_UINT8: "uint8", pb.TENSOR_TYPE_FLOAT32: "float32"}

InputMessage: TypeAlias = pb.PredictRequest | pb.Input


async def read_input(message: InputMessage, files: ServerFiles) -> Input:
    """One picture of any kind. Raises InvalidArgument naming the field within the message."""
    kind = message.WhichOneof("input")
    if kind == "tensor":
        return _tensor(message.tensor)
    if kind == "file":
        content = await files.read(message.file.dataset, message.file.path, MAX_IMAGE_BYTES, "file")
        return picture(content, "file.path")
    return picture(message.image, "image")


def picture(content: bytes, field: str) -> PictureFile:
    """Raises InvalidArgument for none, and for one that is too large to be looked at."""
    size = len(content)
    if not size:
        raise refusal(field, "is empty; must be the bytes of a picture file")
    if size > MAX_IMAGE_BYTES:
        raise refusal(field, f"has {size} bytes; must have at most {MAX_IMAGE_BYTES}: scale the picture down")
    return PictureFile(content)


def _tensor(message: pb.Tensor) -> TensorInput:
    if message.type not in _TYPES:
        raise refusal("tensor.type", "must be TENSOR_TYPE_UINT8 (pixels) or TENSOR_TYPE_FLOAT32 (normalised already)")
    return tensor(_TYPES[message.type], tuple(message.shape), message.content, "tensor.shape", "tensor.content")


def tensor(dtype: str, shape: tuple[int, ...], content: bytes, shape_field: str, content_field: str) -> TensorInput:
    """One picture [3, height, width]. Raises InvalidArgument naming one of the fields."""
    if len(shape) != CHANNELS or shape[0] != CHANNELS or not all(1 <= side <= MAX_SIDE for side in shape):
        right = f"must be [3, height, width] with sides from 1 to {MAX_SIDE}"
        raise refusal(shape_field, f"is {list(shape[:8])}; {right}")
    wanted = math.prod(shape) * ITEM_BYTES[dtype]
    if len(content) != wanted:
        raise refusal(content_field, f"has {len(content)} bytes; {dtype} numbers of shape {list(shape)} have {wanted}")
    if dtype == "float32" and not _is_finite(content):
        raise refusal(content_field, "has numbers that are infinite or none (NaN)")
    return TensorInput(dtype, shape, content)


def _is_finite(content: bytes) -> bool:
    import numpy as np  # not needed before the first tensor: the server listens sooner without it

    return bool(np.isfinite(np.frombuffer(content, "<f4")).all())


def refusal(field: str, description: str) -> InvalidArgument:
    return InvalidArgument([FieldViolation(field, description)])
