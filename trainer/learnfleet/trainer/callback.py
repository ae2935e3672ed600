"""The callback protocol: the ten events of a fit (fastai v1's names)."""

from __future__ import annotations

import logging
import re
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.keyword_events import Handler, handler_of
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_log = logging.getLogger(__name__)

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


# What an event may return, by fastai's names, and the field of TrainState that it sets.
_FIELDS = {
    **{name: name for name in ("last_input", "last_target", "last_output", "last_metrics", "epoch")},
    **{name: name for name in ("skip_bwd", "skip_step", "skip_zero", "skip_validate", "stop_epoch", "stop_training")},
    "last_loss": "loss",
}
Changes = Mapping[str, Any] | None


class Callback:
    """Base of all callbacks. Override what you need; steer by the fields of `TrainState` or a Cancel signal.

    on_batch_begin, on_loss_begin and on_batch_end also come in validation, with `state.train` False.

    An event may also return its changes as fastai's do, for example {"last_input": x, "stop_training": True}; callbacks
    that come later in the same event see them. Another key raises LearnerError.

    Callbacks written for fastai v1 run as they are: a method with `**kwargs` gets fastai's keywords (`keyword_events`),
    and `_order` is its order.
    """

    order: ClassVar[int] = 0  # ascending; ties keep the order in which they were given; `_order` goes before it
    in_lr_find: ClassVar[bool] = False  # also in a learning-rate search: for what changes the computation of a step

    def on_train_begin(self, state: TrainState) -> Changes:
        """Once, before the first epoch. A resumed fit loads saved callback state right after this."""

    def on_epoch_begin(self, state: TrainState) -> Changes:
        """Before the first training batch of an epoch; not again when a fit is resumed in mid-epoch."""

    def on_batch_begin(self, state: TrainState) -> Changes:
        """`last_input` and `last_target` are there and may be replaced."""

    def on_loss_begin(self, state: TrainState) -> Changes:
        """`last_output` is there and may be replaced."""

    def on_backward_begin(self, state: TrainState) -> Changes:
        """Training: `loss` is there and may be replaced."""

    def on_backward_end(self, state: TrainState) -> Changes:
        """Training: gradients are there (also called when the backward pass was skipped)."""

    def on_step_end(self, state: TrainState) -> Changes:
        """Training: the optimiser has stepped (also called when the step was skipped)."""

    def on_batch_end(self, state: TrainState) -> Changes:
        """The batch is done; in training `last_loss` and `smooth_loss` are those of the global batch."""

    def on_epoch_end(self, state: TrainState) -> Changes:
        """Validation is done: `last_metrics` holds its loss and the metrics, or nothing when there was none."""

    def on_train_end(self, state: TrainState) -> Changes:
        """Always, also after an error (`state.exception`)."""

    def jump_to_epoch(self, epoch: int) -> None:
        """After `on_train_begin`, when a callback has said that the fit begins with an epoch other than 0."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed fit needs, as plain JSON-able data."""
        return {}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Take over what `state_dict` gave. Also before `on_train_begin`, where a job is resumed between two fits."""

    def tensors(self) -> dict[str, Tensor]:
        """What a fit that is resumed before its end needs and is too large for JSON."""
        return {}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave."""

    def rank_tensors(self) -> dict[str, Tensor]:
        """What each rank has for itself, where a `state_dict` is that of rank 0 alone; kept between fits as well.

        All ranks are asked at the same step.
        """
        return {}

    def load_rank_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `rank_tensors` gave on this rank, in a job with as many ranks; also before a fit."""


class LearnerCallback(Callback):
    """A callback that belongs to a learner, and is found on it by its name: `learn.csv_logger` for a CSVLogger.

    The learner is held weakly: a learner that nobody needs any more must not live on in its callbacks.
    """

    def __init__(self, learn: Learner) -> None:
        self._learn = weakref.ref(learn)
        learn.register_callback(snake_case(type(self).__name__), self)

    @property
    def learn(self) -> Learner:
        learner = self._learn()
        if learner is None:
            raise LearnerError("callbacks", f"the learner of this {type(self).__name__} is gone: make a new one")
        return learner

    if not TYPE_CHECKING:  # for the checkers there are no attributes but those they can see

        def __getattr__(self, name: str) -> Any:
            """What the callback does not have is the learner's, as in fastai: `self.data`, `self.recorder`."""
            if name.startswith("_"):
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            return getattr(self.learn, name)


