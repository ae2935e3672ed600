"""One fit from its arguments to its end: optimiser, callbacks, wrapping, the loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING

from learnfleet.trainer import loop
from learnfleet.trainer.batch import Shard
from learnfleet.trainer.callback import Callback, Events, as_callback_fns, as_callbacks, made_callback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.optimizer import DEFAULT_LR, Lr, PerGroup, lr_range
from learnfleet.trainer.progress import NotebookProgress, ProgressCallback, in_notebook
from learnfleet.trainer.recorder import Recorder
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_log = logging.getLogger(__name__)

Begun = Callable[[TrainState, Events], bool]


@dataclass(frozen=True)
class Fit:
    """What a fit is asked to do.

    Args:
        lr: learning rates, until a callback sets others.
        wd: None: the learner's.
        callbacks: for this fit only, after the learner's own.
        is_search: of a learning rate: of the learner's own callbacks only those with `in_lr_find` take part, and no
            table is printed.
        begun: called when all callbacks have begun, and may put a resumed fit where it stood: then it returns True.
        stop_requested: polled at every batch end on every rank.
        job_stage: the job's id and the index of the stage, where it is one of a job.
    """

    epochs: int
    lr: Lr = field(default_factory=lambda: DEFAULT_LR)
    wd: PerGroup | None = None
    callbacks: Sequence[Callback] = field(default=())
    is_search: bool = False
    begun: Begun | None = None
    stop_requested: Callable[[], bool] | None = None
    job_stage: tuple[str, int] | None = None


def run_fit(learner: Learner, request: Fit) -> TrainState:
    """Train. Every rank must call. Returns the state it ended in (`interrupted` when it was left early)."""
    learner.data.shard(Shard(learner.world.rank, learner.world.size))
    _check(learner, request)
    optimizer = learner.opt or learner.create_opt()
    optimizer.set_lr(lr_range(request.lr, len(learner.layer_groups)))
    optimizer.set_wd(learner.wd if request.wd is None else request.wd)
    optimizer.zero_grad()  # what `Learner.backward` has left
    events = Events(_callbacks(learner, request))
    state = TrainState(learner, learner.model, request.epochs, len(learner.data.train_dl), learner.metrics)
    state.job_stage = request.job_stage
    if request.stop_requested is not None:
        state.stop_requested = request.stop_requested
    try:
        state.model = learner.wrapped_model()
        _begin(state, events, request)
        loop.fit(state, events)
    except Exception as error:  # a KeyboardInterrupt is no fault of the fit
        state.exception = error
        raise
    finally:
        events.end(state)
        optimizer.zero_grad()
        state.model = learner.model  # the wrapper goes, with its gradient buckets
    return state


def _begin(state: TrainState, events: Events, request: Fit) -> None:
    events("on_train_begin", state)
    is_resumed = request.begun is not None and request.begun(state, events)
    if state.epoch >= state.n_epochs and not is_resumed:
        _log.warning("nothing is left to train: the fit begins with epoch %d of %d", state.epoch, state.n_epochs)
    if state.epoch and not is_resumed:
        events.jump_to_epoch(state.epoch)


def _check(learner: Learner, request: Fit) -> None:
    loader, size = learner.data.train_dl, learner.world.size
    if not isinstance(request.epochs, Integral):
        raise LearnerError("epochs", f"{request.epochs!r} is no whole number")
    if request.epochs < 1:
        raise LearnerError("epochs", f"{request.epochs} is not possible: train for at least 1 epoch")
    if len(loader) == 0:
        items = getattr(loader, "dataset", None)
        count = f"the {len(items)} training items" if isinstance(items, Sized) else "there are training items"
        raise LearnerError(
            "data.bs", f"not one full batch: the batch size is {loader.batch_size}, more than {count}; lower it"
        )
    if loader.batch_size < size:
        raise LearnerError("data.bs", f"{loader.batch_size} pictures a batch cannot be shared by {size} workers")


def _callbacks(learner: Learner, request: Fit) -> list[Callback]:
    learner.recorder = Recorder(learner.add_time)
    fns = as_callback_fns(learner.callback_fns)  # users may have added to the lists
    if request.is_search:
        own = [callback for callback in as_callbacks(learner.callbacks) if callback.in_lr_find]
        made = [made_callback(make, learner) for make in fns if _makes_for_search(make)]
        return [*own, learner.recorder, *made, *request.callbacks]
    writes_table = learner.world.is_main and not learner.silent
    shown: list[Callback] = [NotebookProgress() if in_notebook() else ProgressCallback()] if writes_table else []
    made = [made_callback(make, learner) for make in fns]
    own = [*learner.metric_callbacks, *as_callbacks(learner.callbacks)]
    return [*own, learner.recorder, *made, *request.callbacks, *shown]


def _makes_for_search(make: Callable[[Learner], Callback]) -> bool:
    """Of a class, or a partial of one, it can be told without making it."""
    inner = make.func if isinstance(make, partial) else make
    return bool(getattr(inner, "in_lr_find", False))
