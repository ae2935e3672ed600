"""Runs of jobs and learners in MLflow, found again by their tags."""

from __future__ import annotations

import json
from typing import Any

from learnfleet.server.config import Config
from learnfleet.server.domain import ExportWork, Job, TrainWork
from learnfleet.server.store.base import Store
from learnfleet.server.tracking.mlflow_client import Connect, experiment_id, mlflow_client
from learnfleet.server.tracking.sending import RunWriter
from learnfleet.trainer.spec import stage_to_json

JOB_TAG, LEARNER_TAG = "learnfleet.job", "learnfleet.learner"
_PARENT_TAG = "mlflow.parentRunId"
_MAX_PARAM_CHARACTERS = 500


class Runs:
    """Finds or makes the run of a job: nested under that of its learner."""

    def __init__(self, config: Config, store: Store, connect: Connect = mlflow_client) -> None:
        self._config, self._store, self._connect = config, store, connect

    def of_job(self, job: Job) -> str:
        """The run's id. Safe to repeat; remembered in the store once it is known."""
        if job.tracking is not None:
            return str(job.tracking["run_id"])
        parent = self._find_or_make(LEARNER_TAG, f"learners/{job.learner_id}", {}, self._learner_time(job))
        kind = {"learnfleet.kind": str(job.kind), _PARENT_TAG: parent}
        run_id = self._find_or_make(JOB_TAG, f"jobs/{job.id}", kind, job.created_at.timestamp())
        self._log_params(run_id, job)
        self._store.set_tracking(
            job.id,
            {
                "tracking_uri": self._config.tracking_uri,
                "experiment_id": experiment_id(self._connect(self._config), self._config),
                "run_id": run_id,
            },
        )
        return run_id

    def _learner_time(self, job: Job) -> float:
        return self._store.get_learner(job.learner_id).created_at.timestamp()

    def _find_or_make(self, tag: str, name: str, tags: dict[str, str], time_s: float) -> str:
        client = self._connect(self._config)
        experiment = experiment_id(client, self._config)
        found = client.search_runs([experiment], f"tags.`{tag}` = '{name}'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        run = client.create_run(experiment, start_time=round(time_s * 1000), tags={tag: name, **tags}, run_name=name)
        return str(run.info.run_id)

    def _log_params(self, run_id: str, job: Job) -> None:
        from mlflow.entities import Param

        values = {key: str(value)[:_MAX_PARAM_CHARACTERS] for key, value in params_of(self._store, job).items()}
        writer = RunWriter(self._connect(self._config), run_id, f"jobs/{job.id}")
        writer.params([Param(key, value) for key, value in values.items()])
        writer.note()


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
