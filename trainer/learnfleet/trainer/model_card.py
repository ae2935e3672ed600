"""The card of an export: what the model is, what it was trained on and how good it is. Imports no torch.

`card.json` holds it for programs; `README.md` says the same to people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.spec_base import Json, Spec

CARD_FILE, README_FILE = "card.json", "README.md"
_LISTED_CLASSES = 1000  # in the page; spec.json has all
_MATRIX_CLASSES = 30  # a larger matrix is no help on a page
_UNKNOWN = "not known"


@dataclass(frozen=True)
class DataFacts(Spec):
    """What the model was trained and validated on, as far as that is known. Never a path."""

    dataset: str = ""  # `datasets/{dataset}/versions/{version}`, where somebody keeps it
    train_items: int | None = None
    valid_items: int | None = None


@dataclass(frozen=True)
class ConfusedPair(Spec):
    """How often one class was taken for another."""

    actual: str
    predicted: str
    count: int


@dataclass(frozen=True)
class Confusion(Spec):
    """What an interpretation of this very state found."""

    source: str  # `interpretations/{interpretation}`
    dataset: str  # train, valid or test
    examples: int
    accuracy: float
    most_confused: tuple[ConfusedPair, ...] = ()
    matrix: tuple[tuple[int, ...], ...] = ()  # rows are actual classes; empty where it is too large for a page


@dataclass(frozen=True)
class OnnxFacts(Spec):
    """The same model as ONNX, or why there is none."""

    file: str = ""  # empty: it was not made
    opset: int = 0
    max_abs_difference: float | None = None  # of its activated outputs from those of this model in float32
    checked_items: int = 0  # that the difference was looked for in
    runtime: str = ""  # with which
    reason: str = ""  # why it was not made


@dataclass(frozen=True)
class Facts(Spec):
    """What only the maker of an export knows."""

    data: DataFacts = DataFacts()
    confusion: Confusion | None = None
    learner: str = ""  # `learners/{learner}`


@dataclass(frozen=True)
class ModelCard(Spec):
    """What `card.json` says. Fields are only ever added."""

    architecture: str
    kind: LabelKind
    classes: tuple[str, ...]
    size: tuple[int, ...]  # rows, columns; empty: each picture keeps its own
    resize_method: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    precision: str
    weights_sha256: str
    learnfleet_version: str
    job: str
    epochs: int
    steps: int
    metrics: Json  # on the validation set, by name
    facts: Facts = Facts()
    onnx: OnnxFacts | None = None  # None: nobody asked for it


def card_files(card: ModelCard) -> dict[str, bytes]:
    """Its two files, by name."""
    return {
        CARD_FILE: json.dumps(card.to_json(), indent=1).encode(),
        README_FILE: render(card).encode(),
    }


def read_card(folder: Path) -> ModelCard:
    """Of an export of format 2 or later."""
    return ModelCard.from_json(json.loads((folder / CARD_FILE).read_bytes()))


_PREDICTS = {
    LabelKind.CATEGORY: ("Says which class a picture is of.", "Classes", "image-classification"),
    LabelKind.MULTI_CATEGORY: ("Says which labels a picture has, none or several.", "Labels", "image-classification"),
    LabelKind.FLOAT: ("Says numbers of a picture.", "Values", "other"),
    LabelKind.MASK: ("Says which class each pixel of a picture is of.", "Classes", "image-segmentation"),
    LabelKind.POINTS: ("Says where points of a picture are.", "Places", "keypoint-detection"),
    LabelKind.IMAGE: ("Makes another picture of a picture.", "Channels", "image-to-image"),
    LabelKind.BOXES: ("Says where things of a picture are.", "Classes", "object-detection"),
    LabelKind.NONE: ("Was trained on pictures without labels.", "Outputs", "other"),
}


def render(card: ModelCard) -> str:
    """The card as a page: Markdown with the header that model hubs read."""
    what, outputs, task = _PREDICTS[card.kind]
    return "\n".join(
        [
            *_header(card, task),
            f"# {card.architecture}, {len(card.classes)} {outputs.lower()}",
            "",
            f"{what} Made by learnfleet {card.learnfleet_version} in job {card.job}, after {card.epochs} epochs"
            f" ({card.steps} optimiser steps).",
            "",
            *_input(card, outputs),
            *_data(card.facts),
            *_metrics(card),
            *_confusion(card),
            *_onnx(card.onnx),
            *_use(),
        ]
    )


def _header(card: ModelCard, task: str) -> list[str]:
    tags = json.dumps(["learnfleet", card.architecture])
    return ["---", "library_name: learnfleet", f"pipeline_tag: {task}", f"tags: {tags}", "---", ""]


def _input(card: ModelCard, outputs: str) -> list[str]:
    size = " x ".join(str(side) for side in card.size) or "any number of"
    shown = ", ".join(card.classes[:_LISTED_CLASSES])
    more = f", and {len(card.classes) - _LISTED_CLASSES} more" if len(card.classes) > _LISTED_CLASSES else ""
    return [
        f"- {outputs}: {shown}{more}",
        f"- Input: RGB pictures, {size} pixels ({card.resize_method}); mean {list(card.mean)}, std {list(card.std)}",
        f"- Computed in {card.precision}",
        f"- Weights: `model.safetensors`, SHA-256 {card.weights_sha256}",
        "",
    ]


def _data(facts: Facts) -> list[str]:
    counts = facts.data.train_items, facts.data.valid_items
    train, valid = (_UNKNOWN if count is None else f"{count:,} items" for count in counts)
    lines = ["## Data", "", f"- Trained on: {train}", f"- Validated on: {valid}"]
    if facts.data.dataset:
        lines.append(f"- Data set: `{facts.data.dataset}`")
    if facts.learner:
        lines.append(f"- Learner: `{facts.learner}`")
    return [*lines, ""]


def _metrics(card: ModelCard) -> list[str]:
    if not card.metrics:
        return ["## Metrics", "", "None were measured at this state.", ""]
    rows = [f"| {name} | {value:.6f} |" for name, value in card.metrics.items()]
    return ["## Metrics", "", "| on the validation set | |", "|---|---|", *rows, ""]


def _confusion(card: ModelCard) -> list[str]:
    found = card.facts.confusion
    if found is None:
        return []
    lines = [
        "## What it gets wrong",
        "",
        f"`{found.source}`, on the {found.dataset} data: {found.accuracy:.1%} of {found.examples:,} are right.",
        "",
    ]
    lines += [f"- {pair.count} of {pair.actual} taken for {pair.predicted}" for pair in found.most_confused]
    if found.most_confused:
        lines.append("")
    return [*lines, *_matrix(found.matrix, card.classes)]


def _matrix(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Iterator[str]:
    if not matrix or len(matrix) > _MATRIX_CLASSES:
        return
    classes = [name.replace("|", r"\|") for name in classes]
    yield f"| actual \\ predicted | {' | '.join(classes)} |"
    yield "|---" * (len(classes) + 1) + "|"
    for name, counts in zip(classes, matrix, strict=False):
        yield f"| {name} | {' | '.join(str(count) for count in counts)} |"
    yield ""


def _onnx(onnx: OnnxFacts | None) -> list[str]:
    if onnx is None:
        return []
    if not onnx.file:
        return ["## ONNX", "", f"Not made: {onnx.reason}", ""]
    return [
        "## ONNX",
        "",
        f"`{onnx.file}` (opset {onnx.opset}) is the same model in float32, with normalisation and activation in it:"
        " uint8 pixels [N, 3, rows, columns] in, resized as `spec.json` says.",
        f"Greatest absolute difference from this model: {onnx.max_abs_difference:.3g}, over {onnx.checked_items} items"
        f" in batches of different sizes ({onnx.runtime}).",
        "",
    ]


def _use() -> list[str]:
    return [
        "## Intended use",
        "",
        "To be written by whoever publishes the model: what it is for, what it is not for, and its licence.",
        "",
        "## How to use it",
        "",
        "```python",
        "from learnfleet.trainer import load_predictor",
        "",
        'predictor = load_predictor("path/to/this/folder")',
        'print(predictor.predict("picture.jpg"))',
        "```",
        "",
    ]
