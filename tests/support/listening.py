"""Callbacks for tests of the loop: one that hears everything, and some that do one thing at one step."""

from __future__ import annotations

from collections import Counter

from support.memory_data import a_learner

from learnfleet.trainer.callback import EVENTS, Callback
from learnfleet.trainer.state import TrainState


class Listener(Callback):
    """Writes down every event; does what it is told at one of them."""

    def __init__(self, log: list[str] | None = None, name: str = "") -> None:
        self.log = [] if log is None else log
        self.name = name
        self.exception: BaseException | None = None

    def hear(self, event: str, state: TrainState) -> None:
        phase = "" if state.train or "train" in event or "epoch" in event else "valid "
        self.log.append(self.name or phase + event)
        self.exception = state.exception


for _event in EVENTS:
    setattr(Listener, _event, lambda self, state, event=_event: self.hear(event, state))


class At(Callback):
    """Does something to the state, once, at an event of one step."""

    def __init__(self, step: int, action: object) -> None:
        self._step, self._action, self._done = step, action, False

    def _act(self, state: TrainState) -> None:
        if state.train and state.global_step == self._step and not self._done:
            self._done = True
            assert callable(self._action)
            self._action(state)


def at(event: str, step: int, action: object) -> Callback:
    """A callback of a class of its own, so that only this event is overridden."""
    cls = type("AtEvent", (At,), {event: lambda self, state: self._act(state)})
    return cls(step, action)


def throw(error: BaseException) -> object:
    def act(state: TrainState) -> None:
        raise error

    return act


def put(**fields: bool) -> object:
    def act(state: TrainState) -> None:
        for name, value in fields.items():
            setattr(state, name, value)

    return act


def events_of(*callbacks: Callback, epochs: int = 2) -> Counter[str]:
    listener = Listener()
    a_learner().fit(epochs, callbacks=[*callbacks, listener])
    return Counter(listener.log)
