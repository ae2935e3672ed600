"""What a Learner writes and reads: saves. Rank 0 writes, all read; an error of one rank is raised on all."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from learnfleet.trainer import checkpoint, fastai_weights, learner_state
from learnfleet.trainer.checkpoint import Snapshot
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.manifest import MANIFEST_FILE, recover
from learnfleet.trainer.tensor_names import has_wrapper, without_wrapper

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

FileName: TypeAlias = "Path | str | None"
Device: TypeAlias = "torch.device | str | int | None"

SAVED_BY_HAND = "save"  # the job id of what no job wrote
_NAMES_SHOWN = 10

_log = logging.getLogger(__name__)


def place(learner: Learner, file: FileName) -> Path:
    """`path/model_dir/<file>`; an absolute path is taken as it is. Raises LearnerError."""
    if not isinstance(file, Path | str):
        raise LearnerError("file", f"a name is needed, as in save('stage-1'), not {file!r}; a save is a folder")
    if str(file) in ("", ".") or ".." in Path(file).parts:
        raise LearnerError("file", f"{str(file)!r} is no place in {learner.model_dir}: give a name or a whole path")
    return learner.path / learner.model_dir / file


def save(learner: Learner, file: FileName, *, with_opt: bool) -> Path:
    """Write `path/model_dir/<file>`. Every rank must call."""
    folder = place(learner, file)

    def write() -> None:
        make_room(folder, "model_dir")
        snapshot = learner_state.take_snapshot(learner, with_opt=with_opt)
        checkpoint.write(snapshot, folder, job_id=SAVED_BY_HAND, attempt=0)

    learner.world.on_main(write)
    return folder


def make_room(folder: Path, setting: str) -> None:
    """Make the parents of a folder that is about to be written. Nothing but an earlier folder of ours is replaced.

    Raises LearnerError, naming the learner's `setting` that leads there.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST_FILE).is_file()):
        raise LearnerError("file", f"{folder} is there and is no save of ours, so it is not replaced: choose a name")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = folder.parent / f".{folder.name}.writable"
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise LearnerError(setting, f"Can't write to {folder.parent} ({error}): set `learn.{setting}`") from error


def load(
    learner: Learner, file: FileName, *, device: Device, strict: bool, with_opt: bool | None, remove_module: bool
) -> None:
    """Read `path/model_dir/<file>`, or the weights in `<file>` or `<file>.pth` there. Every rank must call."""
    found = place(learner, file)
    learner.world.on_main(lambda: recover(found))
    if not found.is_dir():
        load_weights_file(learner, found, device=device, strict=strict, with_opt=with_opt, remove_module=remove_module)
        return
    snapshot = learner.world.on_each(lambda: checkpoint.load(found, str(device_of(device, learner.device))))
    if remove_module:
        snapshot = _without_wrapper(snapshot)
    _warn_of_wrapper(snapshot.model)
    learner_state.restore_model(learner, snapshot.model, strict=strict)
    learner.global_step, learner.lifetime_epoch = snapshot.step, snapshot.epoch
    _warn_of_classes(learner, snapshot.state)
    if with_opt is not False:
        _load_optimizer(learner, snapshot, required=with_opt is True)


def load_weights_file(
    learner: Learner, found: Path, *, device: Device, strict: bool, with_opt: bool | None, remove_module: bool
) -> None:
    """Weights from a file that fastai (or plain torch) wrote. See `fastai_weights`."""
    file = _weights_file(found)
    if with_opt:
        raise LearnerError("with_opt", f"the optimiser in {file.name} cannot be taken over: leave with_opt out")
    whole = learner.world.on_each(lambda: fastai_weights.read(file, device_of(device, learner.device)))
    tensors = without_wrapper(whole.tensors) if remove_module else whole.tensors
    _warn_of_wrapper(tensors)
    tensors = fastai_weights.adapted(learner.model, tensors, file.name)
    learner_state.restore_model(learner, tensors, strict=strict)
    learner.opt = None
    if whole.has_optimizer and with_opt is None:
        _log.warning("the optimiser in %s was left out, as it is of another kind: it starts anew", file.name)


def _weights_file(found: Path) -> Path:
    """The file itself, or with the `.pth` that fastai appends."""
    appended = found.with_name(f"{found.name}.pth")
    for file in (found, appended):
        if file.is_file():
            return file
    there = sorted(path.name for path in found.parent.iterdir()) if found.parent.is_dir() else []
    saved = f"; there are {', '.join(there[:_NAMES_SHOWN])}" if there else ""
    raise FileNotFoundError(f"nothing was saved as {found.name!r}: no folder or file {found}{saved}")


def device_of(device: Device, default: torch.device) -> torch.device:
    """Where a file is read to; an int is a CUDA device. Raises LearnerError for one that is not there."""
    if device is None:
        return default
    try:
        wanted = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise LearnerError("device", f"{device!r} is not there ({str(error).splitlines()[0]})") from error
    return wanted


def _without_wrapper(snapshot: Snapshot) -> Snapshot:
    moments = snapshot.optimizer
    if moments is not None:
        parts = {key: key.partition("/") for key in moments}
        moments = {f"{what}/{name.removeprefix('module.')}": moments[key] for key, (what, _, name) in parts.items()}
    model = without_wrapper(snapshot.model)
    return Snapshot(model, moments, snapshot.state, snapshot.callbacks, snapshot.step, snapshot.epoch)


def _warn_of_wrapper(tensors: Mapping[str, Tensor]) -> None:
    if has_wrapper(tensors):
        _log.warning("all names begin with `module.`, as of a parallel wrapper: remove_module=True takes it off")


def _warn_of_classes(learner: Learner, state: Mapping[str, Any]) -> None:
    saved, here = state.get("classes"), list(learner.data.classes)
    if saved is not None and saved != here:
        _log.warning("these weights are of the classes %s, the data has %s: the names may not fit", saved, here)


def _load_optimizer(learner: Learner, snapshot: Snapshot, *, required: bool) -> None:
    try:
        learner_state.restore_optimizer(learner, snapshot, partly=not required)
    except LearnerError as error:
        if required:
            raise
        _log.warning("the optimiser was not restored and starts anew: %s", error.message)
