"""What the control server and a replica say to each other: MessagePack, which runs no code when it is read."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from learnfleet.server.inference.ports import Answered, Array, InferOptions, Input, Output, PictureFile, TensorInput
from learnfleet.trainer.data_spec import LabelKind

LOAD, INFER, UNLOAD = "/replica/Load", "/replica/Infer", "/replica/Unload"
TOKEN_KEY = "learnfleet-replica-token"

_PICTURE, _TENSOR = 0, 1


@dataclass(frozen=True)
class LoadRequest:
    """Which export to hold, under which key, and how to compute; None: as it was trained."""

    key: str
    folder: str
    precision: str | None = None
    channels_last: bool | None = None

    def encode(self) -> bytes:
        return _packed([self.key, self.folder, self.precision, self.channels_last])

    @classmethod
    def decode(cls, content: bytes) -> LoadRequest:
        return cls(*_unpacked(content))


@dataclass(frozen=True)
class LoadReply:
    """A model that is warm, or why it cannot be."""

    error: str = ""
    kind: LabelKind = LabelKind.CATEGORY
    classes: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    output_shape: tuple[int, ...] = ()
    size_bytes: int = 0

    def encode(self) -> bytes:
        return _packed([self.error, self.kind.value, self.classes, self.size, self.output_shape, self.size_bytes])

    @classmethod
    def decode(cls, content: bytes) -> LoadReply:
        error, kind, classes, size, shape, count = _unpacked(content)
        return cls(error, LabelKind(kind), tuple(classes), (size[0], size[1]) if size else None, tuple(shape), count)


@dataclass(frozen=True)
class InferRequest:
    """A batch: inputs of equal options for one model."""

    key: str
    options: InferOptions
    inputs: tuple[Input, ...]
    most: int  # items that may be computed together, with those of other requests

    def encode(self) -> bytes:
        options = self.options
        outputs = sorted(output.value for output in options.outputs)
        inputs = [_input_to_list(item) for item in self.inputs]
        return _packed([self.key, options.thresh, options.tta, outputs, options.dropout_samples, inputs, self.most])

    @classmethod
    def decode(cls, content: bytes) -> InferRequest:
        key, thresh, tta, outputs, samples, inputs, most = _unpacked(content)
        options = InferOptions(thresh, tta, frozenset(Output(value) for value in outputs), samples)
        return cls(key, options, tuple(_input_of(item) for item in inputs), most)


@dataclass(frozen=True)
class InferReply:
    """One answer an input; or that the replica does not hold the model; or why the model cannot do what was asked."""

    items: tuple[Answered, ...] = ()
    is_unknown: bool = False
    refused: str = ""
    speaks_for_batch: bool = False  # of the replies to requests that were computed together one does

    def encode(self) -> bytes:
        items = [_answer_to_list(item) for item in self.items]
        return _packed([self.is_unknown, self.refused, items, self.speaks_for_batch])

    @classmethod
    def decode(cls, content: bytes) -> InferReply:
        is_unknown, refused, items, speaks = _unpacked(content)
        return cls(tuple(_answer_of(item) for item in items), is_unknown, refused, speaks)


def _packed(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def _unpacked(content: bytes) -> Any:
    return msgpack.unpackb(content, raw=False, strict_map_key=True)


def _input_to_list(item: Input) -> list[Any]:
    if isinstance(item, PictureFile):
        return [_PICTURE, item.content]
    return [_TENSOR, item.dtype, item.shape, item.content]


def _input_of(value: list[Any]) -> Input:
    if value[0] == _PICTURE:
        return PictureFile(value[1])
    return TensorInput(value[1], tuple(value[2]), value[3])


def _answer_to_list(item: Answered) -> list[Any]:
    arrays = {output.value: [found.shape, found.content] for output, found in item.arrays.items()}
    return [
        item.error,
        item.kind.value,
        item.index,
        _floats(item.probabilities),
        item.labels,
        _floats(item.values),
        item.mask_png,
        item.picture_png,
        arrays,
        item.decode_s,
        item.infer_s,
        item.batch_size,
        [_answer_to_list(sample) for sample in item.samples],
    ]


def _answer_of(value: list[Any]) -> Answered:
    error, kind, index, probabilities, labels, values, mask, picture, arrays, decode_s, infer_s, size, samples = value
    return Answered(
        error=error,
        kind=LabelKind(kind),
        index=index,
        probabilities=_numbers(probabilities),
        labels=tuple(labels),
        values=_numbers(values),
        mask_png=mask,
        picture_png=picture,
        arrays={Output(name): Array(tuple(shape), content) for name, (shape, content) in arrays.items()},
        decode_s=decode_s,
        infer_s=infer_s,
        batch_size=size,
        samples=tuple(_answer_of(sample) for sample in samples),
    )


def _floats(values: Sequence[float]) -> bytes:
    """They come from float32 numbers, so nothing is lost."""
    return array("f", values).tobytes()


def _numbers(content: bytes) -> tuple[float, ...]:
    found = array("f")
    found.frombytes(content)
    return tuple(found)
