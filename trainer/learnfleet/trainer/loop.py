"""The training loop. Everything else hangs on its events:

on_train_begin
  on_epoch_begin
    on_batch_begin  forward  on_loss_begin  loss  on_backward_begin  backward  on_backward_end
    step  on_step_end  zero_grad  on_batch_end
    validation: on_batch_begin  forward  on_loss_begin  loss  on_batch_end
  on_epoch_end
on_train_end (always)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from learnfleet.trainer.batch import Batch, Loader, as_arguments
from learnfleet.trainer.callback import Events
from learnfleet.trainer.counter import epoch_seed, step_seed
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.metrics import Metric, results
from learnfleet.trainer.state import CancelEpoch, CancelStep, CancelTraining, TrainState


def fit(state: TrainState, events: Events) -> None:
    """Run the epochs that are left. `on_train_begin` has been sent; `on_train_end` is the caller's."""
    try:
        # An epoch that a resumed fit is in the middle of goes to its end, as it would have.
        while state.epoch < state.n_epochs and not state.interrupted and (state.batch or not state.stop_training):
            train_epoch(state, events)
    except CancelTraining:
        state.stop_training = True


def train_epoch(state: TrainState, events: Events) -> None:
    """The rest of one epoch: its training batches, validation, its end. An interrupted one keeps its position."""
    state.model.train()
    state.learner.hold_frozen_statistics()
    if state.batch == 0:
        state.stop_epoch = False
        seed_epoch(state, 0)
        events("on_epoch_begin", state)
    try:
        if not state.stop_epoch:
            train_batches(state, events)
    except CancelEpoch:
        state.stop_epoch = True
    if state.interrupted:
        return
    state.stop_epoch = False
    seed_epoch(state, 1)
    state.last_metrics = [*validate_epoch(state, events)] or [None]
    if state.interrupted:
        return
    events("on_epoch_end", state)
    state.epoch, state.batch = state.epoch + 1, 0
    state.learner.lifetime_epoch += 1


def train_batches(state: TrainState, events: Events) -> None:
    """Train on the batches of this epoch that are left."""
    with batches_of(state.learner.data.train_dl, state.lifetime_epoch, state.batch) as batches:
        for batch in batches:
            train_batch(state, events, batch)
            if state.stop_epoch or state.interrupted:
                return


def train_batch(state: TrainState, events: Events, batch: Batch) -> None:
    """One training step. Every random choice in it is a function of (seed, step, rank): there is no RNG to save."""
    learner = state.learner
    seed_generators(step_seed(learner.seed, learner.global_step, learner.world.rank), learner.device)
    state.take(batch, train=True)
    try:
        events("on_batch_begin", state)
        if state.accumulating:
            with learner.world.without_exchange(state.model):
                compute_gradients(state, events)
        else:
            compute_gradients(state, events)
            finish_gradients(state)
        update(state, events)
    except CancelStep:
        learner.require_optimizer().zero_grad()
    agree(state, state.measured_loss, batch.n)
    events("on_batch_end", state)
    state.batch += 1
    learner.global_step += 1


def compute_gradients(state: TrainState, events: Events) -> None:
    """Forward, loss, backward."""
    learner = state.learner
    state.last_output = learner.precision.run(state.model, state.last_input)
    events("on_loss_begin", state)
    state.measured_loss = state.loss = loss_of(state)
    events("on_backward_begin", state)
    if not state.skip_bwd:
        backward(state)


def loss_of(state: TrainState) -> Tensor:
    """The loss of the present batch: one number. Raises LearnerError for more."""
    learner = state.learner
    with learner.precision.autocast_loss():
        loss = learner.loss_func(state.last_output, *as_arguments(state.last_target))
    if loss.numel() != 1:
        raise LearnerError("loss_func", f"it gives {list(loss.shape)} numbers a batch, not one: use reduction='mean'")
    return loss


def update(state: TrainState, events: Events) -> None:
    """What is done with the gradients."""
    optimizer = state.learner.require_optimizer()
    events("on_backward_end", state)
    if not (state.skip_step or state.accumulating or state.overflow):
        optimizer.step()
    events("on_step_end", state)
    if not (state.skip_zero or state.accumulating):
        optimizer.zero_grad()


