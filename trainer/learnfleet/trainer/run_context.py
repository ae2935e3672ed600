"""What the trainer is given by whoever runs a job in it, and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from learnfleet.trainer.keep_policy import KeepBest, KeepPolicy
from learnfleet.trainer.manifest import CheckpointInfo
from learnfleet.trainer.run_observer import RunObserver
from learnfleet.trainer.state import FitPosition

Emit = Callable[[str, str, dict[str, Any]], None]


@dataclass(frozen=True)
class RunContext:
    """One attempt at one job.

    Args:
        attempt: fencing token: writes of an attempt are refused once a later one has written.
        emit: takes (event id, kind, JSON-able data), from any thread. An id names what happened, not when it was
            said: what a resumed run repeats has the id it had before.
        stop_requested: polled at every batch end; one rank's True stops all ranks, in a validation once each of them
            has heard it or done its batches.
        checkpoint_root: folder of this learner's checkpoints, the same for all ranks.
        checkpoint_every_s, checkpoint_every_steps: also inside epochs; None: not by this measure.
        keep_last: newest checkpoints of this job that are kept, at least 2.
        keep_best, keep_every: of older ones, those that `KeepPolicy` says.
        picture_dir: where plots go; None: no plots.
        observer: told where the run stands, on each rank.
        clock_s: monotonic; what rates and the time that is left are measured with.
    """

    job_id: str
    attempt: int
    emit: Emit
    stop_requested: Callable[[], bool]
    checkpoint_root: Path
    checkpoint_every_s: float | None = 30.0
    checkpoint_every_steps: int | None = None
    keep_last: int = 2
    keep_best: KeepBest | None = None
    keep_every: int | None = None  # epochs
    picture_dir: Path | None = None
    observer: RunObserver | None = None
    clock_s: Callable[[], float] = time.monotonic

    @property
    def keep(self) -> KeepPolicy:
        """Which checkpoints are kept."""
        return KeepPolicy(self.keep_last, self.keep_best, self.keep_every)


@dataclass(frozen=True)
class TrainOutcome:
    """How a training job ended on this rank; alike on all ranks."""

    stopped: bool  # it was asked to stop, and can be resumed from the checkpoint
    checkpoint: CheckpointInfo | None  # of this attempt's; None: it was stopped before it had one
    metrics: dict[str, float]  # train_loss, valid_loss and metrics of the last finished epoch
    exact: bool  # every resume repeated the bits of a run never interrupted


@dataclass(frozen=True)
class JobPosition:
    """Where a job of several stages stands."""

    stage: int = 0  # stages finished
    fit: FitPosition = field(default_factory=FitPosition)  # within the present stage

    def to_json(self) -> dict[str, Any]:
        mean, count = self.fit.smoothed
        fit = {"epoch": self.fit.epoch, "batch": self.fit.batch, "smoothed": [mean, count]}
        return {"stage": self.stage, **fit, "stops": list(self.fit.stops)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> JobPosition:
        mean, count = value["smoothed"]
        fit = FitPosition(int(value["epoch"]), int(value["batch"]), (float(mean), int(count)), tuple(value["stops"]))
        return cls(int(value["stage"]), fit)


def report_picture(context: RunContext, name: str, path: Path) -> dict[str, str]:
    """Tell of a plot that was written."""
    data = {"name": name, "path": str(path), "media_type": "image/png"}
    context.emit(f"picture/{name}", "picture", dict(data))
    return data
