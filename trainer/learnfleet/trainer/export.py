"""Exports: a self-describing folder from which a model can be used anywhere. Imports no torch.

model.safetensors   weights
spec.json           how the model is built, its classes, how a picture becomes its input, what it reached
model_card.md       the same for people
manifest.json       SHA-256 and size of each
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from learnfleet.trainer import manifest
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.spec import Json, LearnerSpec, WeightsSpec

SPEC_FILE = "spec.json"
CARD_FILE = "model_card.md"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class ExportSpec:
    """What `spec.json` says."""

    learner: LearnerSpec  # without weights to fetch or paths: the folder has all it takes
    classes: tuple[str, ...]
    eval_transform: Json
    metrics: dict[str, float]
    learnfleet_version: str


def export_from_checkpoint(
    checkpoint: Path,
    out: Path,
    spec: LearnerSpec,
    classes: Sequence[str],
    eval_transform: Json,
    metrics: Mapping[str, float],
) -> Path:
    """Make an export of a checkpoint (or of a `Learner.save`), verified first. Returns `out`, replaced if it exists.

    Raises CorruptCheckpoint.
    """
    source = manifest.verify(checkpoint)
    temporary = manifest.temporary_for(out)
    try:
        _link(checkpoint / manifest.MODEL_FILE, temporary / manifest.MODEL_FILE)
        content = ExportSpec(_portable(spec), tuple(classes), eval_transform, dict(metrics), installed_version())
        manifest.write_synced(temporary / SPEC_FILE, json.dumps(_to_json(content), indent=1).encode())
        manifest.write_synced(temporary / CARD_FILE, model_card(content, source).encode())
        manifest.write_manifest(
            temporary, job_id=source.job_id, attempt=source.attempt, step=source.step, epoch=source.epoch
        )
        manifest.publish(temporary, out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return out


def _link(source: Path, target: Path) -> None:
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
    if value.get("format_version") != FORMAT_VERSION:
        raise LearnerError("export", f"{folder} is of format {value.get('format_version')}, not {FORMAT_VERSION}")
    return ExportSpec(
        LearnerSpec.from_json(value["learner"]),
        tuple(value["classes"]),
        value["eval_transform"],
        value["metrics"],
        value["learnfleet_version"],
    )


_PREDICTS = {
    LabelKind.CATEGORY: ("Says which class a picture is of.", "Classes"),
    LabelKind.MULTI_CATEGORY: ("Says which labels a picture has, none or several.", "Labels"),
    LabelKind.FLOAT: ("Says numbers of a picture.", "Values"),
    LabelKind.MASK: ("Says which class each pixel of a picture is of.", "Classes"),
    LabelKind.POINTS: ("Says where points of a picture are.", "Places"),
    LabelKind.IMAGE: ("Makes another picture of a picture.", "Channels"),
    LabelKind.BOXES: ("Says where things of a picture are.", "Classes"),
    LabelKind.NONE: ("Was trained on pictures without labels.", "Outputs"),
}


def model_card(content: ExportSpec, source: manifest.CheckpointInfo) -> str:
    """What the model is, for people."""
    spec = content.learner
    size = " x ".join(str(side) for side in spec.data.size) or "any number of"
    metrics = "\n".join(f"| {name} | {value:.6f} |" for name, value in content.metrics.items())
    what, outputs = _PREDICTS[spec.data.labels]
    return f"""# {spec.architecture}, {len(content.classes)} {outputs.lower()}

{what} Made by learnfleet {content.learnfleet_version} in job {source.job_id}, after {source.epoch} epochs
({source.step} optimiser steps).

- {outputs}: {", ".join(content.classes)}
- Input: RGB pictures, {size} pixels ({spec.data.resize_method})
- Weights: `{manifest.MODEL_FILE}`, SHA-256 {source.model_sha256}

| on the validation set | |
|---|---|
{metrics}

Use it in Python:

```python
from learnfleet.trainer import load_predictor

predictor = load_predictor("path/to/this/folder")
print(predictor.predict("picture.jpg"))
```
"""


def installed_version() -> str:
    """Of this distribution; "0+unknown" in a bare checkout."""
    try:
        return version("learnfleet")
    except PackageNotFoundError:
        return "0+unknown"


def eval_transform_json(data: object) -> dict[str, Any] | None:
    """The validation transforms of a data bunch as JSON-able data, or None where it has none."""
    transform = getattr(data, "eval_transform", None)
    return transform.to_json() if transform is not None else None
