"""The predictions of a whole data set, as they come from the server."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from learnfleet.v1 import prediction_service_pb2

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Predictions:
    """fastai's list: `preds, targets = learn.get_preds()`, and the losses as a third where they were asked for.

    The views are float32 and have the buffer protocol: `numpy.asarray(found.preds)` copies nothing, `.tolist()` needs
    no library.

    Attributes:
        preds: [N, classes], or [N, classes, height, width] of masks.
        targets: [N], [N, labels] or [N, 1, height, width]; 0 where the data set has no labels.
        losses: [N]; None unless asked for.
        indices: position of each row in the data set: pictures that could not be read are missing.
    """

    preds: memoryview[float]
    targets: memoryview[float]
    losses: memoryview[float] | None
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[memoryview[float]]:
        yield self.preds
        yield self.targets
        if self.losses is not None:
            yield self.losses

    @classmethod
    def from_protos(
        cls, messages: Iterable[prediction_service_pb2.ReadPredictionsResponse], *, with_loss: bool
    ) -> Predictions:
        preds, targets, losses = bytearray(), bytearray(), bytearray()
        indices: list[int] = []
        shape: tuple[int, ...] = ()
        target_shape: tuple[int, ...] = ()
        for message in messages:
            preds += message.predictions
            targets += message.targets
            losses += message.losses
            indices += message.indices
            shape, target_shape = tuple(message.shape), tuple(message.target_shape)
        n = len(indices)
        return cls(
            _view(preds, (n, *shape)),
            _view(targets, (n, *target_shape)),
            _view(losses, (n,)) if with_loss else None,
            tuple(indices),
        )


def _view(content: bytearray, shape: tuple[int, ...]) -> memoryview[float]:
    if struct.pack("=f", 1.0) != struct.pack("<f", 1.0):  # a big-endian machine
        for start in range(0, len(content), _FLOAT_BYTES):
            content[start : start + _FLOAT_BYTES] = content[start : start + _FLOAT_BYTES][::-1]
    flat = memoryview(content)
    return flat.cast("f", shape) if content else flat.cast("f")
