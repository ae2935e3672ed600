"""Checkpoints: a snapshot of everything on the CPU, written off the training thread, read back verified."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from learnfleet.trainer import manifest, tensor_file
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.heartbeat import HEARTBEAT
from learnfleet.trainer.keep_policy import KeepPolicy
from learnfleet.trainer.manifest import CheckpointInfo, CheckpointName, CorruptCheckpoint
from learnfleet.trainer.pruning import prune, remove_leftovers
from learnfleet.trainer.threads import helping_threads

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """The state of a learner at one moment. Nothing in it changes when training goes on."""

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor] | None  # None: saved without
    state: dict[str, Any]  # JSON-able
    callbacks: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)  # of the epoch that it is the end of; else empty


def to_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU, each with memory of its own: safetensors refuses tensors that share it."""
    with torch.no_grad():
        return {
            name: torch.empty(value.shape, dtype=value.dtype).copy_(value.detach()) for name, value in tensors.items()
        }


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name, on the CPU."""
    return to_cpu(named_tensors(model))


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name, live. Raises LearnerError for a state that is no tensor."""
    state = model.state_dict()
    others = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise LearnerError(
            "model", f"{', '.join(others[:3])} in its state_dict is no tensor and cannot be saved: make it a buffer"
        )
    return dict(state)


def write(snapshot: Snapshot, folder: Path, *, job_id: str, attempt: int) -> CheckpointInfo:
    """Write a folder that is there completely or not at all. Equal tensors give equal bytes.

    Raises OSError (disk full, ...), and then leaves nothing behind but what was there before.
    """
    temporary = manifest.temporary_for(folder)
    try:
        tensor_file.write(temporary / manifest.MODEL_FILE, snapshot.model)
        if snapshot.optimizer is not None:
            tensor_file.write(temporary / manifest.OPTIMIZER_FILE, snapshot.optimizer)
        if snapshot.callbacks:
            tensor_file.write(temporary / manifest.CALLBACKS_FILE, snapshot.callbacks)
        content = json.dumps(snapshot.state, indent=1, sort_keys=True).encode()
        manifest.write_synced(temporary / manifest.STATE_FILE, content)
        written = manifest.write_manifest(
            temporary,
            job_id=job_id,
            attempt=attempt,
            step=snapshot.step,
            epoch=snapshot.epoch,
            metrics=snapshot.metrics,
        )
        manifest.publish(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return manifest.info(folder, written)


def load(folder: Path, device: str = "cpu") -> Snapshot:
    """Read a checkpoint to `device` after checking every byte of it. Raises CorruptCheckpoint."""
    checked = manifest.verify(folder)
    try:
        state = json.loads((folder / manifest.STATE_FILE).read_bytes())
        optimizer = folder / manifest.OPTIMIZER_FILE
        callbacks = folder / manifest.CALLBACKS_FILE
        return Snapshot(
            load_file(folder / manifest.MODEL_FILE, device),
            load_file(optimizer, device) if optimizer.exists() else None,
            state,
            load_file(callbacks) if callbacks.exists() else {},
            checked.step,
            checked.epoch,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise CorruptCheckpoint(folder, str(error)) from error


class CheckpointWriter:
    """Writes one job's checkpoints in a thread of its own, one at a time, and prunes the older ones.

    A full disk costs a checkpoint, not the run: the failure is logged, the previous checkpoints stay, and the next
    `submit` tries again. StaleAttempt and programming errors surface at the next `submit` or `wait`.

    Args:
        on_written: called in the writer's thread with each finished checkpoint.
    """

    def __init__(
        self,
        root: Path,
        job_id: str,
        attempt: int,
        keep: KeepPolicy | None = None,
        on_written: Callable[[CheckpointInfo, Snapshot], None] | None = None,
    ) -> None:
        root.mkdir(parents=True, exist_ok=True)
        manifest.check_attempt(root, job_id, attempt)
        remove_leftovers(root, job_id, attempt)
        self._root, self._job_id, self._attempt = root, job_id, attempt
        self._keep, self._on_written = keep or KeepPolicy(), on_written
        self._pool = helping_threads(1, "checkpoint")
        self._pending: Future[CheckpointInfo] | None = None
        self._newest: CheckpointInfo | None = None
        self._failure: OSError | None = None

    @property
    def failed(self) -> bool:
        """Whether the last checkpoint that was tried could not be written."""
        return self._failure is not None

    @property
    def busy(self) -> bool:
        return self._pending is not None and not self._pending.done()

    def settle(self) -> None:
        """Wait for what is being written: the memory of its snapshot is free then. A full disk is told by `failed`."""
        self._settle()

    def submit(self, snapshot: Snapshot) -> None:
        """Write this snapshot soon. Waits for the one before: no more than one is held in memory."""
        self._settle()
        self._pending = self._pool.submit(self._write, snapshot)

    def wait(self) -> CheckpointInfo | None:
        """The newest checkpoint, when all submitted ones are on disk. Raises OSError when the last one could not be."""
        self._settle()
        if self._failure is not None:
            raise self._failure
        return self._newest

    def close(self) -> None:
        """End the thread, after what it is writing."""
        self._pool.shutdown(wait=True)

    def _settle(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            self._newest, self._failure = pending.result(), None
        except OSError as error:
            self._failure = error
            _log.error("checkpoint not written, the previous one stays: %s", error)

    def _write(self, snapshot: Snapshot) -> CheckpointInfo:
        manifest.check_attempt(self._root, self._job_id, self._attempt)
        folder = self._root / str(CheckpointName(self._job_id, snapshot.step, self._attempt))
        with HEARTBEAT.long_work():
            written = write(snapshot, folder, job_id=self._job_id, attempt=self._attempt)
        prune(self._root, self._job_id, self._keep)
        if self._on_written is not None:
            self._on_written(written, snapshot)
        return written
