"""What a Learner writes and reads: saves and exports. Rank 0 writes, the others wait."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from learnfleet.trainer import checkpoint, learner_state
from learnfleet.trainer import export as exports
from learnfleet.trainer.errors import LearnerError

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_SAVED_BY_HAND = "save"  # the job id of what no job wrote

_log = logging.getLogger(__name__)


def save(learner: Learner, name: str, *, with_opt: bool) -> Path:
    """Write `path/model_dir/name`."""
    folder = _folder(learner, name)
    if learner.world.is_main:
        snapshot = learner_state.take_snapshot(learner, with_opt=with_opt)
        folder.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write(snapshot, folder, job_id=_SAVED_BY_HAND, attempt=0)
    learner.world.any(False)  # nobody may load before it is there
    return folder


def _folder(learner: Learner, name: str) -> Path:
    if not name or Path(name).name != name:
        raise LearnerError("name", f"{name!r} is not a plain name: it must not be empty or hold a folder")
    return learner.path / learner.model_dir / name


def load(learner: Learner, name: str, *, strict: bool, with_opt: bool | None) -> None:
    """Read `path/model_dir/name`."""
    folder = _folder(learner, name)
    if not folder.is_dir():
        raise FileNotFoundError(f"nothing was saved as {name!r}: there is no folder {folder}")
    snapshot = checkpoint.load(folder)
    learner_state.restore_model(learner, snapshot, strict=strict)
    learner.global_step, learner.lifetime_epoch = snapshot.step, snapshot.epoch
    if with_opt is not False:
        _load_optimizer(learner, snapshot, required=with_opt is True)


def _load_optimizer(learner: Learner, snapshot: checkpoint.Snapshot, *, required: bool) -> None:
    try:
        if snapshot.optimizer is None:
            raise LearnerError("with_opt", "nothing of the optimiser was saved")
        learner_state.restore_optimizer(learner, snapshot)
    except LearnerError as error:
        learner.opt = None
        if required:
            raise
        _log.warning("the optimiser was not restored and starts anew: %s", error.message)


def export(learner: Learner, out: Path) -> Path:
    """Write an export at `out`."""
    transform = learner.eval_transform_json()
    if learner.spec is None or transform is None:
        raise LearnerError(
            "export",
            "an export is rebuilt from names, and this learner has parts of its own (a custom architecture, cut, head"
            " or loss, or data that are no pictures). Use `save`, or put the architecture into the entry-point group"
            " learnfleet.architectures",
        )
    if learner.world.is_main:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as scratch:
            snapshot = learner_state.take_snapshot(learner, with_opt=False)
            source = Path(scratch) / "checkpoint"
            checkpoint.write(snapshot, source, job_id=_SAVED_BY_HAND, attempt=0)
            exports.export_from_checkpoint(
                source, out, learner.spec, learner.data.classes, transform, last_metrics(learner)
            )
    learner.world.any(False)
    return out


def last_metrics(learner: Learner) -> dict[str, float]:
    """train_loss, valid_loss and the metrics of the last epoch, or nothing before the first."""
    if not learner.recorder.rows:
        return {}
    row = learner.recorder.rows[-1]
    validation = {} if row.valid_loss is None else {"valid_loss": row.valid_loss}
    return {"train_loss": row.train_loss, **validation, **row.metrics}


def single_batch(learner: Learner, item: object) -> Tensor:
    """One picture as a batch of one, by the data's validation transforms."""
    prepare: Any = getattr(learner.data, "single_batch", None)
    if prepare is None:
        raise LearnerError("predict", "this data cannot open pictures: give a tensor [C, H, W]")
    source = Path(item) if isinstance(item, str) else item
    x = prepare([source])
    assert isinstance(x, Tensor)
    return x
