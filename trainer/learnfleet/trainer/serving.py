"""A model as a server holds it: inputs prepared on any thread, computed in batches, answered in plain values."""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.label_items import MultiCategory
from learnfleet.trainer.prediction import Prediction
from learnfleet.trainer.predictor import Answer, Predictor

ModelInput: TypeAlias = Tensor
_DTYPES = {"uint8": torch.uint8, "float32": torch.float32}
_CHANNELS = 3
_ANY_SIZE = (224, 224)  # what a model is warmed up with that takes pictures of any size
_ANY = -1
_MOST_TOLD = 300  # characters of an error
MODEL = "model"  # the field of an input that this model cannot compute
_NOT_COMPUTED = (RuntimeError, ValueError, MemoryError)  # torch's OutOfMemoryError is one of the first


@dataclass(frozen=True)
class Facts:
    """What a loaded model is."""

    kind: LabelKind
    classes: tuple[str, ...]
    size: tuple[int, int] | None  # rows and columns that it sees; None: each picture keeps its own
    output_shape: tuple[int, ...]  # of one item; -1 where it depends on the picture
    bytes: int  # of its weights and buffers


@dataclass(frozen=True, eq=False)
class Numbers:
    """Float32 numbers."""

    shape: tuple[int, ...]
    content: bytes


@dataclass(frozen=True, eq=False)
class PlainAnswer:
    """What the model says of one input, without tensors."""

    index: int
    probabilities: tuple[float, ...]
    labels: tuple[str, ...]
    values: tuple[float, ...]
    mask_png: bytes
    picture_png: bytes
    logits: Numbers | None
    embedding: Numbers | None
    activated: Numbers | None
    samples: tuple[PlainAnswer, ...] = ()  # with dropout on


class ServedModel:
    """A predictor that has computed once, so that its first answer takes no longer than any other."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        size = predictor.transform.size
        self._size = (size[0], size[1]) if size else None
        shape = tuple(self._warm_up().shape)
        self.facts = Facts(
            predictor.kind,
            predictor.classes,
            self._size,
            shape if self._size or len(shape) == 1 else (shape[0], *[_ANY] * (len(shape) - 1)),
            predictor.size_bytes(),
        )

    def _warm_up(self) -> Tensor:
        """The raw outputs for a black picture."""
        rows, columns = self._size or _ANY_SIZE
        raw = self._predictor.answer([torch.zeros(_CHANNELS, rows, columns, dtype=torch.uint8)], logits=True)[0].logits
        assert raw is not None
        return raw

    def picture(self, content: bytes) -> Tensor:
        """A picture file as the model's evaluation sees it, uint8 [3, H, W]. Raises BadImage."""
        return self._predictor.transform.pixels(content)

    def tensor(self, dtype: str, shape: Sequence[int], content: bytes) -> Tensor:
        """Little-endian numbers as an input. Raises LearnerError for what does not fit the model."""
        if dtype not in _DTYPES:
            raise LearnerError("dtype", f"is {dtype}; must be uint8 (pixels) or float32 (as the model takes it)")
        self._check_shape(tuple(shape))
        kind = _DTYPES[dtype]
        expected = math.prod(shape) * kind.itemsize
        if len(content) != expected:
            raise LearnerError("content", f"has {len(content)} bytes; {dtype} {list(shape)} has {expected}")
        return torch.frombuffer(bytearray(content), dtype=kind).reshape(tuple(shape))

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        rows, columns = (str(side) for side in self._size) if self._size else ("H", "W")
        fits = len(shape) == _CHANNELS and shape[0] == _CHANNELS and all(side > 0 for side in shape)
        if not fits or (self._size and shape[1:] != self._size):
            raise LearnerError("shape", f"is {list(shape)}; must be [{_CHANNELS}, {rows}, {columns}], one picture")

    def answer(
        self,
        inputs: Sequence[Tensor],
        thresh: float | None,
        tta: bool,
        *,
        logits: bool = False,
        embedding: bool = False,
        activated: bool = False,
        dropout_samples: int = 0,
    ) -> list[PlainAnswer | LearnerError]:
        """One answer an input, in their order; those of one type and shape are computed together.

        An input that cannot be computed, as it is too small or too large for the model, has its error alone. Raises
        what computing raises where the model computes nothing at all.

        Not to be called by several threads with `dropout_samples`, which changes the model meanwhile.
        """

        def asked(group: list[Tensor]) -> list[PlainAnswer]:
            answers = self._predictor.answer(group, thresh, tta, logits=logits, embedding=embedding)
            samples = self._predictor.dropout_samples(group, dropout_samples, thresh)
            return [_plain(answer, activated, more) for answer, more in zip(answers, samples, strict=True)]

        groups: dict[tuple[object, ...], list[int]] = {}
        for place, item in enumerate(inputs):
            groups.setdefault((item.dtype, *item.shape), []).append(place)
        found: dict[int, PlainAnswer | LearnerError] = {}
        for places in groups.values():
            found.update(zip(places, _each([inputs[place] for place in places], asked), strict=True))
        if all(isinstance(one, LearnerError) and one.field == MODEL for one in found.values()):
            self._warm_up()  # or is it the device that has failed?
        return [found[place] for place in range(len(inputs))]


def _each(group: list[Tensor], asked: Callable[[list[Tensor]], list[PlainAnswer]]) -> list[PlainAnswer | LearnerError]:
    """The answers to a group, computed in halves where it cannot be as a whole."""
    try:
        return [*asked(group)]
    except LearnerError as error:
        return [error] * len(group)
    except _NOT_COMPUTED as error:
        if len(group) == 1:
            shape = list(group[0].shape)
            return [LearnerError(MODEL, f"cannot compute a picture of shape {shape}: {_line(error)}")]
    middle = len(group) // 2
    return [*_each(group[:middle], asked), *_each(group[middle:], asked)]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:_MOST_TOLD] or type(error).__name__


def _plain(answer: Answer, activated: bool, samples: Sequence[Prediction] = ()) -> PlainAnswer:
    found = answer.prediction
    return PlainAnswer(
        found.index,
        found.probabilities,
        found.item.obj if isinstance(found.item, MultiCategory) else (),
        found.values,
        b64decode(found.mask_png()) if found.kind is LabelKind.MASK else b"",
        b64decode(found.picture_png()) if found.kind is LabelKind.IMAGE else b"",
        _numbers(answer.logits),
        _numbers(answer.embedding),
        _numbers(found.activated) if activated else None,
        tuple(_plain(Answer(sample), activated) for sample in samples),
    )


def _numbers(values: Tensor | None) -> Numbers | None:
    return None if values is None else Numbers(tuple(values.shape), values.contiguous().numpy().tobytes())
