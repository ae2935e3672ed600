"""The callback protocol: the ten events of a fit (fastai v1's names)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from torch import Tensor

from learnfleet.trainer.state import TrainState

EVENTS = (
    "on_train_begin",
    "on_epoch_begin",
    "on_batch_begin",
    "on_loss_begin",
    "on_backward_begin",
    "on_backward_end",
    "on_step_end",
    "on_batch_end",
    "on_epoch_end",
    "on_train_end",
)


class Callback:
    """Base of all callbacks. Override what you need; steer by the fields of `TrainState` or a Cancel signal.

    on_batch_begin, on_loss_begin and on_batch_end also come in validation, with `state.train` False.
    """

    order: ClassVar[int] = 0  # ascending; ties keep the order in which they were given

    def on_train_begin(self, state: TrainState) -> None:
        """Once, before the first epoch. A resumed fit loads saved callback state right after this."""

    def on_epoch_begin(self, state: TrainState) -> None:
        """Before the first training batch of an epoch; not again when a fit is resumed in mid-epoch."""

    def on_batch_begin(self, state: TrainState) -> None:
        """`last_input` and `last_target` are there and may be replaced."""

    def on_loss_begin(self, state: TrainState) -> None:
        """`last_output` is there and may be replaced."""

    def on_backward_begin(self, state: TrainState) -> None:
        """Training: `loss` is there and may be replaced."""

    def on_backward_end(self, state: TrainState) -> None:
        """Training: gradients are there (also called when the backward pass was skipped)."""

    def on_step_end(self, state: TrainState) -> None:
        """Training: the optimiser has stepped (also called when the step was skipped)."""

    def on_batch_end(self, state: TrainState) -> None:
        """The batch is done; in training `last_loss` and `smooth_loss` are those of the global batch."""

    def on_epoch_end(self, state: TrainState) -> None:
        """Validation is done: `last_metrics` holds its loss and the metrics, or nothing when there was none."""

    def on_train_end(self, state: TrainState) -> None:
        """Always, also after an error (`state.exception`)."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed fit needs, as plain JSON-able data."""
        return {}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""

    def tensors(self) -> dict[str, Tensor]:
        """What a resumed fit needs and is too large for JSON."""
        return {}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave."""


Handler = Callable[[TrainState], None]


class Events:
    """The callbacks of one fit in their order. An event costs nothing for those that do not override it."""

    def __init__(self, callbacks: Iterable[Callback] = ()) -> None:
        self.callbacks = sorted(callbacks, key=lambda callback: callback.order)
        self._handlers = {event: self._overriding(event) for event in EVENTS}

    def _overriding(self, event: str) -> list[Handler]:
        inherited = getattr(Callback, event)
        return [getattr(item, event) for item in self.callbacks if getattr(type(item), event) is not inherited]

    def __call__(self, event: str, state: TrainState) -> None:
        for handler in self._handlers[event]:
            handler(state)

    def names(self) -> dict[str, Callback]:
        """A stable name for each callback: its class, numbered from the second of a class on."""
        named: dict[str, Callback] = {}
        for callback in self.callbacks:
            base = type(callback).__name__
            same = sum(name.partition("#")[0] == base for name in named)
            named[f"{base}#{same + 1}" if same else base] = callback
        return named
