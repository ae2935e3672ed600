"""One attempt at a job of `resume_lab`, on one rank."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from support.memory_data import MemoryData, a_learner, tiny_model
from support.pictures import a_data_folder
from support.ranks import join
from support.resume_lab import JOB, Scenario, kill_now

from learnfleet.trainer import manifest, tensor_file
from learnfleet.trainer.callback import EVENTS, Callback, Changes
from learnfleet.trainer.callback_registry import build_callback
from learnfleet.trainer.checkpoint import CheckpointWriter, Snapshot
from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.language_model import language_model_learner
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.losses import build_loss
from learnfleet.trainer.manifest import newest_valid
from learnfleet.trainer.opt_funcs import as_opt_func
from learnfleet.trainer.run import RunContext, run_train
from learnfleet.trainer.stage_spec import stage_from_json
from learnfleet.trainer.state import TrainState
from learnfleet.trainer.text import LanguageModelData
from learnfleet.trainer.transforms import get_transforms

Kill = tuple[str, int, int]


class KillAt(Callback):
    """Ends this process at an event of this step or the first after it; "validation" is any of a validation batch."""

    order = 950  # right after the checkpoint was handed to its writer
    in_lr_find = True

    def __init__(self, place: str, step: int, folder: Path, number: int) -> None:
        self._place, self._step, self._folder, self._number = place, step, folder, number

    def at(self, event: str, state: TrainState) -> None:
        of_a_batch = event not in ("on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end")
        place = "validation" if of_a_batch and not state.train else event
        if place == self._place and state.global_step >= self._step:
            kill_now(self._folder, self._number)


class OrderNotes(Callback):
    """Writes down which items this rank trains on, step by step."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def on_batch_begin(self, state: TrainState) -> None:
        if state.train and state.last_batch is not None:
            self._file.write(json.dumps([str(state.global_step), state.last_batch.indices.tolist()]) + "\n")
            self._file.flush()


def _forward(event: str) -> Any:
    def handler(self: KillAt, state: TrainState) -> None:
        self.at(event, state)

    return handler


for _event in EVENTS:
    setattr(KillAt, _event, _forward(_event))


def attempt(folder: Path, number: int, rank: int, scenario: Scenario, kill: Kill | None) -> None:
    """Run the job from its newest checkpoint, to its end or to the kill."""
    join(rank, scenario.world_of(number), folder / f"rendezvous{number}")
    place, when = (kill[0], kill[1]) if kill and kill[2] == rank else ("", -1)
    learner = learner_of(scenario, folder)
    if place not in ("", "stop", "write"):
        learner.callbacks.append(KillAt(place, when, folder, number))
    if scenario.notes_order:
        learner.callbacks.append(OrderNotes(folder / f"order{number}-{rank}.jsonl"))
    if scenario.waits:
        _wait_for_every_checkpoint()
    if place == "write":
        _die_while_writing(when, folder, number)
    journal = (folder / f"events{rank}.jsonl").open("a")

    def emit(event_id: str, kind: str, data: dict[str, Any]) -> None:
        journal.write(json.dumps([event_id, kind, data]) + "\n")
        journal.flush()

    root = folder / "checkpoints"
    context = RunContext(
        JOB,
        number,
        emit,
        lambda: place == "stop" and learner.global_step >= when,
        root,
        checkpoint_every_s=None,
        checkpoint_every_steps=scenario.every_steps,
        keep_last=1000,
    )
    newest = newest_valid(root, JOB) if rank == 0 else None
    resume_from = learner.world.broadcast_json(str(newest.path) if newest else None)
    stages = [stage_from_json(stage) for stage in scenario.stages]
    outcome = run_train(learner, stages, context, Path(resume_from) if resume_from else None)
    if outcome.stopped:
        return
    result = {
        "model": outcome.checkpoint.model_sha256,
        "optimizer": outcome.checkpoint.optimizer_sha256,
        "metrics": outcome.metrics,
        "exact": outcome.exact,
    }
    (folder / f"result{rank}.json").write_text(json.dumps(result))


def _wait_for_every_checkpoint() -> None:
    inner = CheckpointWriter.submit

    def submit(self: CheckpointWriter, snapshot: Snapshot) -> None:
        inner(self, snapshot)
        self.wait()

    CheckpointWriter.submit = submit


