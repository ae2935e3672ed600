"""Deleting jobs and learners: rows first, then files.

Whoever dies between the two leaves files that nothing names any more.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from learnfleet.server.config import Config
from learnfleet.server.names import new_id
from learnfleet.server.store.base import Store
from learnfleet.trainer import manifest


def delete_job(config: Config, store: Store, job_id: str) -> None:
    """Forget a job that has ended, with its events, its folder, and those of its checkpoints that nobody needs.

    Raises NotFound, FailedPrecondition.
    """
    job = store.get_job(job_id)
    store.delete_job(job_id)
    named = {Path(checkpoint.path) for checkpoint in store.list_checkpoints(job.learner_id)}
    for path in manifest.list_checkpoints(config.checkpoint_root(job.learner_id), job_id):
        if path not in named:
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(config.job_dir(job.learner_id, job_id), ignore_errors=True)


def delete_learner(config: Config, store: Store, learner_id: str) -> None:
    """Forget a learner whose jobs have all ended and that has no workers any more, with all that it has on the disk.

    Raises NotFound, FailedPrecondition, WorkersEnding.
    """
    store.delete_learner(learner_id)
    folder = config.learner_dir(learner_id)
    if folder.exists():
        # Out of the way first, in one step: its id is free by now, and removing gigabytes takes a while.
        gone = folder.with_name(f".{learner_id}.{new_id()}")
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
