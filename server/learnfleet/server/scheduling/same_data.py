"""A job on a version of a data set is on the files that the version was made of, or it fails."""

from __future__ import annotations

from learnfleet.server.data.verify import changed_data
from learnfleet.server.domain import Job, subject_of
from learnfleet.server.scheduling.following import RunFailed
from learnfleet.server.scheduling.services import Services
from learnfleet.server.workers.protocol import ErrorKind, RunError
from learnfleet.trainer.data_spec import DataSpec
from learnfleet.trainer.spec import LearnerSpec


def require_same_data(services: Services, job: Job) -> None:
    """Raises RunFailed that names the files that have changed. Blocks: asks about every file."""
    data = looked_at(services, job)
    changed = changed_data(services.config.data_dir, services.store, data)
    if changed is not None:
        raise RunFailed(RunError(ErrorKind.USER, changed))


def looked_at(services: Services, job: Job) -> DataSpec:
    """The data that a job is on: its learner's, unless it is on others."""
    subject = subject_of(job.work)
    if subject is not None:
        return LearnerSpec.from_json(subject.spec).data
    return services.store.get_learner(job.learner_id).spec.data
