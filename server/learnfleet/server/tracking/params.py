"""What was asked for, flat, as MLflow's params, tags and data sets."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from learnfleet.server.domain import ExportWork, Job, Json, Learner, TrainWork
from learnfleet.server.store.rows import work_to_json
from learnfleet.trainer.spec import LearnerSpec, Stage, stage_to_json

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Param

_MAX_PARAM_CHARACTERS = 500
_SOURCE = {"mlflow.source.name": "learnfleet", "mlflow.source.type": "JOB"}


def learner_params(spec: LearnerSpec) -> list[Param]:
    """Of the run of a learner."""
    return _params({**dict(_flat("", spec.to_json())), "learnfleet_version": _version()})


def job_params(job: Job, spec: LearnerSpec) -> list[Param]:
    """Of the run of a job: the learner's, its work's, and what it ran on."""
    params = dict(_flat("", spec.to_json())) | {"learnfleet_version": _version()}
    params |= dict(_flat("", dataclasses.asdict(job.resources)))
    params |= {"tenant": job.tenant, "priority": job.priority}
    if isinstance(job.work, TrainWork):
        for index, stage in enumerate(job.work.stages):
            params |= dict(_flat(f"stages.{index}.", stage_to_json(stage)))
        params |= dict(_flat("checkpoints.", job.work.checkpoint_policy.to_json()))
    elif isinstance(job.work, ExportWork):
        params |= {"model": job.work.model_id, "aliases": ", ".join(job.work.aliases), "onnx": job.work.onnx}
    else:
        work = {key: value for key, value in work_to_json(job.work).items() if key != "kind"}
        for model in ("subject", "baseline"):  # their specifications may list a million pictures
            if work.get(model):
                work[model] = work[model]["name"]
        params |= dict(_flat("work.", work))
    return _params(params)


def learner_tags(learner: Learner) -> dict[str, str]:
    """Of the run of a learner, when it is made."""
    note = f"Learner `learners/{learner.id}`: {made_of(learner.spec)}. Its jobs are the runs nested in this one."
    return {**_SOURCE, "mlflow.user": learner.tenant, "learnfleet.kind": "learner", "mlflow.note.content": note}


def job_tags(job: Job, spec: LearnerSpec) -> dict[str, str]:
    """Of the run of a job, when it is made."""
    return {
        **_SOURCE,
        "mlflow.user": job.tenant,
        "learnfleet.kind": str(job.kind),
        "mlflow.note.content": _note(job, spec),
    }


def dataset_input(spec: LearnerSpec, data: Json) -> DatasetInput:
    """What the job was trained on, for MLflow's list of data sets; `data` is that of its `data` event."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = {"name": _data_name(spec), "path": spec.data.path}
    said = json.dumps(spec.data.to_json(), sort_keys=True)
    profile = {"items": data["counts"], "classes": len(data["classes"]), "skipped": data.get("skipped", 0)}
    dataset = Dataset(
        name=_data_name(spec)[-_MAX_PARAM_CHARACTERS:],
        digest=hashlib.sha256(said.encode()).hexdigest()[:12],
        source_type="learnfleet",
        source=json.dumps(source),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def _note(job: Job, spec: LearnerSpec) -> str:
    lines = [f"**{job.kind}** of `learners/{job.learner_id}` ({made_of(spec)})."]
    if isinstance(job.work, TrainWork):
        lines += [f"{nth}. {_told(stage)}" for nth, stage in enumerate(job.work.stages, start=1)]
    return "\n".join(lines)


def _told(stage: Stage) -> str:
    value = stage_to_json(stage)
    epochs = value.get("epochs")
    return f"{value['kind']}, {epochs} epochs" if epochs else str(value["kind"])


def made_of(spec: LearnerSpec) -> str:
    """In a few words."""
    return f"{spec.architecture} on `{_data_name(spec)}`"


def _data_name(spec: LearnerSpec) -> str:
    """The version of a registered data set, or where the data are."""
    data = spec.data
    return data.dataset.name if data.dataset is not None else data.path.rstrip("/") or "data"


def _version() -> str:
    try:
        return version("learnfleet")
    except PackageNotFoundError:  # run from a checkout
        return "unknown"


def _params(values: dict[str, Any]) -> list[Param]:
    from mlflow.entities import Param

    return [Param(key, str(value)[:_MAX_PARAM_CHARACTERS]) for key, value in values.items()]


def _flat(prefix: str, value: dict[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            found += _flat(f"{prefix}{key}.", item)
        elif item is not None and item != {}:
            found.append((f"{prefix}{key}", json.dumps(item) if isinstance(item, list) else item))
    return found