def seed_epoch(state: TrainState, phase: int) -> None:
    """So that what callbacks and models draw outside of training steps is a function of (seed, epoch, rank), too."""
    learner = state.learner
    seed_generators(epoch_seed(learner.seed, learner.lifetime_epoch, learner.world.rank, phase), learner.device)


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed what draws random numbers in a step: the CPU's generator and the device's.

    Not torch.manual_seed: where CUDA is not initialised it records a stack trace each time, 120 us a step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def backward(state: TrainState) -> None:
    """Gradients of the mean loss over the global batch, however unevenly the ranks share it."""
    assert state.loss is not None
    assert state.last_batch is not None
    size, weight = state.learner.world.size, 1.0
    if size > 1 or state.weighs_items:  # DDP averages over ranks, each counts by its share
        weight = state.last_batch.n * size / state.learner.data.train_dl.batch_size
    if state.scaler is not None:
        weight *= state.scaler.scale
    torch.autograd.backward(state.loss if weight == 1 else state.loss * weight)


def finish_gradients(state: TrainState) -> None:
    """Make what has been added up that of the mean loss over its items, unscaled."""
    if state.scaler is None and state.window == 1:
        return
    parameters = state.learner.require_optimizer().parameters()
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return
    if state.scaler is not None:
        state.overflow = state.scaler.unscale(gradients, state.window, state.learner.world)
    else:
        torch._foreach_mul_(gradients, 1 / state.window)


def agree(state: TrainState, loss: Tensor | None, n_local: int) -> None:
    """Make the loss that of the global batch, and a rank's wish to stop or save that of all: one small all-reduce."""
    local = loss.item() if loss is not None else float("nan")
    # Gradients that are still being added up are in no checkpoint, so stopping and saving wait for their step.
    stop = (state.stop_request or state.stop_requested()) and not state.accumulating
    save = state.save_requested() and not state.accumulating
    if state.learner.world.size > 1:
        sums = torch.tensor([local * n_local, n_local, float(stop), float(save)], dtype=torch.float64)
        total, count, stops, saves = state.learner.world.sum(sums).tolist()
        local, stop, save = total / count, stops > 0, saves > 0
    state.last_loss = local
    if loss is not None:
        state.smoothed.add(local)
    state.interrupted, state.save_due = stop, save


def validate_epoch(state: TrainState, events: Events) -> list[float]:
    """Validation loss and metrics of this epoch, or nothing where there is nothing to validate."""
    loader = state.learner.data.valid_dl
    if state.skip_validate or loader is None or len(loader) == 0:
        return []
    return validate(state, events, loader, state.metrics)


def validate(state: TrainState, events: Events, loader: Loader, metrics: Sequence[Metric]) -> list[float]:
    """Mean loss and metrics over a loader, equal on all ranks.

    Ranks may hold different numbers of batches, so nothing is exchanged until the end, and then only sums. A rank that
    is asked to stop leaves its batches; when one has done so, all are `interrupted` and the values mean nothing.
    """
    learner = state.learner
    learner.world.share_buffers(learner.model)
    learner.model.eval()
    for metric in metrics:
        metric.reset()
    loss_sum, count, stop = torch.zeros((), dtype=torch.float64), 0, False
    with torch.no_grad(), batches_of(loader, 0, 0) as batches:
        for batch in batches:
            loss_sum += validate_batch(state, events, batch, metrics) * batch.n
            count += batch.n
            stop = state.stop_requested()
            if state.stop_epoch or stop:
                break
    sums = torch.tensor([float(loss_sum), count, float(stop)], dtype=torch.float64)
    (total,), values = results(metrics, [sums], learner.world)
    state.interrupted = bool(total[2])
    return [float(total[0] / total[1]), *values] if total[1] else []


def validate_batch(state: TrainState, events: Events, batch: Batch, metrics: Sequence[Metric]) -> float:
    """Mean loss of one batch; the metrics take note of it."""
    state.take(batch, train=False)
    events("on_batch_begin", state)
    learner = state.learner
    state.last_output = learner.precision.run(learner.model, state.last_input)
    events("on_loss_begin", state)
    state.loss = loss_of(state)
    for metric in metrics:
        metric.update(state.last_output, state.last_target)
    events("on_batch_end", state)
    return float(state.loss.item())


@contextmanager
def batches_of(loader: Loader, epoch: int, start_batch: int) -> Iterator[Iterator[Batch]]:
    """A loader's batches, given back as soon as they are not wanted: its threads must not outlive the loop."""
    batches = loader.epoch(epoch, start_batch)
    try:
        yield batches
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()
