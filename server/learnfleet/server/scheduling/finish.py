"""What a job leaves when it ends: its checkpoint, the learner's new state, its result. One transition each."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from learnfleet.server.checkpoints import load_state_of
from learnfleet.server.config import Config
from learnfleet.server.domain import Checkpoint, Job, JobKind, JobState, Json, TrainWork
from learnfleet.server.failpoints import fp
from learnfleet.server.store.base import Store
from learnfleet.trainer import manifest
from learnfleet.trainer.pruning import kept_for_good


def finish_train(store: Store, job: Job, outcome: Json) -> Job:
    """The job has SUCCEEDED and the learner is where it has brought it."""
    info = outcome["checkpoint"]
    checkpoint = _checkpoint(job, info)
    state = load_state_of(checkpoint)
    kept = _put_kept(store, job, Path(checkpoint.path))
    learner = dataclasses.replace(store.get_learner(job.learner_id), checkpoint_id=checkpoint.id, **state)
    result = {
        "metrics": outcome["metrics"],
        "checkpoint_id": checkpoint.id,
        "skipped_images": _skipped(store, job.id),
        "pictures": _pictures(store, job.id),
        "lr_findings": list(_events(store, job.id, "lr_found")),
        "exact": outcome["exact"],
        "kept_checkpoint_ids": list(kept.values()),
    }
    fp("job.kept")
    done = store.transition(job.id, JobState.SUCCEEDED, "", result=result, learner=learner, checkpoint=checkpoint)
    _remove_others(job, {Path(checkpoint.path), *kept})
    return done


def finish_examine(store: Store, job: Job, outcome: Json) -> Job:
    """The job has SUCCEEDED and the learner is as it was; what the job wrote is in its folder."""
    result = {
        "metrics": outcome["metrics"],
        "skipped_images": outcome["skipped_images"],
        "predictions": outcome.get("predictions", 0),
        "pictures": _pictures(store, job.id),
        "exact": True,
    }
    if outcome.get("description"):
        result["description"] = outcome["description"]
    if job.kind is JobKind.INTERPRET:
        result["interpretation_id"] = job.id
    return store.transition(job.id, JobState.SUCCEEDED, "", result=result)


def keep_last_checkpoint(store: Store, config: Config, job: Job) -> None:
    """Name what a cancelled job had reached after the job, so that it can be loaded; and what its policy keeps."""
    newest = manifest.newest_valid(config.checkpoint_root(job.learner_id), job.id)
    if newest is not None:
        store.put_checkpoint(_checkpoint(job, newest.to_json()))
        _put_kept(store, job, newest.path)


def _put_kept(store: Store, job: Job, last: Path) -> dict[Path, str]:
    """Make checkpoints of the learner of those that the job's policy keeps for good; their ids by folder, oldest first.

    The `last` has the job's name already. Safe to repeat.
    """
    if not isinstance(job.work, TrainWork):
        return {}
    ids: dict[Path, str] = {}
    for path in kept_for_good(last.parent, job.id, job.work.checkpoint_policy.keep):
        info = manifest.info(path, manifest.read_manifest(path))
        ids[path] = job.id if path == last else f"{job.id}-{info.step}"
        if path != last:
            store.put_checkpoint(_checkpoint(job, info.to_json(), ids[path]))
    return ids


def _checkpoint(job: Job, info: Json, checkpoint_id: str = "") -> Checkpoint:
    return Checkpoint(
        job.learner_id,
        checkpoint_id or job.id,
        info["path"],
        info["step"],
        info["epoch"],
        info["model_sha256"],
        info["optimizer_sha256"],
        info["size_bytes"],
        datetime.now(UTC),
    )


def _events(store: Store, job_id: str, kind: str) -> Iterator[Json]:
    """Data of the job's events of one kind, in their order."""
    after = 0
    while events := store.read_events(job_id, after):
        yield from (stored.event.data for stored in events if stored.event.kind == kind)
        after = events[-1].sequence


def _skipped(store: Store, job_id: str) -> int:
    """Pictures named as broken in the job's events."""
    return sum(1 for _ in _events(store, job_id, "bad_image"))


def _pictures(store: Store, job_id: str) -> list[str]:
    """Names of the pictures that the job has drawn."""
    return list(dict.fromkeys(data["name"] for data in _events(store, job_id, "picture")))


def _remove_others(job: Job, kept: set[Path]) -> None:
    """The checkpoints on the way are not needed once the last one is the learner's, unless they are to be kept."""
    for path in manifest.list_checkpoints(next(iter(kept)).parent, job.id):
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)