def _die_while_writing(when: int, folder: Path, number: int) -> None:
    """Let the process die in the `when`-th durable write of a checkpoint, when half of the file is there."""
    count = 0

    def dying(inner: Callable[[Path, Any], None]) -> Callable[[Path, Any], None]:
        def write(path: Path, content: Any) -> None:
            nonlocal count
            count += 1
            inner(path, content)
            if count == when:
                os.truncate(path, path.stat().st_size // 2)
                kill_now(folder, number)

        return write

    manifest.write_synced, tensor_file.write = dying(manifest.write_synced), dying(tensor_file.write)


class Forgetful(Callback):
    """Makes the loss depend on how many batches this process has seen: it cannot be resumed."""

    def __init__(self) -> None:
        self._seen = 0

    def on_backward_begin(self, state: TrainState) -> None:
        self._seen += 1
        assert state.loss is not None
        state.loss = state.loss * self._seen


class BestSoFar(Callback):
    """A metric that is a callback, with states of both kinds: the least loss of any validation batch that this rank has
    had in the learner's life, added over the ranks, and how many epochs there were, which all of them count.
    """

    def __init__(self) -> None:
        self._best, self._epochs = torch.tensor(1e6), 0

    def on_batch_end(self, state: TrainState) -> None:
        assert state.loss is not None
        self._best = torch.minimum(self._best, torch.as_tensor(state.loss).detach().cpu())

    def on_epoch_end(self, state: TrainState) -> Changes:
        self._epochs += 1
        return {"last_metrics": [*state.last_metrics, state.learner.world.sum(self._best).item() + self._epochs]}

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self._epochs}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        self._epochs = values["epochs"]

    def rank_tensors(self) -> dict[str, torch.Tensor]:
        return {"best": self._best}

    def load_rank_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        self._best = tensors["best"]


def _callback(name: str, arguments: dict[str, Any], learner: Learner) -> Callback:
    return Forgetful() if name == "forgetful" else build_callback(name, arguments, learner)


def learner_of(scenario: Scenario, folder: Path) -> Learner:
    """The learner as it is before the job, alike in every attempt."""
    learner = _text_learner(scenario, folder) if scenario.data == "text" else _picture_learner(scenario, folder)
    learner.callbacks.extend(_callback(name, arguments, learner) for name, arguments in scenario.callbacks)
    return learner


def _text_learner(scenario: Scenario, folder: Path) -> Learner:
    data = LanguageModelData.from_text("the cat sat on the mat and the dog sat on it\n" * 20, 0.2, 4, 5, min_freq=1)
    options = dict(scenario.learner)
    opt_func = options.pop("opt_func", "adam")
    learner = language_model_learner(data, 8, 12, 2, metrics="accuracy", path=folder, silent=True, **options)
    learner.opt_func = as_opt_func(opt_func)
    learner.split(lambda model: [model.layers[1]])
    return learner


def _picture_learner(scenario: Scenario, folder: Path) -> Learner:
    options = dict(scenario.learner)
    if "loss" in options:
        options["loss_func"] = build_loss(options.pop("loss"))
    precision, channels_last = options.pop("precision", "fp32"), options.pop("channels_last", False)
    is_compiled = options.pop("compiled", False)
    metrics = [BestSoFar() if name == "best" else name for name in options.pop("metrics", ["accuracy"])]
    model = tiny_model(dropout=0.0, bn=False) if options.pop("plain", False) else tiny_model()
    learner = a_learner(_data(scenario, folder), model, metrics=metrics, path=folder, **options)
    if precision == "bf16":
        learner.to_bf16()
    if channels_last:
        learner.to_channels_last()
    learner.to_compiled(is_compiled)
    return learner


def pictures(folder: Path) -> Path:
    """Pictures of three classes, made once."""
    root = folder / "pictures"
    return root if root.exists() else a_data_folder(root, 8, 4, ("ant", "bee", "wasp"))


def _data(scenario: Scenario, folder: Path) -> Any:
    if scenario.data == "memory":
        return MemoryData(path=folder)
    data = ImageDataBunch.from_folder(pictures(folder.parent), ds_tfms=get_transforms(), size=12, bs=7, seed=3)
    return data.normalize(((0.5,) * 3, (0.2,) * 3))


torch.set_num_threads(1)
