"""What an attempt at a job is: its number, the state it starts from, what its workers are asked to do."""

from __future__ import annotations

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import InterpretWork, Job, Json, PredsWork, TrainWork, subject_of
from learnfleet.server.scheduling.services import Services
from learnfleet.server.store.rows import work_to_json
from learnfleet.server.workers.protocol import ExamineRun, RunRequest, StartState, TrainRun, state_token
from learnfleet.trainer import manifest
from learnfleet.trainer.spec import stage_to_json


def next_attempt(config: Config, job: Job) -> int:
    """Checkpoints may be ahead of the store: a restored backup must not be fenced out by its own future."""
    return max(job.attempt, manifest.newest_attempt(config.checkpoint_root(job.learner_id), job.id)) + 1


def run_request(services: Services, job: Job) -> RunRequest:
    """What all ranks are asked to do: the whole job, or what is left of it after its newest checkpoint."""
    root = services.config.checkpoint_root(job.learner_id)
    resume = manifest.newest_valid(root, job.id) if isinstance(job.work, TrainWork) else None
    return RunRequest(
        job.id,
        job.attempt,
        _run_of(job),
        _spec(services, job),
        _start_state(services, job),
        str(resume.path) if resume else None,
        str(root),
        str(services.config.job_dir(job.learner_id, job.id)),
        services.config.system_metrics_every_s,
        job.traceparent,
        job.learner_id,
        job.tenant,
    )


def is_of_export(job: Job) -> bool:
    """Whether the job looks at an exported model, whatever its learner has come to."""
    subject = subject_of(job.work)
    return subject is not None and bool(subject.export)


def _run_of(job: Job) -> TrainRun | ExamineRun:
    if isinstance(job.work, TrainWork):
        return TrainRun(tuple(stage_to_json(stage) for stage in job.work.stages), job.work.checkpoint_policy)
    work = work_to_json(job.work)
    if isinstance(job.work, PredsWork):
        work["subject"] = None  # the worker builds what `_spec` says
    return ExamineRun({**work, **_asked(job, job.work)} if isinstance(job.work, InterpretWork) else work)


def _asked(job: Job, work: InterpretWork) -> Json:
    """What the worker is told of an interpretation beside its options: `about`, the names that its report shows."""
    model, checkpoint = names.examined(work.subject["name"] if work.subject else "")
    if job.start_checkpoint_id:
        checkpoint = names.checkpoint_name(job.learner_id, job.start_checkpoint_id)
    about = {"learner": names.learner_name(job.learner_id), "model": model, "checkpoint": checkpoint}
    return {"subject": None, "about": about}


def _spec(services: Services, job: Job) -> Json:
    """What the workers build: the learner, or what is to be looked at instead."""
    subject = subject_of(job.work)
    if subject is not None:
        return subject.spec
    return services.store.get_learner(job.learner_id).spec.to_json()


def _start_state(services: Services, job: Job) -> StartState | None:
    subject = subject_of(job.work)
    if subject is not None and subject.export:
        return StartState(subject.export, f"export:{subject.export}")  # versions do not change
    if job.start_checkpoint_id is None:
        return None
    found = services.store.get_checkpoint(job.learner_id, job.start_checkpoint_id)
    return StartState(found.path, state_token(found.id, found.model_sha256, found.optimizer_sha256))
