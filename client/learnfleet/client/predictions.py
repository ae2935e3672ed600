"""The predictions of a whole data set, as they come from the server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from learnfleet.client.arrays import Array
from learnfleet.v1 import prediction_service_pb2

_WHOLE_TARGETS = ("category", "mask")


@dataclass(frozen=True)
class Predictions:
    """fastai's list: `preds, targets = learn.get_preds()`, and the losses as a third where they were asked for;
    `preds, mean, targets = learn.TTA(beta=None)`.

    Attributes:
        preds: float32 [N, classes], or [N, classes, height, width] of masks.
        targets: [N], [N, labels] or [N, 1, height, width]; int64 of classes and masks, else float32. 0 where the data
            set has no labels.
        losses: float32 [N]; None unless asked for.
        indices: position of each row in the data set: pictures that could not be read are missing.
        variants: mean over the augmented variants, as `preds`; None unless `TTA(beta=None)` asked for it.
    """

    preds: Array
    targets: Array
    losses: Array | None
    indices: tuple[int, ...]
    variants: Array | None = None

    def __len__(self) -> int:
        """2, or 3 with losses or variants."""
        return len(tuple(iter(self)))

    def __getitem__(self, number: int) -> Array:
        return tuple(iter(self))[number]

    def __iter__(self) -> Iterator[Array]:
        yield self.preds
        if self.variants is not None:
            yield self.variants
        yield self.targets
        if self.losses is not None:
            yield self.losses

    @classmethod
    def from_protos(
        cls,
        messages: Iterable[prediction_service_pb2.ReadPredictionsResponse],
        *,
        with_loss: bool,
        kind: str = "float",
    ) -> Predictions:
        """`kind`: what the targets are, which decides their type."""
        preds, targets, losses, variants = bytearray(), bytearray(), bytearray(), bytearray()
        indices: list[int] = []
        shape: tuple[int, ...] = ()
        target_shape: tuple[int, ...] = ()
        for message in messages:
            preds += message.predictions
            targets += message.targets
            losses += message.losses
            variants += message.variants
            indices += message.indices
            shape, target_shape = tuple(message.shape), tuple(message.target_shape)
        n = len(indices)
        truth = Array.little_endian(targets, (n, *target_shape))
        return cls(
            Array.little_endian(preds, (n, *shape)),
            truth.whole() if kind in _WHOLE_TARGETS else truth,
            Array.little_endian(losses, (n,)) if with_loss else None,
            tuple(indices),
            Array.little_endian(variants, (n, *shape)) if variants else None,
        )
