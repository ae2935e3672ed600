"""Resource names: parsed and made in this file only."""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass

from learnfleet.server.errors import FieldViolation, InvalidArgument

_ID = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_MODEL_ID = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62})"
_ALIAS = r"[A-Za-z][A-Za-z0-9_-]{0,62}"
_PICTURE = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,99})"
_ALPHABET = string.ascii_lowercase + string.digits

ID_RULE = "lower-case letters, digits and '-', starting and ending with a letter or digit, 1 to 63 characters"
ALIAS_RULE = (
    "letters, digits, '-' and '_', starting with a letter, 1 to 63 characters, and not `latest` or a number after `v`"
)
MODEL_ID_RULE = "letters, digits, '-', '_' and '.', starting with a letter or digit, 1 to 63 characters"


@dataclass(frozen=True)
class ModelRef:
    """`models/{model}/versions/{version}` or `models/{model}@{alias}`: exactly one of version and alias is set."""

    model: str
    version: str | None = None
    alias: str | None = None

    def __str__(self) -> str:
        return f"models/{self.model}@{self.alias}" if self.alias else f"models/{self.model}/versions/{self.version}"


def new_id() -> str:
    """A fresh id: 12 characters, about 62 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


def is_id(value: str) -> bool:
    return re.fullmatch(_ID, value) is not None


def is_model_id(value: str) -> bool:
    return re.fullmatch(_MODEL_ID, value) is not None


def is_alias(value: str) -> bool:
    """MLflow has meanings of its own for `latest` and `v2`."""
    is_reserved = value.lower() == "latest" or re.fullmatch(r"[vV]\d+", value) is not None
    return re.fullmatch(_ALIAS, value) is not None and not is_reserved


def job_name(job_id: str) -> str:
    return f"jobs/{job_id}"


def learner_name(learner_id: str) -> str:
    return f"learners/{learner_id}"


def checkpoint_name(learner_id: str, checkpoint_id: str) -> str:
    return f"learners/{learner_id}/checkpoints/{checkpoint_id}"


def examined(name: str) -> tuple[str, str]:
    """(model version, checkpoint) of what was examined: its name where it is such, else ""."""
    return name if name.startswith("models/") else "", name if "/checkpoints/" in name else ""


def interpretation_name(interpretation_id: str) -> str:
    return f"interpretations/{interpretation_id}"


def parse_job(name: str, field: str = "name") -> str:
    """The id in `jobs/{job}`. Raises InvalidArgument naming `field`."""
    return _parse(rf"jobs/({_ID})", name, field, "jobs/{job}")[0]


def parse_learner(name: str, field: str = "name") -> str:
    """The id in `learners/{learner}`."""
    return _parse(rf"learners/({_ID})", name, field, "learners/{learner}")[0]


def parse_checkpoint(name: str, field: str = "name") -> tuple[str, str]:
    """(learner id, checkpoint id) in `learners/{learner}/checkpoints/{checkpoint}`."""
    form = "learners/{learner}/checkpoints/{checkpoint}"
    learner, checkpoint = _parse(rf"learners/({_ID})/checkpoints/({_ID})", name, field, form)
    return learner, checkpoint


def parse_interpretation(name: str, field: str = "name") -> str:
    """The id in `interpretations/{interpretation}`."""
    return _parse(rf"interpretations/({_ID})", name, field, "interpretations/{interpretation}")[0]


def picture_name(job_id: str, picture: str) -> str:
    return f"jobs/{job_id}/pictures/{picture}"


def parse_picture(name: str, field: str = "name") -> tuple[str, str]:
    """(job id, picture) in `jobs/{job}/pictures/{picture}`."""
    job, picture = _parse(rf"jobs/({_ID})/pictures/({_PICTURE})", name, field, "jobs/{job}/pictures/{picture}")
    return job, picture


def dataset_name(dataset_id: str) -> str:
    return f"datasets/{dataset_id}"


def dataset_version_name(dataset_id: str, version: int) -> str:
    return f"datasets/{dataset_id}/versions/{version}"


def parse_dataset(name: str, field: str = "name") -> str:
    """The id in `datasets/{dataset}`."""
    return _parse(rf"datasets/({_ID})", name, field, "datasets/{dataset}")[0]


def parse_dataset_version(name: str, field: str = "name") -> tuple[str, int | None]:
    """(dataset id, version) in `datasets/{dataset}/versions/{version}`; without a version None."""
    form = "datasets/{dataset} or datasets/{dataset}/versions/{version}"
    dataset, version = _parse(rf"datasets/({_ID})(?:/versions/([1-9][0-9]{{0,8}}))?", name, field, form)
    return dataset, int(version) if version else None


def model_name(model_id: str) -> str:
    return f"models/{model_id}"


def parse_model_name(name: str, field: str = "name") -> str:
    """The id in `models/{model}`."""
    return _parse(rf"models/({_MODEL_ID})", name, field, "models/{model}")[0]


def parse_model(name: str, field: str = "model") -> ModelRef:
    """`models/{model}/versions/{version}` or `models/{model}@{alias}`."""
    form = "models/{model}/versions/{version} or models/{model}@{alias}"
    pattern = rf"models/({_MODEL_ID})(?:/versions/([1-9][0-9]{{0,8}})|@({_ALIAS}))"
    model, version, alias = _parse(pattern, name, field, form)
    return ModelRef(model, version or None, alias or None)


def _parse(pattern: str, name: str, field: str, form: str) -> tuple[str, ...]:
    match = re.fullmatch(pattern, name)
    if match is None:
        shown = f"'{name[:80]}'" if name else "empty"
        raise InvalidArgument([FieldViolation(field, f"is {shown}; must be of the form {form}")])
    return tuple(group or "" for group in match.groups())
