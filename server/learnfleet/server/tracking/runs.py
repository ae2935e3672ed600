"""Runs of jobs and learners in MLflow, found again by their tags."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from learnfleet.server.config import Config
from learnfleet.server.domain import Job, JobState, Json, Learner
from learnfleet.server.failpoints import fp
from learnfleet.server.redact import redacted
from learnfleet.server.store.base import JobFilter, Page, Store
from learnfleet.server.tracking.mlflow_client import Connect, experiment_id, mlflow_client
from learnfleet.server.tracking.params import job_params, job_tags, learner_params, learner_tags
from learnfleet.server.tracking.points import end_ms
from learnfleet.server.tracking.sending import RunWriter, refusal
from learnfleet.server.tracking.summary import send_summary

if TYPE_CHECKING:
    from mlflow.entities import Run, RunInfo
    from mlflow.tracking import MlflowClient

STATUS = {JobState.SUCCEEDED: "FINISHED", JobState.FAILED: "FAILED", JobState.CANCELLED: "KILLED"}
JOB_TAG, LEARNER_TAG = "learnfleet.job", "learnfleet.learner"
_PARENT_TAG = "mlflow.parentRunId"
# The exporter and an export may both be the first to want a job's run: without it there would be two.
_LOCK = Lock()

_log = logging.getLogger(__name__)


class Runs:
    """Finds or makes the run of a job: nested under that of its learner."""

    def __init__(self, config: Config, store: Store, connect: Connect = mlflow_client) -> None:
        self._config, self._store, self._connect = config, store, connect

    def of_job(self, job: Job) -> str:
        """The run's id. Safe to repeat, from several threads; remembered in the store once it is known."""
        with _LOCK:
            job = self._store.get_job(job.id)
            if job.tracking is not None:
                return str(job.tracking["run_id"])
            client = self._connect(self._config)
            experiment = experiment_id(client, self._config)
            return self._make(client, experiment, job)

    def _make(self, client: MlflowClient, experiment: str, job: Job) -> str:
        learner = self._store.get_learner(job.learner_id)
        parent = self._of_learner(client, experiment, learner)
        if parent.status != "RUNNING":
            client.update_run(parent.run_id, status="RUNNING")
        tags = {**job_tags(job, learner.spec), _PARENT_TAG: parent.run_id}
        run_id = _find_or_make(
            client, experiment, (JOB_TAG, f"jobs/{job.id}"), tags, job.created_at.timestamp()
        ).info.run_id
        writer = RunWriter(client, run_id, f"jobs/{job.id}")
        writer.params(job_params(job, learner.spec))
        writer.note()
        # Clients are told it, and find the run by it in a browser: how the server logs in is none of their business.
        place = redacted(self._config.tracking_uri)
        tracking = {"tracking_uri": place, "experiment_id": experiment, "run_id": run_id}
        fp("mlflow.run_made")
        self._store.set_tracking(job.id, tracking)
        stored = self._store.get_job(job.id).tracking or tracking
        if stored["run_id"] != run_id:
            client.delete_run(run_id)  # another server, which no longer exports, had made one
        return str(stored["run_id"])

    def _of_learner(self, client: MlflowClient, experiment: str, learner: Learner) -> RunInfo:
        name = (LEARNER_TAG, f"learners/{learner.id}")
        run = _find_or_make(client, experiment, name, learner_tags(learner), learner.created_at.timestamp())
        if not run.data.params:  # new, or left so by a line that broke
            writer = RunWriter(client, run.info.run_id, f"learners/{learner.id}")
            writer.params(learner_params(learner.spec))
            writer.note()
        return run.info

    def end_learner(self, job: Job, rows: Sequence[Json]) -> None:
        """Tell the learner's run what its job, which has ended, came to, with the `rows` of its epoch table.

        The run ends as the learner's last job did, unless a job of it has not; the next job opens it again. A run that
        somebody has deleted stays deleted.
        """
        with _LOCK:
            why = refusal(partial(self._end_learner, job, rows))
        if why:
            _log.warning("learners/%s: its run does not hear of jobs/%s: %s", job.learner_id, job.id, why)

    def _end_learner(self, job: Job, rows: Sequence[Json]) -> None:
        client = self._connect(self._config)
        experiment = experiment_id(client, self._config)
        run = _find(client, experiment, (LEARNER_TAG, f"learners/{job.learner_id}"))
        if run is None:
            return
        send_summary(self._store, RunWriter(client, run.info.run_id, f"learners/{job.learner_id}"), job, rows)
        last = self._last_ended(job.learner_id)
        if last is not None:
            client.set_terminated(run.info.run_id, STATUS[last.state], end_ms(last))

    def _last_ended(self, learner_id: str) -> Job | None:
        unfinished = tuple(state for state in JobState if not state.final)
        if self._store.list_jobs(Page(1), JobFilter(learner_id, unfinished))[0]:
            return None
        newest, _ = self._store.list_jobs(Page(), JobFilter(learner_id))
        return max(newest, key=end_ms, default=None)


def _find(client: MlflowClient, experiment: str, name: tuple[str, str]) -> Run | None:
    """The run that has `name`, a tag and its value. If two servers made one each, all servers find the same."""
    found = client.search_runs([experiment], f"tags.`{name[0]}` = '{name[1]}'", max_results=10)
    return min(found, key=lambda run: str(run.info.run_id), default=None)


def _find_or_make(
    client: MlflowClient, experiment: str, name: tuple[str, str], tags: dict[str, str], time_s: float
) -> Run:
    found = _find(client, experiment, name)
    if found is not None:
        return found
    tags = {name[0]: name[1], **tags}
    try:
        return client.create_run(experiment, start_time=round(time_s * 1000), tags=tags, run_name=name[1])
    except Exception:
        found = _find(client, experiment, name)  # it may have been made before the line broke
        if found is None:
            raise
        return found
