"""A learner's model as a table (fastai v1 `Learner.summary`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from learnfleet.trainer.batch import as_arguments
from learnfleet.trainer.hooks import Hooks, leaves

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_WIDTHS = (24, 24, 14, 10)


def summary(learner: Learner) -> str:
    """A line a layer: name, shape of its output for one batch, parameters, whether they are trained; then totals."""
    model = learner.model
    layers = leaves(model)
    was_training = model.training
    with Hooks(layers, lambda _, __, output: _shape(output)) as hooks, torch.no_grad():
        batch = next(iter(learner.data.train_dl.epoch(0)))
        model.eval()(*as_arguments(batch.x))
        shapes = hooks.stored
    model.train(was_training)
    rows = [
        (type(layer).__name__, str(shape or ""), f"{_count(layer):,}", str(_is_trained(layer)))
        for layer, shape in zip(layers, shapes, strict=True)
    ]
    lines = [type(model).__name__, _line(("Layer (type)", "Output Shape", "Param #", "Trainable"))]
    rule = "=" * sum(_WIDTHS)
    total = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    callbacks = [type(callback).__name__ for callback in learner.callbacks]
    return "\n".join(
        [
            *lines,
            rule,
            *(_line(row) for row in rows),
            rule,
            f"Total params: {total:,}",
            f"Total trainable params: {trained:,}",
            f"Total non-trainable params: {total - trained:,}",
            f"Optimized with {learner.opt_func.name}, true_wd={learner.true_wd}",
            f"Loss function: {type(learner.loss_func).__name__}",
            f"Callbacks: {', '.join(callbacks) or 'none'}",
        ]
    )


def _line(cells: tuple[str, ...]) -> str:
    return "".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def _shape(output: Any) -> list[int] | None:
    first = output[0] if isinstance(output, tuple | list) and output else output
    return list(first.shape) if isinstance(first, Tensor) else None


def _count(layer: nn.Module) -> int:
    return sum(parameter.numel() for parameter in layer.parameters())


def _is_trained(layer: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in layer.parameters())
