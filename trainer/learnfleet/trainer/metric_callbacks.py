"""A user's callback as a metric, as fastai v1 allows: it adds its value to `last_metrics` at an epoch's end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from torch import Tensor

from learnfleet.trainer.callback import Callback, Changes, snake_case
from learnfleet.trainer.keyword_events import handler_of
from learnfleet.trainer.state import TrainState


class MetricCallback(Callback):
    """Passes on what a metric may hear: training and epochs, the batches of validation, and epochs that validate.

    What it keeps for a resumed fit is the inner one's.
    """

    order: ClassVar[int] = -1000  # metrics come before callbacks

    def __init__(self, inner: Callback) -> None:
        self.inner = inner
        self.name: str = getattr(inner, "name", None) or snake_case(type(inner).__name__)

    def _tell(self, event: str, state: TrainState) -> Changes:
        return handler_of(self.inner, event)(state)

    def on_train_begin(self, state: TrainState) -> Changes:
        state.learner.recorder.add_metric_names([self.name])
        return self._tell("on_train_begin", state)

    def on_epoch_begin(self, state: TrainState) -> Changes:
        return self._tell("on_epoch_begin", state)

    def on_batch_begin(self, state: TrainState) -> Changes:
        return None if state.train else self._tell("on_batch_begin", state)

    def on_batch_end(self, state: TrainState) -> Changes:
        return None if state.train else self._tell("on_batch_end", state)

    def on_epoch_end(self, state: TrainState) -> Changes:
        return self._tell("on_epoch_end", state) if state.last_metrics[0] is not None else None

    def on_train_end(self, state: TrainState) -> Changes:
        return self._tell("on_train_end", state)

    def jump_to_epoch(self, epoch: int) -> None:
        self.inner.jump_to_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        return self.inner.state_dict()

    def load_state_dict(self, values: dict[str, Any]) -> None:
        self.inner.load_state_dict(values)

    def tensors(self) -> dict[str, Tensor]:
        return self.inner.tensors()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        self.inner.load_tensors(tensors)

    def rank_tensors(self) -> dict[str, Tensor]:
        return self.inner.rank_tensors()

    def load_rank_tensors(self, tensors: dict[str, Tensor]) -> None:
        self.inner.load_rank_tensors(tensors)


def split_callbacks(metrics: object) -> tuple[object, list[MetricCallback]]:
    """Metrics as users give them, without the callbacks among them, and those."""
    if isinstance(metrics, Callback):
        return None, [MetricCallback(metrics)]
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        return metrics, []
    items: list[Any] = list(metrics)
    return (
        [item for item in items if not isinstance(item, Callback)],
        [MetricCallback(item) for item in items if isinstance(item, Callback)],
    )
