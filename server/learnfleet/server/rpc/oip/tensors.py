"""The data of a request, in either of the protocol's two forms, as items to predict."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from learnfleet.oip import inference_pb2 as pb
from learnfleet.server.inference.ports import Input, TensorInput
from learnfleet.server.rpc.oip.parameters import refuse_parameters
from learnfleet.server.rpc.prediction_batch import MAX_INPUTS
from learnfleet.server.rpc.read_input import CHANNELS, ITEM_BYTES, MAX_SIDE, picture, refusal, tensor
from learnfleet.server.rpc.violations import Violations

IMAGE, PIXELS = "image", "pixels"
_DTYPES = {"FP32": "float32", "UINT8": "uint8"}
_LENGTH = struct.Struct("<I")


def read_items(request: pb.ModelInferRequest) -> list[Input]:
    """The items of a request's one input. Raises InvalidArgument naming the field."""
    if len(request.inputs) != 1:
        raise refusal("inputs", f"has {len(request.inputs)} tensors; must have one, '{IMAGE}' or '{PIXELS}'")
    given = request.inputs[0]
    found = Violations()
    refuse_parameters(given.parameters, "inputs[0]", found)
    found.raise_if_any()
    raw = _raw(request)
    if given.name == IMAGE:
        return list(_images(given, raw))
    if given.name == PIXELS:
        return list(_pixels(given, raw))
    raise refusal(
        "inputs[0].name", f"is '{given.name[:40]}'; must be '{IMAGE}' (picture files) or '{PIXELS}' (numbers)"
    )


def _raw(request: pb.ModelInferRequest) -> bytes | None:
    """The data as bytes; None where they are in the input's contents."""
    raw, has_contents = request.raw_input_contents, request.inputs[0].HasField("contents")
    if raw and has_contents:
        raise refusal("raw_input_contents", "is given beside inputs[0].contents; give the data in one of the two")
    if not raw:
        return None if has_contents else b""
    if len(raw) != 1:
        raise refusal("raw_input_contents", f"has {len(raw)} items; must have one for each input, which is one")
    return bytes(raw[0])


def _images(given: pb.ModelInferRequest.InferInputTensor, raw: bytes | None) -> list[Input]:
    if given.datatype != "BYTES":
        raise refusal("inputs[0].datatype", f"is '{given.datatype[:20]}'; of '{IMAGE}' it must be BYTES")
    count = _count(given, 1, "[n]: a file for each item")
    if raw is not None:
        field, elements = "raw_input_contents[0]", unframed(raw)
    else:
        field, elements = "inputs[0].contents.bytes_contents", _contents(given, "bytes_contents")
    if len(elements) != count:
        raise refusal(field, f"has {len(elements)} elements; the shape {list(given.shape)} says {count}")
    return [picture(content, f"{field}[{place}]") for place, content in enumerate(elements)]


def unframed(raw: bytes) -> Sequence[bytes]:
    """The elements of a BYTES tensor, each after its length in four bytes, little-endian. Raises InvalidArgument."""
    elements: list[bytes] = []
    place, field = 0, "raw_input_contents[0]"
    while place < len(raw):
        if len(elements) == MAX_INPUTS:
            raise refusal(field, f"has more than {MAX_INPUTS} elements")
        if place + _LENGTH.size > len(raw):
            raise refusal(field, f"ends within the length of element {len(elements)}, at byte {place}")
        (length,) = _LENGTH.unpack_from(raw, place)
        place += _LENGTH.size
        if length > len(raw) - place:
            left = len(raw) - place
            raise refusal(field, f"says that element {len(elements)} has {length} bytes, where {left} are left")
        elements.append(raw[place : place + length])
        place += length
    return elements


def framed(elements: Sequence[bytes]) -> bytes:
    """Elements as a BYTES tensor."""
    return b"".join(_LENGTH.pack(len(element)) + element for element in elements)


def _pixels(given: pb.ModelInferRequest.InferInputTensor, raw: bytes | None) -> list[TensorInput]:
    if given.datatype not in _DTYPES:
        right = "FP32 (as the model takes it) or UINT8 (pixels, not normalised)"
        raise refusal("inputs[0].datatype", f"is '{given.datatype[:20]}'; of '{PIXELS}' it must be {right}")
    dtype = _DTYPES[given.datatype]
    count = _count(given, 4, "[n, 3, height, width]")
    shape = tuple(given.shape[1:])
    if shape[0] != CHANNELS or not all(1 <= side <= MAX_SIDE for side in shape):
        raise refusal(
            "inputs[0].shape", f"is {list(given.shape)}; must be [n, 3, height, width], up to {MAX_SIDE} a side"
        )
    field = "raw_input_contents[0]" if raw is not None else "inputs[0].contents"
    content = raw if raw is not None else _packed(given)
    size = CHANNELS * shape[1] * shape[2] * ITEM_BYTES[dtype]
    if len(content) != count * size:
        right = f"{given.datatype} numbers of shape {list(given.shape)} have {count * size}"
        raise refusal(field, f"has {len(content)} bytes; {right}")
    parts = (content[start : start + size] for start in range(0, len(content), size))
    return [tensor(dtype, shape, part, "inputs[0].shape", field) for part in parts]


def _packed(given: pb.ModelInferRequest.InferInputTensor) -> bytes:
    if given.datatype == "FP32":
        values = _contents(given, "fp32_contents")
        return struct.pack(f"<{len(values)}f", *values)
    values = _contents(given, "uint_contents")
    if any(value > 255 for value in values):
        raise refusal("inputs[0].contents.uint_contents", "has numbers above 255, which UINT8 has no room for")
    return bytes(values)


def _contents(given: pb.ModelInferRequest.InferInputTensor, right: str) -> Sequence[Any]:
    """The values of the one field of the contents that is for the datatype."""
    wrong = [field.name for field, _ in given.contents.ListFields() if field.name != right]
    if wrong:
        raise refusal(f"inputs[0].contents.{wrong[0]}", f"is not for {given.datatype}: that is {right}")
    return getattr(given.contents, right)  # type: ignore[no-any-return]  # of protobuf


def _count(given: pb.ModelInferRequest.InferInputTensor, dimensions: int, right: str) -> int:
    """How many items the shape says there are."""
    shape = list(given.shape)
    if len(shape) != dimensions:
        raise refusal("inputs[0].shape", f"is {shape[:8]}; must be {right}")
    if not 1 <= shape[0] <= MAX_INPUTS:
        raise refusal("inputs[0].shape", f"is {shape}; n must be from 1 to {MAX_INPUTS}")
    return int(shape[0])
