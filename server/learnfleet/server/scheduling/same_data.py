"""A job on a version of a data set is on the files that the version was made of, or it fails."""

from __future__ import annotations

from learnfleet.server.data.verify import changed_data
from learnfleet.server.domain import Job
from learnfleet.server.scheduling.following import RunFailed
from learnfleet.server.scheduling.services import Services
from learnfleet.server.workers.protocol import ErrorKind, RunError


def require_same_data(services: Services, job: Job) -> None:
    """Raises RunFailed that names the files that have changed. Blocks: asks about every file."""
    data = services.store.get_learner(job.learner_id).spec.data
    changed = changed_data(services.config.data_dir, services.store, data)
    if changed is not None:
        raise RunFailed(RunError(ErrorKind.USER, changed))
