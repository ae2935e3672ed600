"""Jobs on a learner: training in stages with exact resume, and interpretation. Every rank calls the same function."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from learnfleet.trainer import plots, recorder_plots
from learnfleet.trainer.callback import Callback, Events
from learnfleet.trainer.checkpoint import CheckpointWriter, Snapshot, load
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.eta import TimeLeft
from learnfleet.trainer.fitting import run_fit
from learnfleet.trainer.heap import ReleaseFreeMemory
from learnfleet.trainer.layer_groups import describe_groups
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.learner_state import (
    between_fits,
    is_exact,
    last_metrics,
    load_state,
    prepare_staging,
    restore_between_fits,
    restore_callbacks,
    restore_learner,
    take_snapshot,
)
from learnfleet.trainer.manifest import CheckpointInfo
from learnfleet.trainer.rank_state import gather_rank_tensors
from learnfleet.trainer.recorder import distinct
from learnfleet.trainer.run_callbacks import Checkpoints, EventReporter, FailOnNonFiniteLoss
from learnfleet.trainer.run_context import JobPosition, RunContext, TrainOutcome, report_picture
from learnfleet.trainer.run_data import DataReporter
from learnfleet.trainer.run_lr_find import run_lr_find
from learnfleet.trainer.run_observer import Observed
from learnfleet.trainer.stage_groups import misfits
from learnfleet.trainer.stage_spec import FittingStage, FreezeStage, LrFindStage, Stage, stage_to_json
from learnfleet.trainer.stages import describe_stage, fit_of
from learnfleet.trainer.staging import Named, Staging
from learnfleet.trainer.state import TrainState

__all__ = ["RunContext", "TrainOutcome", "load_state", "run_train"]

_LAST_SAVE_TRIES = 3
_LAST_SAVE_PAUSE_S = 2.0

_log = logging.getLogger(__name__)


def run_train(
    learner: Learner, stages: Sequence[Stage], context: RunContext, resume_from: Path | None = None
) -> TrainOutcome:
    """Run the stages to their end or to an agreed stop. Every rank must call, with the same arguments.

    Args:
        resume_from: a checkpoint of an earlier attempt at this job: finished stages are skipped, and the present
            one goes on at the very batch. None starts from the learner as it is.

    Raises:
        CorruptCheckpoint, LearnerError: the checkpoint cannot be used here.
        LearnerError: a stage does not fit the number of layer groups. Nothing has been trained then.
        NonFiniteLoss: on all ranks, at the same step.
        StaleAttempt: a later attempt at this job has taken over.
    """
    run = _TrainRun(learner, stages, context)
    try:
        return run.run(load(resume_from) if resume_from else None)
    finally:
        run.close()


class _TrainRun:
    """One `run_train`."""

    def __init__(self, learner: Learner, stages: Sequence[Stage], context: RunContext) -> None:
        self._learner, self._stages, self._context = learner, stages, context
        context.keep.check(distinct([metric.name for metric in learner.metrics]))
        if wrong := misfits(stages, len(learner.layer_groups)):
            raise LearnerError(wrong[0].field, wrong[0].message)
        self._exact = True
        self._earlier_metrics: dict[str, float] = {}
        self._saved_position: JobPosition | None = None
        self._saved: Snapshot | None = None  # the last one, on rank 0
        self._events: Events | None = None
        self._data = DataReporter(learner.data, context.emit, is_main=learner.world.is_main)
        self._writer: CheckpointWriter | None = None
        self._staging, self._time_left = Staging(), TimeLeft(context.clock_s)
        if learner.world.is_main:
            self._writer = CheckpointWriter(
                context.checkpoint_root, context.job_id, context.attempt, context.keep, self._report_checkpoint
            )

    def close(self) -> None:
        self._data.close()
        if self._writer is not None:
            self._writer.close()
        self._staging.close()

    def run(self, snapshot: Snapshot | None) -> TrainOutcome:
        self._data.report()
        position = self._resume(snapshot) if snapshot else JobPosition()
        for index in range(position.stage, len(self._stages)):
            is_resumed = snapshot is not None and index == position.stage and position != JobPosition(index)
            if self._run_stage(index, position if is_resumed else JobPosition(index), snapshot if is_resumed else None):
                return self._outcome(stopped=True)
        self._save_if_new(JobPosition(len(self._stages)))
        return self._outcome(stopped=False)

    def _resume(self, snapshot: Snapshot) -> JobPosition:
        job = snapshot.state.get("job")
        if job is None or job["id"] != self._context.job_id:
            raise LearnerError(
                "resume_from",
                f"it is no checkpoint of job {self._context.job_id}: start from it with `load_state`",
            )
        restore_learner(self._learner, snapshot)
        self._exact = job["exact"] and is_exact(self._learner, snapshot)
        self._earlier_metrics = job["metrics"]
        if not self._exact:
            _log.warning("resumed under other circumstances: this run will not repeat one never interrupted bit by bit")
        position = JobPosition.from_json(job["position"])
        if position == JobPosition(position.stage):
            restore_between_fits(self._learner, snapshot)
        return position

    def _run_stage(self, index: int, start: JobPosition, snapshot: Snapshot | None) -> bool:
        """Run one stage, from its middle when there is a snapshot. True when it was left because of a stop request."""
        stage = self._stages[index]
        if isinstance(stage, FreezeStage):
            self._learner.freeze_to(stage.n)
        self._report_stage(index, stage)
        if isinstance(stage, FreezeStage):
            return False
        if isinstance(stage, LrFindStage):
            return self._run_lr_find(index, stage)
        return self._run_fit(index, stage, start, snapshot)

    def _run_lr_find(self, index: int, stage: LrFindStage) -> bool:
        is_stopped = run_lr_find(self._learner, stage, index, self._context)
        if is_stopped:
            self._save_if_new(JobPosition(index))  # it has changed nothing: a resumed job searches again
        return is_stopped

    def _run_fit(self, index: int, stage: FittingStage, start: JobPosition, snapshot: Snapshot | None) -> bool:
        def begun(state: TrainState, events: Events) -> bool:
            if snapshot is not None:
                _put_back(state, events, start, snapshot)
            self._events = events
            return snapshot is not None

        if self._writer is not None:
            # The next stage may save its best model where the last one did. A job that dies then must not need that
            # of the last one any more: its end is on the disk.
            self._writer.settle()
        fit = fit_of(stage, self._learner)
        request = replace(
            fit,
            callbacks=[*fit.callbacks, *self._callbacks(index)],
            begun=begun,
            stop_requested=self._context.stop_requested,
            job_stage=(self._context.job_id, index),
        )
        state = run_fit(self._learner, request)
        self._earlier_metrics = last_metrics(self._learner) or self._earlier_metrics
        self._events = None
        if not state.interrupted:
            self._save(JobPosition(index + 1))
        self._report_losses(index)
        return state.interrupted

    def _callbacks(self, index: int) -> list[Callback]:
        checkpoints = Checkpoints(self._context, index, self._save, self._is_busy, self._prepare)
        later = self._stages[index + 1 :]
        reporter = EventReporter(self._context.emit, index, later, self._time_left)
        reporters: list[Callback] = [reporter] if self._learner.world.is_main else []
        if self._context.observer is not None:
            reporters.append(Observed(self._context.observer, index))
        return [FailOnNonFiniteLoss(), *reporters, checkpoints, ReleaseFreeMemory()]

    def _is_busy(self) -> bool:
        return self._writer is not None and self._writer.busy

    def _prepare(self) -> None:
        assert self._events is not None, "a fit has begun"
        if self._writer is not None:
            prepare_staging(self._learner, self._staging, self._events)

    def _save(self, position: JobPosition) -> None:
        """Every rank must call: rank 0 writes, the others tell what they keep for themselves."""
        rank_tensors = gather_rank_tensors(self._events or between_fits(self._learner), self._learner.world)
        if self._writer is not None:
            self._writer.settle()  # what it writes lies in the memory that is about to be used again
            self._saved = self._snapshot(position, rank_tensors)
            self._writer.submit(self._saved)
        self._saved_position = position

    def _save_if_new(self, position: JobPosition) -> None:
        if self._saved_position != position:
            self._save(position)

    def _snapshot(self, position: JobPosition, rank_tensors: Named) -> Snapshot:
        learner = self._learner
        # The counters move on after the events: what is saved is what a resumed run starts from.
        inside, is_epoch_end = self._events is not None, position.fit.batch == 0
        steps, epochs = learner.global_step, learner.lifetime_epoch
        extra = {
            "global_step": steps + int(inside and not is_epoch_end),
            "lifetime_epoch": epochs + int(inside and is_epoch_end),
            "job": {
                "id": self._context.job_id,
                "position": position.to_json(),
                "exact": self._exact,
                "metrics": last_metrics(learner) if inside and learner.recorder.rows else self._earlier_metrics,
            },
        }
        events = self._events or between_fits(learner)
        snapshot = take_snapshot(
            learner, extra, events, in_fit=inside, rank_tensors=rank_tensors, staging=self._staging
        )
        return replace(snapshot, metrics=self._finite_metrics(extra) if is_epoch_end else {})

    @staticmethod
    def _finite_metrics(extra: dict[str, Any]) -> dict[str, float]:
        metrics: dict[str, float] = extra["job"]["metrics"]
        return {name: value for name, value in metrics.items() if math.isfinite(value)}

    def _outcome(self, *, stopped: bool) -> TrainOutcome:
        """The end, agreed: rank 0 waits for its disk, the others for rank 0."""
        answer = self._learner.world.broadcast_json(self._last_checkpoint() if self._writer is not None else None)
        if answer is None:
            assert stopped, "an end is always saved"
            return TrainOutcome(stopped, None, dict(self._earlier_metrics), self._exact)
        if "error" in answer:
            raise OSError(f"the last checkpoint could not be written: {answer['error']}")
        checkpoint = CheckpointInfo(**{**answer, "path": Path(answer["path"])})
        return TrainOutcome(stopped, checkpoint, dict(self._earlier_metrics), self._exact)

    def _last_checkpoint(self) -> dict[str, Any] | None:
        assert self._writer is not None
        for tries_left in range(_LAST_SAVE_TRIES - 1, -1, -1):
            try:
                newest = self._writer.wait()
                return newest.to_json() if newest is not None else None
            except OSError as error:
                if tries_left == 0 or self._saved is None:
                    return {"error": str(error)}
                time.sleep(_LAST_SAVE_PAUSE_S)
                self._writer.submit(self._saved)  # its memory has not been used again: it is the last
        raise AssertionError("unreachable")

    def _report_stage(self, index: int, stage: Stage) -> None:
        if not self._learner.world.is_main:
            return
        groups = describe_groups(self._learner.layer_groups)
        data = {
            "index": index,
            "description": describe_stage(stage),
            "stage": stage_to_json(stage),
            "epochs": 0 if isinstance(stage, FreezeStage | LrFindStage) else stage.epochs,
            "trainable": sum(group["trainable"] for group in groups),
            "groups": groups,
        }
        self._context.emit(f"stage/{index}", "stage", data)

    def _report_checkpoint(self, info: CheckpointInfo, snapshot: Snapshot) -> None:
        stage = snapshot.state["job"]["position"]["stage"]
        self._context.emit(f"checkpoint/{info.attempt}/{info.step}/{stage}", "checkpoint", info.to_json())

    def _report_losses(self, index: int) -> None:
        if self._context.picture_dir is None or not self._learner.world.is_main or not self._learner.recorder.losses:
            return
        name = f"losses_{index}"
        figure = recorder_plots.losses_figure(self._learner.recorder)
        try:
            path = plots.save_png(figure, self._context.picture_dir / f"{name}.png")
        except OSError as error:  # a full disk costs a picture, not the job, whose other ranks would wait for this one
            _log.warning("%s was not drawn: %s", name, error)
            return
        report_picture(self._context, name, path)


def _put_back(state: TrainState, events: Events, start: JobPosition, snapshot: Snapshot) -> None:
    """Put a fit that has just begun where it stood."""
    state.move_to(start.fit)
    restore_callbacks(state.learner, events, snapshot)
    state.learner.require_optimizer().load_hyper_parameters(snapshot.state["optimizer"])
