"""Models and their versions, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from learnfleet.client import cards
from learnfleet.client.times import time_of
from learnfleet.v1 import job_pb2
from learnfleet.v1 import model_service_pb2 as pb


@dataclass(frozen=True)
class OnnxModel:
    """What became of a version as ONNX."""

    opset: int  # 0 where it was not made
    max_abs_difference: float | None  # of its outputs from the model's own in float32
    not_made: str  # why; empty where it was made

    @classmethod
    def from_proto(cls, message: job_pb2.OnnxModel) -> OnnxModel:
        has_difference = message.HasField("max_abs_difference")
        return cls(message.opset, message.max_abs_difference if has_difference else None, message.not_made)

    def __str__(self) -> str:
        if self.not_made:
            return f"not made: {self.not_made}"
        return f"opset {self.opset}, within {self.max_abs_difference or 0:.3g} of the model"


@dataclass(frozen=True)
class Model:
    """A model in the registry: versions under one name."""

    name: str  # models/{model}
    description: str
    aliases: Mapping[str, str]  # models/{model}/versions/{version} by alias
    create_time: datetime
    update_time: datetime
    tenant: str

    @classmethod
    def from_proto(cls, message: pb.Model) -> Model:
        return cls(
            message.name,
            message.description,
            dict(message.aliases),
            time_of(message.create_time),
            time_of(message.update_time),
            message.tenant,
        )

    def __str__(self) -> str:
        return self.name

    def _repr_html_(self) -> str:
        aliases = {f"@{alias}": version for alias, version in sorted(self.aliases.items())}
        return cards.card(self.name, {**aliases, "about": self.description})


@dataclass(frozen=True)
class ModelVersion:
    """An export in the model registry. Made of its name alone it knows no more than that."""

    name: str  # models/{model}/versions/{version}
    model: str
    version: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    learner: str = ""
    checkpoint: str = ""
    job: str = ""
    model_sha256: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    onnx: OnnxModel | None = None  # None: it was not asked for
    create_time: datetime | None = None
    mlflow_uri: str = ""  # for mlflow.pyfunc.load_model

    @classmethod
    def from_name(cls, name: str, onnx: OnnxModel | None = None) -> ModelVersion:
        _, model, _, version = name.split("/")
        return cls(name, model, version, onnx=onnx, mlflow_uri=f"models:/{model}/{version}")

    @classmethod
    def from_proto(cls, message: pb.ModelVersion) -> ModelVersion:
        _, model, _, version = message.name.split("/")
        return cls(
            message.name,
            model,
            version,
            tuple(message.aliases),
            message.description,
            message.learner,
            message.checkpoint,
            message.job,
            message.model_sha256,
            dict(message.metrics),
            OnnxModel.from_proto(message.onnx) if message.HasField("onnx") else None,
            time_of(message.create_time),
            message.mlflow_uri,
        )

    def __str__(self) -> str:
        return self.name

    def _repr_html_(self) -> str:
        facts = {
            "model": self.model,
            "version": self.version,
            "aliases": ", ".join(self.aliases),
            "of": self.checkpoint or self.learner,
            "metrics": ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items()),
            "ONNX": self.onnx,
        }
        return cards.card(self.name, facts)
