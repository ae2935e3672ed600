"""A learner's state as a Snapshot, and back."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from learnfleet.trainer.callback import Events
from learnfleet.trainer.checkpoint import Snapshot, load, named_tensors, to_cpu
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.export import SPEC_FILE, read_export
from learnfleet.trainer.manifest import MODEL_FILE
from learnfleet.trainer.rank_state import restore_rank_tensors
from learnfleet.trainer.staging import Named, Staging
from learnfleet.trainer.tensor_names import compare, list_names, shapes_of

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Circumstances:
    """What must be the same for a resumed run to repeat the bits of one never interrupted."""

    world_size: int
    threads: int
    device_type: str
    torch_version: str

    @classmethod
    def of(cls, learner: Learner) -> Circumstances:
        return cls(learner.world.size, torch.get_num_threads(), learner.device.type, str(torch.__version__))


def take_snapshot(
    learner: Learner,
    extra: dict[str, Any] | None = None,
    events: Events | None = None,
    *,
    in_fit: bool = True,
    with_opt: bool = True,
    rank_tensors: Named | None = None,
    staging: Staging | None = None,
) -> Snapshot:
    """Copy everything to the CPU. `extra` joins the JSON part.

    Args:
        events: with the callbacks whose state is taken, too.
        staging: whose memory is used; the snapshot is good until its next use. None: new memory.
        in_fit: their fit goes on; otherwise their tensors, which are of a fit, are left out.
        rank_tensors: what `gather_rank_tensors` gave.
    """
    copy = staging.copy if staging else lambda _, tensors: to_cpu(tensors)
    optimizer = learner.opt if with_opt else None
    callbacks = events.names() if events else {}
    state = {**describe(learner), "callbacks": {name: item.state_dict() for name, item in callbacks.items()}}
    tensors = {**(_callback_tensors(events) if events and in_fit else {}), **(rank_tensors or {})}
    state.update(extra or {})
    return Snapshot(
        copy("model", named_tensors(learner.model)),
        copy("optimizer", optimizer.tensors()) if optimizer else None,
        state,
        copy("callbacks", tensors),
        state["global_step"],
        state["lifetime_epoch"],
    )


def _callback_tensors(events: Events) -> Named:
    return {f"{name}/{key}": value for name, item in events.names().items() for key, value in item.tensors().items()}


def prepare_staging(learner: Learner, staging: Staging, events: Events) -> None:
    """Make memory for the snapshots of a learner that has taken its first step, in the background."""
    staging.prepare("model", named_tensors(learner.model))
    staging.prepare("optimizer", learner.require_optimizer().tensors())
    staging.prepare("callbacks", _callback_tensors(events))


def describe(learner: Learner) -> dict[str, Any]:
    """The JSON part of a learner's state."""
    here = Circumstances.of(learner)
    return {
        "global_step": learner.global_step,
        "lifetime_epoch": learner.lifetime_epoch,
        "frozen_to": learner.frozen_to,
        "frozen": [name for name, parameter in learner.model.named_parameters() if not parameter.requires_grad],
        "seed": learner.seed,
        "opt_func": learner.opt_func.name,
        "optimizer": learner.opt.hyper_parameters() if learner.opt else None,
        "classes": list(learner.data.classes),
        "eval_transform": learner.eval_transform_json(),
        "world_size": here.world_size,
        "threads": here.threads,
        "device_type": here.device_type,
        "torch_version": here.torch_version,
    }


def restore_model(learner: Learner, tensors: dict[str, Tensor], *, strict: bool = True) -> None:
    """Load weights and buffers. Without `strict` names may be missing or unknown, which is logged.

    Raises LearnerError telling the names that do not fit; a shape must always fit.
    """
    differing = compare(shapes_of(named_tensors(learner.model)), shapes_of(tensors))
    if differing.misshapen:
        more = "" if strict else " strict=False leaves out names, never shapes."
        raise LearnerError(
            "weights",
            f"they are of another model. {differing.describe()}{more} Make the learner with the number of classes and"
            " the arguments that the weights were saved with.",
        )
    if strict and (differing.missing or differing.unknown):
        raise LearnerError(
            "weights", f"they are of another model. {differing.describe()} strict=False takes the names that fit."
        )
    if differing.missing or differing.unknown:
        _log.warning("not all weights were loaded (strict=False). %s", differing.describe())
    learner.model.load_state_dict(tensors, strict=False)


def restore_learner(learner: Learner, snapshot: Snapshot) -> None:
    """Weights, frozen depth, counters and optimiser: all but where a fit stands. Raises LearnerError."""
    saved_classes = snapshot.state["classes"]
    if list(learner.data.classes) != saved_classes:
        raise LearnerError("checkpoint", f"it is of the classes {saved_classes}, the data has {learner.data.classes}")
    restore_model(learner, snapshot.model)
    learner.global_step, learner.lifetime_epoch = snapshot.state["global_step"], snapshot.state["lifetime_epoch"]
    _restore_frozen(learner, snapshot.state)
    if snapshot.optimizer is not None and snapshot.state.get("optimizer") is not None:
        restore_optimizer(learner, snapshot)


def _restore_frozen(learner: Learner, state: dict[str, Any]) -> None:
    """The frozen depth, and each parameter as it was: some may have been frozen by hand."""
    learner.freeze_to(state["frozen_to"])
    frozen = set(state["frozen"])
    for name, parameter in learner.model.named_parameters():
        parameter.requires_grad_(name not in frozen)


