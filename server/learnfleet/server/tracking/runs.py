"""Runs of jobs and learners in MLflow, found again by their tags."""

from __future__ import annotations

import json
from threading import Lock
from typing import TYPE_CHECKING, Any

from learnfleet.server.config import Config
from learnfleet.server.domain import ExportWork, Job, JobState, TrainWork
from learnfleet.server.failpoints import fp
from learnfleet.server.store.base import JobFilter, Page, Store
from learnfleet.server.tracking.mlflow_client import Connect, experiment_id, mlflow_client
from learnfleet.server.tracking.sending import RunWriter
from learnfleet.trainer.spec import stage_to_json

if TYPE_CHECKING:
    from mlflow.entities import RunInfo
    from mlflow.tracking import MlflowClient

STATUS = {JobState.SUCCEEDED: "FINISHED", JobState.FAILED: "FAILED", JobState.CANCELLED: "KILLED"}
JOB_TAG, LEARNER_TAG = "learnfleet.job", "learnfleet.learner"
_PARENT_TAG = "mlflow.parentRunId"
_MAX_PARAM_CHARACTERS = 500
# The exporter and an export may both be the first to want a job's run: without it there would be two.
_LOCK = Lock()


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
        made_s = self._store.get_learner(job.learner_id).created_at.timestamp()
        parent = _find_or_make(client, experiment, (LEARNER_TAG, f"learners/{job.learner_id}"), {}, made_s)
        if parent.status != "RUNNING":
            client.update_run(parent.run_id, status="RUNNING")
        tags = {"learnfleet.kind": str(job.kind), _PARENT_TAG: parent.run_id}
        run_id = _find_or_make(client, experiment, (JOB_TAG, f"jobs/{job.id}"), tags, job.created_at.timestamp()).run_id
        self._log_params(run_id, job)
        tracking = {"tracking_uri": self._config.tracking_uri, "experiment_id": experiment, "run_id": run_id}
        fp("mlflow.run_made")
        self._store.set_tracking(job.id, tracking)
        return str(run_id)

    def end_learner(self, learner_id: str) -> None:
        """End the learner's run as its last job ended, unless a job of it has not. Its next job opens it again."""
        with _LOCK:
            last = self._last_ended(learner_id)
            if last is None:
                return
            client = self._connect(self._config)
            experiment = experiment_id(client, self._config)
            found = client.search_runs([experiment], _tagged(LEARNER_TAG, f"learners/{learner_id}"), max_results=1)
            if found:
                client.set_terminated(found[0].info.run_id, STATUS[last.state], end_ms(last))

    def _last_ended(self, learner_id: str) -> Job | None:
        unfinished = tuple(state for state in JobState if not state.final)
        if self._store.list_jobs(Page(1), JobFilter(learner_id, unfinished))[0]:
            return None
        newest, _ = self._store.list_jobs(Page(), JobFilter(learner_id))
        return max(newest, key=end_ms)

    def _log_params(self, run_id: str, job: Job) -> None:
        from mlflow.entities import Param

        values = {key: str(value)[:_MAX_PARAM_CHARACTERS] for key, value in params_of(self._store, job).items()}
        writer = RunWriter(self._connect(self._config), run_id, f"jobs/{job.id}")
        writer.params([Param(key, value) for key, value in values.items()])
        writer.note()


def _find_or_make(
    client: MlflowClient, experiment: str, name: tuple[str, str], tags: dict[str, str], time_s: float
) -> RunInfo:
    """The run that has `name`, a tag and its value."""
    found = client.search_runs([experiment], _tagged(*name), max_results=1)
    if found:
        return found[0].info
    tags = {name[0]: name[1], **tags}
    return client.create_run(experiment, start_time=round(time_s * 1000), tags=tags, run_name=name[1]).info


def _tagged(tag: str, value: str) -> str:
    return f"tags.`{tag}` = '{value}'"


def end_ms(job: Job) -> int:
    """When the job ended, in MLflow's unit."""
    return round((job.ended_at or job.updated_at).timestamp() * 1000)


def params_of(store: Store, job: Job) -> dict[str, Any]:
    """What was asked for, flat."""
    params = dict(_flat("", store.get_learner(job.learner_id).spec.to_json()))
    params |= {"num_workers": job.resources.num_workers, "gpus_per_worker": job.resources.gpus_per_worker}
    if isinstance(job.work, TrainWork):
        for index, stage in enumerate(job.work.stages):
            params |= dict(_flat(f"stages.{index}.", stage_to_json(stage)))
    if isinstance(job.work, ExportWork):
        params["model"] = job.work.model_id
    return params


def _flat(prefix: str, value: dict[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            found += _flat(f"{prefix}{key}.", item)
        elif item is not None and item != {}:
            found.append((f"{prefix}{key}", json.dumps(item) if isinstance(item, list) else item))
    return found