def snake_case(name: str) -> str:
    """`mix_up_callback` of `MixUpCallback`, `csv_logger` of `CSVLogger`."""
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()


Callbacks = Callback | Iterable[Callback] | None  # as users give them: none, one or several


def as_callbacks(given: Callbacks) -> list[Callback]:
    """Callbacks as a list. Raises LearnerError for what is none."""
    several = isinstance(given, Iterable) and not isinstance(given, Callback)
    items: list[Any] = list(given) if several else [] if given is None else [given]  # type: ignore[arg-type]
    for item in items:
        if not isinstance(item, Callback):
            hint = " (call it, or give it to Learner as `callback_fns`)" if callable(item) else ""
            raise LearnerError("callbacks", f"{item!r} is no Callback{hint}")
    return items


CallbackFn = Callable[["Learner"], Callback]
CallbackFns = CallbackFn | Iterable[CallbackFn] | None  # none, one or several


def as_callback_fns(given: CallbackFns) -> list[CallbackFn]:
    """Constructors of callbacks as a list. Raises LearnerError for what cannot be called with a learner."""
    several = isinstance(given, Iterable) and not callable(given)
    items: list[Any] = list(given) if several else [] if given is None else [given]  # type: ignore[arg-type]
    for item in items:
        if isinstance(item, Callback):
            raise LearnerError("callback_fns", f"{type(item).__name__} is made already: give it as `callbacks`")
        if not callable(item):
            raise LearnerError("callback_fns", f"{item!r} cannot be called with the learner")
    return items


def made_callback(make: CallbackFn, learner: Learner) -> Callback:
    """A callback for a fit. Raises LearnerError where something else is made."""
    made = make(learner)
    if not isinstance(made, Callback):
        raise LearnerError("callback_fns", f"{make!r} has made {made!r}, which is no Callback")
    return made


def order_of(callback: Callback) -> int:
    """By fastai's name, or by ours."""
    return int(getattr(callback, "_order", callback.order))


class Events:
    """The callbacks of one fit in their order. An event costs nothing for those that do not override it.

    A callback that is given twice, as to the learner and to the fit, takes part once.
    """

    def __init__(self, callbacks: Iterable[Callback] = ()) -> None:
        once = {id(callback): callback for callback in callbacks}
        self.callbacks = sorted(once.values(), key=order_of)
        self._handlers = {event: self._overriding(event) for event in EVENTS}

    def _overriding(self, event: str) -> list[Handler]:
        inherited = getattr(Callback, event)
        return [handler_of(item, event) for item in self.callbacks if getattr(type(item), event) is not inherited]

    def __call__(self, event: str, state: TrainState) -> None:
        for handler in self._handlers[event]:
            changes = handler(state)
            if changes is not None:
                _apply(changes, event, state)

    def jump_to_epoch(self, epoch: int) -> None:
        for callback in self.callbacks:
            callback.jump_to_epoch(epoch)

    def end(self, state: TrainState) -> None:
        """Send `on_train_end` to every callback, whatever the others do. Raises the first error when all are done."""
        errors = []
        for handler in self._handlers["on_train_end"]:
            try:
                handler(state)
            except Exception as error:
                errors.append(error)
        for further in errors if state.exception is not None else errors[1:]:
            _log.error("a callback failed in on_train_end", exc_info=further)
        if errors and state.exception is None:
            raise errors[0]

    def names(self) -> dict[str, Callback]:
        """A stable name for each callback: its class, numbered from the second of a class on."""
        named: dict[str, Callback] = {}
        for callback in self.callbacks:
            base = type(callback).__name__
            same = sum(name.partition("#")[0] == base for name in named)
            named[f"{base}#{same + 1}" if same else base] = callback
        return named


def _apply(changes: object, event: str, state: TrainState) -> None:
    """Make the changes that a callback has returned. Raises LearnerError for anything else."""
    if not isinstance(changes, Mapping):
        raise LearnerError("callbacks", f"{event} returned {changes!r}; return a dict of changes, or nothing")
    for name, value in changes.items():
        if name not in _FIELDS:
            raise LearnerError(
                "callbacks",
                f"{name} isn't a valid key in the state of the callbacks ({event}); known: {', '.join(_FIELDS)}",
            )
        setattr(state, _FIELDS[name], value)
