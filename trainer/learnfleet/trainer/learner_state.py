"""A learner's state as a Snapshot, and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from learnfleet.trainer.callback import Events
from learnfleet.trainer.checkpoint import Snapshot, load, model_tensors, to_cpu
from learnfleet.trainer.errors import LearnerError

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


@dataclass(frozen=True)
class Circumstances:
    """What must be the same for a resumed run to repeat the bits of one never interrupted."""

    world_size: int
    threads: int
    device_type: str
    torch_version: str

    @classmethod
    def of(cls, learner: Learner) -> Circumstances:
        return cls(learner.world.size, torch.get_num_threads(), learner.device.type, torch.__version__)


def take_snapshot(
    learner: Learner, extra: dict[str, Any] | None = None, events: Events | None = None, *, with_opt: bool = True
) -> Snapshot:
    """Copy everything to the CPU. `extra` joins the JSON part; `events` brings the state of its callbacks."""
    optimizer = learner.opt if with_opt else None
    callbacks = events.names() if events else {}
    state = {**describe(learner), "callbacks": {name: item.state_dict() for name, item in callbacks.items()}}
    tensors = {f"{name}/{key}": value for name, item in callbacks.items() for key, value in item.tensors().items()}
    state.update(extra or {})
    return Snapshot(
        model_tensors(learner.model),
        to_cpu(optimizer.tensors()) if optimizer else None,
        state,
        to_cpu(tensors),
        state["global_step"],
        state["lifetime_epoch"],
    )


def describe(learner: Learner) -> dict[str, Any]:
    """The JSON part of a learner's state."""
    here = Circumstances.of(learner)
    return {
        "global_step": learner.global_step,
        "lifetime_epoch": learner.lifetime_epoch,
        "frozen_to": learner.frozen_to,
        "seed": learner.seed,
        "optimizer": learner.opt.hyper_parameters() if learner.opt else None,
        "classes": list(learner.data.classes),
        "eval_transform": learner.eval_transform_json(),
        "world_size": here.world_size,
        "threads": here.threads,
        "device_type": here.device_type,
        "torch_version": here.torch_version,
    }


def restore_model(learner: Learner, snapshot: Snapshot, *, strict: bool = True) -> None:
    """Load the weights. Raises LearnerError naming the keys that do not fit."""
    try:
        learner.model.load_state_dict(snapshot.model, strict=strict)
    except RuntimeError as error:
        raise LearnerError("checkpoint", f"its weights are of another model: {error}") from error


def restore_learner(learner: Learner, snapshot: Snapshot) -> None:
    """Weights, frozen depth, counters and optimiser: all but where a fit stands. Raises LearnerError."""
    saved_classes = snapshot.state["classes"]
    if list(learner.data.classes) != saved_classes:
        raise LearnerError("checkpoint", f"it is of the classes {saved_classes}, the data has {learner.data.classes}")
    restore_model(learner, snapshot)
    learner.global_step, learner.lifetime_epoch = snapshot.state["global_step"], snapshot.state["lifetime_epoch"]
    learner.freeze_to(snapshot.state["frozen_to"])
    restore_optimizer(learner, snapshot)


def restore_optimizer(learner: Learner, snapshot: Snapshot) -> None:
    """The optimiser's moments and hyper-parameters, where they were saved. Raises LearnerError."""
    hyper_parameters = snapshot.state.get("optimizer")
    if snapshot.optimizer is None or hyper_parameters is None:
        return
    optimizer = learner.create_opt()
    try:
        optimizer.load_tensors(snapshot.optimizer)
        optimizer.load_hyper_parameters(hyper_parameters)
    except (ValueError, RuntimeError) as error:
        raise LearnerError("checkpoint", str(error)) from error


def restore_callbacks(events: Events, snapshot: Snapshot) -> None:
    """Give each callback of the fit the state it had, by name. Those not saved then keep what they have."""
    for name, callback in events.names().items():
        if name in snapshot.state["callbacks"]:
            callback.load_state_dict(snapshot.state["callbacks"][name])
        prefix = f"{name}/"
        tensors = {key.removeprefix(prefix): t for key, t in snapshot.callbacks.items() if key.startswith(prefix)}
        if tensors:
            callback.load_tensors(tensors)


def is_exact(learner: Learner, snapshot: Snapshot) -> bool:
    """Whether a run resumed here from this snapshot repeats the bits of one never interrupted."""
    here, state = Circumstances.of(learner), snapshot.state
    return all(state[name] == value for name, value in vars(here).items()) and state["seed"] == learner.seed


def load_state(learner: Learner, checkpoint: Path) -> None:
    """Put the learner at a checkpoint, ready for a new job. Raises CorruptCheckpoint or LearnerError."""
    restore_learner(learner, load(checkpoint))
