"""What the body of a model makes of pictures, pooled: a place for each, where pictures that are alike are near."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


def body_of(model: nn.Module) -> nn.Module | None:
    """The body of a body and a head, or the encoder of a U-Net; None for other models."""
    from learnfleet.trainer.unet import DynamicUnet  # which imports much that predicting does not need

    if isinstance(model, DynamicUnet):
        return model.layers[0]
    return model[0] if isinstance(model, nn.Sequential) and len(model) == 2 else None


def pooled(features: Tensor) -> Tensor:
    """Of [N, D, h, w] the mean over the places, [N, D]; of tokens [N, T, D] that over the tokens; [N, D] as it is."""
    if features.ndim == 3:
        return features.mean(dim=1)
    return features.flatten(2).mean(dim=2) if features.ndim > 2 else features


class Embeddings:
    """Listens to a body while it computes batches."""

    def __init__(self) -> None:
        self._last: Tensor | None = None

    def __call__(self, _module: nn.Module, _inputs: object, output: object) -> None:
        self._last = pooled(output).float().cpu() if isinstance(output, Tensor) else None

    def take(self) -> list[Tensor]:
        """[N, D] of the last batch, on the CPU; empty where there is none."""
        found, self._last = self._last, None
        return [] if found is None else [found]


@contextmanager
def embeddings_of(model: nn.Module, wanted: bool) -> Iterator[Embeddings]:
    """Embeddings of the batches that the model computes inside, if they are wanted and it has a body."""
    listener, body = Embeddings(), body_of(model) if wanted else None
    handle = body.register_forward_hook(listener) if body is not None else None
    try:
        yield listener
    finally:
        if handle is not None:
            handle.remove()
