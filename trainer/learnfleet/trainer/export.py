"""Exports: a self-describing folder from which a model can be used anywhere. Imports no torch.

model.safetensors    weights
spec.json            how the model is built, its classes, how a picture becomes its input, what it reached
signature.json       what goes in and what comes out, as MLflow has it
card.json, README.md the model card, for programs and for people
manifest.json        SHA-256 and size of each

What needs torch to be made is added by export_parts.py: an example, and the model as ONNX. docs/exports.md says all of
it. A folder of an earlier format is read as long as `_READABLE` has it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from learnfleet.trainer import manifest
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.export_signature import SIGNATURE_FILE, signature
from learnfleet.trainer.model_card import Facts, ModelCard, card_files
from learnfleet.trainer.spec import Json, LearnerSpec, WeightsSpec

SPEC_FILE = "spec.json"
EXAMPLE_FILE, ANSWER_FILE, ONNX_FILE = "input_example.png", "example_output.json", "model.onnx"  # see export_parts.py
FORMAT_VERSION = 2
# 1 had no signature, and its card for people alone (model_card.md).
_READABLE = (1, FORMAT_VERSION)
_VERSIONS_OF = ("learnfleet", "torch", "torchvision", "timm", "safetensors", "pillow")


@dataclass(frozen=True)
class ExportSpec:
    """What `spec.json` says."""

    learner: LearnerSpec  # without weights to fetch or paths: the folder has all it takes
    classes: tuple[str, ...]
    eval_transform: Json
    metrics: dict[str, float]
    learnfleet_version: str
    versions: dict[str, str] = field(default_factory=dict)  # of the libraries where it was made
    format_version: int = FORMAT_VERSION


def export_from_checkpoint(
    checkpoint: Path,
    out: Path,
    spec: LearnerSpec,
    classes: Sequence[str],
    eval_transform: Json,
    metrics: Mapping[str, float],
    facts: Facts = Facts(),  # noqa: B008  # frozen
) -> Path:
    """Make an export of a checkpoint (or of a `Learner.save`), verified first. Returns `out`, replaced if it exists.

    Args:
        facts: for the card.

    Raises CorruptCheckpoint.
    """
    source = manifest.verify(checkpoint)
    temporary = manifest.temporary_for(out)
    try:
        link(checkpoint / manifest.MODEL_FILE, temporary / manifest.MODEL_FILE)
        for name, written in _files(_described(spec, classes, eval_transform, metrics), source, facts).items():
            manifest.write_synced(temporary / name, written)
        manifest.write_manifest(
            temporary, job_id=source.job_id, attempt=source.attempt, step=source.step, epoch=source.epoch
        )
        manifest.publish(temporary, out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return out


def _described(
    spec: LearnerSpec, classes: Sequence[str], eval_transform: Json, metrics: Mapping[str, float]
) -> ExportSpec:
    versions = {name: found for name in _VERSIONS_OF if (found := _version_of(name)) is not None}
    return ExportSpec(_portable(spec), tuple(classes), eval_transform, dict(metrics), installed_version(), versions)


def _files(content: ExportSpec, source: manifest.CheckpointInfo, facts: Facts) -> dict[str, bytes]:
    """What stands beside the weights, by name."""
    texts = {SPEC_FILE: _to_json(content), SIGNATURE_FILE: signature(content.learner.data.labels)}
    return {
        **{name: json.dumps(value, indent=1).encode() for name, value in texts.items()},
        **card_files(_card(content, source, facts)),
    }


def _card(content: ExportSpec, source: manifest.CheckpointInfo, facts: Facts) -> ModelCard:
    learner, transform = content.learner, content.eval_transform
    return ModelCard(
        architecture=learner.architecture,
        kind=learner.data.labels,
        classes=content.classes,
        size=tuple(transform["size"]),
        resize_method=transform["resize_method"],
        mean=tuple(transform["mean"]),
        std=tuple(transform["std"]),
        precision=learner.precision,
        weights_sha256=source.model_sha256,
        learnfleet_version=content.learnfleet_version,
        job=source.job_id,
        epochs=source.epoch,
        steps=source.step,
        metrics={name: value for name, value in content.metrics.items() if math.isfinite(value)},
        facts=facts,
    )


def link(source: Path, target: Path) -> None:
    """The same bytes under another name: a hard link where the file system has them, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _portable(spec: LearnerSpec) -> LearnerSpec:
    """The spec without weights to fetch, paths, the names of the pictures that it was trained on, and what takes part
    in training alone.
    """
    data = dataclasses.replace(
        spec.data, path="", source="list", items=(), classes=None, test=None, table=None, masks=None, pattern=None
    )
    return dataclasses.replace(spec, weights=WeightsSpec(), data=data, callbacks=(), clip_grad=None, accumulate=1)


def _to_json(content: ExportSpec) -> Json:
    return {
        "format_version": FORMAT_VERSION,
        "learnfleet_version": content.learnfleet_version,
        "versions": content.versions,
        "learner": content.learner.to_json(),
        "classes": list(content.classes),
        "eval_transform": content.eval_transform,
        "metrics": content.metrics,
    }


def read_export(folder: Path) -> ExportSpec:
    """What an export says of itself, after checking every file. Raises CorruptCheckpoint or LearnerError."""
    manifest.verify(folder)
    try:
        value = json.loads((folder / SPEC_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise LearnerError("export", f"{folder} is not an export: {SPEC_FILE} cannot be read ({error})") from error
    format_version = value.get("format_version")
    if format_version not in _READABLE:
        raise LearnerError(
            "export",
            f"{folder} is of format {format_version}, and this learnfleet reads {' and '.join(map(str, _READABLE))}:"
            " take one that is at least as new as the one that wrote it",
        )
    return ExportSpec(
        LearnerSpec.from_json(value["learner"]),
        tuple(value["classes"]),
        value["eval_transform"],
        value["metrics"],
        value["learnfleet_version"],
        value.get("versions", {}),
        format_version,
    )


def installed_version() -> str:
    """Of this distribution; "0+unknown" in a bare checkout."""
    return _version_of("learnfleet") or "0+unknown"


def _version_of(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def eval_transform_json(data: object) -> dict[str, Any] | None:
    """The validation transforms of a data bunch as JSON-able data, or None where it has none."""
    transform = getattr(data, "eval_transform", None)
    return transform.to_json() if transform is not None else None