def restore_optimizer(learner: Learner, snapshot: Snapshot, *, partly: bool = False) -> None:
    """A new optimiser with the moments and hyper-parameters that were saved.

    Args:
        partly: leave out what was saved of parameters that are frozen now, and log it.

    Raises LearnerError saying why it cannot be; the learner is then without an optimiser.
    """
    learner.opt = None
    saved, hyper_parameters = snapshot.optimizer, snapshot.state.get("optimizer")
    if saved is None or hyper_parameters is None:
        raise LearnerError("with_opt", "nothing of the optimiser was saved")
    _check_kind(learner, snapshot.state, hyper_parameters)
    optimizer = learner.create_opt()
    try:
        optimizer.load_tensors(_of_trainable(learner, saved, snapshot.state) if partly else saved)
        optimizer.load_hyper_parameters(hyper_parameters)
    except (ValueError, RuntimeError) as error:
        learner.opt = None
        raise LearnerError("with_opt", str(error)) from error


def _check_kind(learner: Learner, state: dict[str, Any], hyper_parameters: dict[str, list[float]]) -> None:
    kind, groups, here = state.get("opt_func"), len(hyper_parameters["lr"]), len(learner.layer_groups)
    if kind is not None and kind != learner.opt_func.name:
        raise LearnerError("with_opt", f"the optimiser saved is {kind}, the learner's is {learner.opt_func.name}")
    if groups != here:
        raise LearnerError(
            "with_opt", f"it was saved with {groups} layer groups, the learner has {here}: `split` it as it was"
        )


def _of_trainable(learner: Learner, saved: dict[str, Tensor], state: dict[str, Any]) -> dict[str, Tensor]:
    """What was saved of the parameters that are trained now. The log tells of both sides' others."""
    parameters = [item for group in learner.layer_groups for item in group.parameters()]
    trained = {item.name for item in parameters if item.parameter.requires_grad}
    names = dict.fromkeys(key.partition("/")[2] for key in saved)
    frozen, new = [name for name in names if name not in trained], sorted(trained - set(names))
    if frozen or (new and names):
        parts = [list_names("frozen now", frozen)] * bool(frozen) + [list_names("start anew", new)] * bool(new)
        _log.warning(
            "the optimiser was restored for %d of the %d parameters that were saved under freeze_to(%s) (now %d): %s",
            len(names) - len(frozen),
            len(names),
            state.get("frozen_to"),
            learner.frozen_to,
            "; ".join(parts),
        )
    return {key: value for key, value in saved.items() if key.partition("/")[2] in trained}


def between_fits(learner: Learner) -> Events:
    """The callbacks that live for many fits."""
    return Events([*learner.metric_callbacks, *learner.callbacks])


def restore_between_fits(learner: Learner, snapshot: Snapshot) -> None:
    """What the learner's own callbacks have kept of earlier fits."""
    saved, events = snapshot.state["callbacks"], between_fits(learner)
    for name, callback in events.names().items():
        if name in saved:
            callback.load_state_dict(saved[name])
    if snapshot.state["world_size"] == learner.world.size:
        restore_rank_tensors(events, snapshot.callbacks, learner.world.rank)


def restore_callbacks(learner: Learner, events: Events, snapshot: Snapshot) -> None:
    """Give each callback of the fit the state it had, by name. Those not saved then keep what they have.

    What each rank had for itself is left where there are now more or fewer of them.
    """
    for name, callback in events.names().items():
        if name in snapshot.state["callbacks"]:
            callback.load_state_dict(snapshot.state["callbacks"][name])
        prefix = f"{name}/"
        tensors = {key.removeprefix(prefix): t for key, t in snapshot.callbacks.items() if key.startswith(prefix)}
        if tensors:
            callback.load_tensors(tensors)
    if snapshot.state["world_size"] == learner.world.size:
        restore_rank_tensors(events, snapshot.callbacks, learner.world.rank)


def is_exact(learner: Learner, snapshot: Snapshot) -> bool:
    """Whether a run resumed here from this snapshot repeats the bits of one never interrupted."""
    here, state = Circumstances.of(learner), snapshot.state
    return all(state[name] == value for name, value in vars(here).items()) and state["seed"] == learner.seed


def load_state(learner: Learner, checkpoint: Path) -> None:
    """Put the learner at a checkpoint, ready for a new job. Raises CorruptCheckpoint or LearnerError.

    Of an export the learner gets the weights, which are all it has.
    """
    if (checkpoint / SPEC_FILE).is_file():
        _load_export(learner, checkpoint)
    else:
        restore_learner(learner, load(checkpoint))


def _load_export(learner: Learner, folder: Path) -> None:
    classes = list(read_export(folder).classes)
    if list(learner.data.classes) != classes:
        raise LearnerError("model", f"it is of the classes {classes}, the data has {learner.data.classes}")
    restore_model(learner, load_file(folder / MODEL_FILE, str(learner.device)))


def last_metrics(learner: Learner) -> dict[str, float]:
    """train_loss, valid_loss and the metrics of the last epoch, or nothing before the first."""
    if not learner.recorder.rows:
        return {}
    row = learner.recorder.rows[-1]
    validation = {} if row.valid_loss is None else {"valid_loss": row.valid_loss}
    return {"train_loss": row.train_loss, **validation, **row.metrics}
