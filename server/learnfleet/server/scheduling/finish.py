"""What a job leaves when it ends: its checkpoint, the learner's new state, its result. One transition each."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, datetime
from pathlib import Path

from learnfleet.server.checkpoints import load_state_of
from learnfleet.server.config import Config
from learnfleet.server.domain import Checkpoint, Job, JobState, Json
from learnfleet.server.store.base import Store
from learnfleet.trainer import manifest


def finish_train(store: Store, job: Job, outcome: Json) -> Job:
    """The job has SUCCEEDED and the learner is where it has brought it."""
    info = outcome["checkpoint"]
    checkpoint = _checkpoint(job, info)
    state = load_state_of(checkpoint)
    learner = dataclasses.replace(store.get_learner(job.learner_id), checkpoint_id=checkpoint.id, **state)
    result = {
        "metrics": outcome["metrics"],
        "checkpoint_id": checkpoint.id,
        "skipped_images": _skipped(store, job.id),
        "exact": outcome["exact"],
    }
    done = store.transition(job.id, JobState.SUCCEEDED, "", result=result, learner=learner, checkpoint=checkpoint)
    _remove_others(job, Path(checkpoint.path))
    return done


def finish_interpret(store: Store, job: Job, outcome: Json) -> Job:
    """The job has SUCCEEDED; what it found is in its folder."""
    result = {
        "metrics": {"accuracy": outcome["accuracy"], "valid_loss": outcome["loss"]},
        "interpretation_id": job.id,
        "skipped_images": outcome["skipped_images"],
        "exact": True,
    }
    return store.transition(job.id, JobState.SUCCEEDED, "", result=result)


def keep_last_checkpoint(store: Store, config: Config, job: Job) -> None:
    """Name what a cancelled job had reached after the job, so that it can be loaded."""
    newest = manifest.newest_valid(config.checkpoint_root(job.learner_id), job.id)
    if newest is not None:
        store.put_checkpoint(_checkpoint(job, newest.to_json()))


def _checkpoint(job: Job, info: Json) -> Checkpoint:
    return Checkpoint(
        job.learner_id,
        job.id,
        info["path"],
        info["step"],
        info["epoch"],
        info["model_sha256"],
        info["optimizer_sha256"],
        info["size_bytes"],
        datetime.now(UTC),
    )


def _skipped(store: Store, job_id: str) -> int:
    """Pictures named as broken in the job's events."""
    after, count = 0, 0
    while events := store.read_events(job_id, after):
        count += sum(stored.event.kind == "bad_image" for stored in events)
        after = events[-1].sequence
    return count


def _remove_others(job: Job, final: Path) -> None:
    """The checkpoints on the way are not needed once the last one is the learner's."""
    for path in manifest.list_checkpoints(final.parent, job.id):
        if path != final:
            shutil.rmtree(path, ignore_errors=True)
