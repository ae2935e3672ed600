"""One fit from its arguments to its end: optimiser, callbacks, wrapping, the loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from learnfleet.trainer import loop
from learnfleet.trainer.batch import Shard
from learnfleet.trainer.callback import Callback, Events
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.optimizer import DEFAULT_LR, Lr, lr_range
from learnfleet.trainer.progress import NotebookProgress, ProgressCallback, in_notebook
from learnfleet.trainer.recorder import Recorder
from learnfleet.trainer.schedules import OneCycle, OneCycleScheduler
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

Begun = Callable[[TrainState, Events], None]


@dataclass(frozen=True)
class Fit:
    """What a fit is asked to do.

    Args:
        lr: constant learning rates, or the peaks under `one_cycle`.
        wd: None: the learner's.
        callbacks: for this fit only, after the learner's own.
        begun: called when all callbacks have begun, to put a resumed fit where it stood.
        stop_requested: polled at every batch end on every rank.
    """

    epochs: int
    lr: Lr = field(default_factory=lambda: DEFAULT_LR)
    wd: float | Sequence[float] | None = None
    one_cycle: OneCycle | None = None
    tot_epochs: int | None = None
    start_epoch: int = 0
    callbacks: Sequence[Callback] = field(default=())
    begun: Begun | None = None
    stop_requested: Callable[[], bool] | None = None


def run_fit(learner: Learner, request: Fit) -> TrainState:
    """Train. Every rank must call. Returns the state it ended in (`interrupted` when it was left early)."""
    learner.data.shard(Shard(learner.world.rank, learner.world.size))
    _check(learner, request)
    lrs = lr_range(request.lr, len(learner.layer_groups))
    optimizer = learner.opt or learner.create_opt()
    optimizer.set_lr(lrs)
    optimizer.set_wd(learner.wd if request.wd is None else request.wd)
    optimizer.zero_grad()  # what `Learner.backward` has left
    events = Events(_callbacks(learner, request, lrs))
    state = TrainState(learner, learner.model, request.epochs, len(learner.data.train_dl), learner.metrics)
    if request.stop_requested is not None:
        state.stop_requested = request.stop_requested
    try:
        state.model = learner.world.wrap(learner.model)
        events("on_train_begin", state)
        if request.begun is not None:
            request.begun(state, events)
        loop.fit(state, events)
    except BaseException as error:
        state.exception = error
        raise
    finally:
        events("on_train_end", state)
        optimizer.zero_grad()
        state.model = learner.model  # the wrapper goes, with its gradient buckets
    return state


def _check(learner: Learner, request: Fit) -> None:
    loader, size = learner.data.train_dl, learner.world.size
    if request.epochs < 1:
        raise LearnerError("epochs", f"{request.epochs} is not possible: train for at least 1 epoch")
    if len(loader) == 0:
        raise LearnerError(
            "data.bs", f"not one full batch: the batch size is {loader.batch_size}, more than there are training items"
        )
    if loader.batch_size < size:
        raise LearnerError("data.bs", f"{loader.batch_size} pictures a batch cannot be shared by {size} workers")


def _callbacks(learner: Learner, request: Fit, lrs: list[float]) -> list[Callback]:
    writes_table = learner.world.is_main and not learner.silent
    learner.recorder = Recorder(learner.add_time)
    shown: list[Callback] = [NotebookProgress() if in_notebook() else ProgressCallback()] if writes_table else []
    made = [make(learner) for make in learner.callback_fns]
    schedule = [_schedule(request, lrs)] if request.one_cycle else []
    return [*learner.callbacks, learner.recorder, *made, *request.callbacks, *schedule, *shown]


def _schedule(request: Fit, lrs: list[float]) -> OneCycleScheduler:
    shape = request.one_cycle
    assert shape is not None
    return OneCycleScheduler(
        lrs, shape.moms, shape.div_factor, shape.pct_start, shape.final_div, request.tot_epochs, request.start_epoch
    )
