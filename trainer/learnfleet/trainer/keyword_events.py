"""Events of callbacks written for fastai v1, which take the state as keywords: `on_epoch_end(self, epoch, **kw)`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from learnfleet.trainer.state import TrainState

Handler = Callable[[TrainState], Mapping[str, Any] | None]

_BEFORE_BATCHES = ("epoch", "iteration", "num_batch", "n_epochs", "metrics", "skip_validate", "stop_training")
_OF_BATCHES = ("last_input", "last_target", "last_output", "train", "stop_epoch", "skip_bwd", "skip_step", "skip_zero")


def handler_of(callback: object, event: str) -> Handler:
    """The callback's method for an event, as a function of the state.

    A method with `**kwargs` gets fastai's keywords, unless its first argument is called `state`.
    """
    method: Callable[..., Mapping[str, Any] | None] = getattr(callback, event)
    taken = list(inspect.signature(method).parameters.values())
    if not any(item.kind is item.VAR_KEYWORD for item in taken) or taken[0].name == "state":
        return method
    return lambda state: method(**keywords(event, state))


def keywords(event: str, state: TrainState) -> dict[str, Any]:
    """What fastai v1 hands to a callback: losses are tensors without a graph, but for the one to go backward from."""
    found = {name: getattr(state, name) for name in (*_BEFORE_BATCHES, *_OF_BATCHES)}
    found |= {"pbar": None, "last_loss": _loss(event, state), "smooth_loss": torch.tensor(state.smooth_loss)}
    found["last_metrics"] = list(state.last_metrics)
    if event == "on_train_begin":
        found["metrics_names"] = list(state.learner.recorder.metric_names)
    if event == "on_train_end":
        found["exception"] = state.exception or False
    return found


def _loss(event: str, state: TrainState) -> Tensor | None:
    if event in ("on_backward_begin", "on_backward_end", "on_step_end"):
        return state.loss
    if event == "on_batch_end" and not state.train:
        return None if state.loss is None else state.loss.detach().cpu()
    return torch.tensor(state.last_loss)


def add_metrics(last_metrics: list[Any], values: object) -> dict[str, list[Any]]:
    """What a metric written as a callback returns at an epoch's end: `last_metrics` and its value or values."""
    added = list(values) if isinstance(values, list | tuple) else [values]
    return {"last_metrics": [*last_metrics, *(float(v) if isinstance(v, Tensor) and v.ndim == 0 else v for v in added)]}
