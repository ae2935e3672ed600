"""Naming a learner's state and going back to one: links to files, no worker needed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import Checkpoint
from learnfleet.server.errors import FailedPrecondition
from learnfleet.server.failpoints import fp
from learnfleet.server.store.base import Store
from learnfleet.trainer import manifest

_LOCK = "save.lock"  # in the learner's folder
_NAMED = "named"  # beneath the learner's checkpoints, where no job prunes
_DIGITS = 20  # of a digest in a name


def save_checkpoint(
    config: Config, store: Store, learner_id: str, checkpoint_id: str, *, with_opt: bool = True
) -> Checkpoint:
    """Give the learner's present state, or all of it but the optimiser's, a name.

    Raises FailedPrecondition if there is none, if it is damaged, or if it has that name and would lose its optimiser.
    """
    learner = store.get_learner(learner_id)
    name = f"learners/{learner_id}"
    if learner.checkpoint_id is None:
        raise FailedPrecondition(name, f"{name} has not been trained yet, so there is nothing to save; train it first")
    present = store.get_checkpoint(learner_id, learner.checkpoint_id)
    if not with_opt and present.optimizer_sha256 and present.id == checkpoint_id:
        told = f"is what {name} is at, which would lose its optimiser; save it under another name"
        raise FailedPrecondition(names.checkpoint_name(learner_id, checkpoint_id), f"{checkpoint_id} {told}")
    return _saved(config, store, present, checkpoint_id, with_opt=with_opt)


def weights_of(config: Config, store: Store, checkpoint: Checkpoint) -> Checkpoint:
    """The same state without its optimiser, as a checkpoint of its own that is named after what it holds.

    Raises FailedPrecondition if it is damaged.
    """
    if not checkpoint.optimizer_sha256:
        return checkpoint
    state = (Path(checkpoint.path) / manifest.STATE_FILE).read_bytes()
    digest = hashlib.sha256(checkpoint.model_sha256.encode() + state).hexdigest()[:_DIGITS]
    return _saved(config, store, checkpoint, f"weights-{digest}", with_opt=False)


def _saved(config: Config, store: Store, present: Checkpoint, checkpoint_id: str, *, with_opt: bool) -> Checkpoint:
    target = config.checkpoint_root(present.learner_id) / _NAMED / checkpoint_id
    with _one_save_at_a_time(config.learner_dir(present.learner_id)):
        info = _copy(present, target, with_opt=with_opt)
    saved = Checkpoint(
        present.learner_id,
        checkpoint_id,
        str(target),
        info.step,
        info.epoch,
        info.model_sha256,
        info.optimizer_sha256,
        info.size_bytes,
        datetime.now(UTC),
    )
    store.put_checkpoint(saved)
    return saved


@contextlib.contextmanager
def _one_save_at_a_time(folder: Path) -> Iterator[None]:
    """On all servers: a caller that repeats itself may have two under one name on their way."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed
        yield


def _copy(present: Checkpoint, target: Path, *, with_opt: bool) -> manifest.CheckpointInfo:
    source = Path(present.path)
    try:
        info = manifest.verify(source)
    except manifest.CorruptCheckpoint as error:
        raise FailedPrecondition(f"learners/{present.learner_id}/checkpoints/{present.id}", str(error)) from error
    if source == target:
        return info
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = manifest.temporary_for(target)
    left_out = set() if with_opt or not info.optimizer_sha256 else {manifest.OPTIMIZER_FILE, manifest.MANIFEST_FILE}
    for path in source.iterdir():
        if path.name not in left_out:
            _link(path, temporary / path.name)
    if left_out:
        told = manifest.read_manifest(source)
        written = manifest.write_manifest(
            temporary,
            job_id=told.job_id,
            attempt=told.attempt,
            step=told.step,
            epoch=told.epoch,
            metrics=told.metrics,
        )
        info = manifest.info(target, written)
    fp("checkpoint.linked")
    manifest.publish(temporary, target)
    fp("checkpoint.published")
    return info


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # no hard links here
        shutil.copyfile(source, target)


def load_state_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Fields of the learner as the checkpoint's state.json has them. Raises FailedPrecondition if it is damaged."""
    folder = Path(checkpoint.path)
    try:
        manifest.verify(folder)
    except manifest.CorruptCheckpoint as error:
        name = f"learners/{checkpoint.learner_id}/checkpoints/{checkpoint.id}"
        raise FailedPrecondition(name, f"{error}; load another one") from error
    state = json.loads((folder / manifest.STATE_FILE).read_text())
    return {
        "classes": tuple(state["classes"]),
        "frozen_to": state["frozen_to"],
        "epochs": state["lifetime_epoch"],
        "steps": state["global_step"],
    }
