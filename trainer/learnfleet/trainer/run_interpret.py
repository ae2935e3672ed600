"""The interpretation job: what a learner gets wrong, as JSON-able data and pictures. Every rank calls the same."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from safetensors.torch import load_file

from learnfleet.trainer import dataset_items, plots
from learnfleet.trainer.build import build_learner
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.examination import Examination, measured, predicted
from learnfleet.trainer.examination_json import measures_json
from learnfleet.trainer.heartbeat import HEARTBEAT
from learnfleet.trainer.inference import plain_type
from learnfleet.trainer.interpret import Interpretation, TopLoss, heat_maps
from learnfleet.trainer.interpret_classes import ClassificationInterpretation
from learnfleet.trainer.interpret_labels import MultiLabelClassificationInterpretation
from learnfleet.trainer.interpret_masks import SegmentationInterpretation
from learnfleet.trainer.interruption import heeding
from learnfleet.trainer.item_files import ItemFiles
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.learner_state import restore_model
from learnfleet.trainer.losses_file import write_losses
from learnfleet.trainer.manifest import MODEL_FILE
from learnfleet.trainer.run_context import RunContext, report_picture
from learnfleet.trainer.run_data import DataReporter
from learnfleet.trainer.spec import LearnerSpec

_GREATEST = float(np.finfo(np.float64).max)
_MASKS_AT_MOST = 6  # rows of a picture of masks
_LABELS_AT_MOST = 20  # misclassified pictures of several labels in one figure
_WRONG_AT_MOST = 1000  # that are listed
_KEPT_DIR = "predictions"


def run_interpret(
    learner: Learner,
    context: RunContext,
    *,
    top_losses: int,
    min_confused: int,
    output_dir: Path,
    ds_type: DatasetType = DatasetType.Valid,
    tta: bool = False,
    parts: Sequence[str] = (),
    slice_columns: Sequence[str] = (),
    metadata: str = "",
    void_class: str = "",
    examples: int = 24,
    baseline: dict[str, Any] | None = None,
    least_losses: int = 0,
) -> dict[str, Any]:
    """Find what the learner's present state gets wrong. Every rank must call.

    Predictions are kept in `predictions` beside the learner's checkpoints. Raises Interrupted, and LearnerError naming
    the argument. Returns JSON-able data, see `examination_json`; rank 0 writes plots and pictures to `output_dir`, and
    is the only one that has more than the interpretation itself.

    Args:
        parts, slice_columns, metadata, void_class: as of `examine`.
        examples: fixed and broken items that are listed, of each.
        baseline: {"name", "export", "spec"}: an exported model on the same data, to compare with.
        top_losses, least_losses: so many items with the greatest and the least losses are listed and drawn.
    """
    data = DataReporter(learner.data, context.emit, is_main=learner.world.is_main)
    before = _baseline(learner, baseline) if baseline else None
    try:
        with heeding(learner, context.stop_requested):
            if before is not None:
                before.stop_requested = learner.stop_requested
            examined = predicted(
                learner,
                ds_type,
                parts=parts,
                slice_columns=slice_columns,
                metadata=metadata,
                void_class=void_class,
                baseline=before,
                tta=tta,
                cache=context.checkpoint_root.parent / _KEPT_DIR,
            )
    finally:
        skipped = int(learner.world.sum(data.skipped_tensor()).item())
        data.close()
    # From here on rank 0 works alone, for longer than the others would wait for it.
    if learner.world.is_main:
        examined = measured(examined)
    with HEARTBEAT.long_work():
        return _written(
            examined, context, data, _Asked(top_losses, least_losses, min_confused, examples, output_dir), skipped
        )


@dataclass(frozen=True)
class _Asked:
    top_losses: int
    least_losses: int
    min_confused: int
    examples: int
    folder: Path


def _baseline(learner: Learner, told: dict[str, Any]) -> Learner:
    """The model of an export, on this learner's ranks."""
    spec, world = LearnerSpec.from_json(told["spec"]), learner.world
    before = build_learner(spec, device=str(learner.device), rank=world.rank, world_size=world.size)
    restore_model(before, load_file(Path(told["export"]) / MODEL_FILE, str(learner.device)))
    return before


def _written(
    examined: Examination, context: RunContext, data: DataReporter, asked: _Asked, skipped: int
) -> dict[str, Any]:
    """What was found as JSON-able data, and on rank 0 its files."""
    found, parts = examined.interpretation, examined.parts
    is_main, ds_type = found.learn.world.is_main, found.ds_type
    files = ItemFiles(found, asked.folder) if is_main else None
    top_losses, least_losses = (asked.top_losses, asked.least_losses) if "top_losses" in parts else (0, 0)
    result: dict[str, Any] = {
        "kind": _kind(found),
        "dataset": plain_type(ds_type).name.lower(),
        "classes": found.classes,
        "examples": len(found.losses),
        "loss": _finite(found.mean_loss),
        **_counted(found, asked.min_confused, parts),
        "top_losses": _top_losses(found, top_losses, files, "heat_maps" in parts),
        "least_losses": _top_losses(found, least_losses, files, "heat_maps" in parts, largest=False),
        **_of_labels(found, data, ds_type),
        "intersection": _intersection(found) if "confusion" in parts else [],
        "skipped_images": skipped,
        "pictures": [],
        **measures_json(examined, files, asked.examples),
    }
    if is_main:
        result["pictures"] = [
            report_picture(context, name, plots.save_png(figure, asked.folder / f"{name}.png"))
            for name, figure in _figures(found, top_losses, least_losses, parts).items()
        ]
        if "top_losses" in parts:
            write_losses(found, asked.folder)
    return result


def _top_losses(
    found: Interpretation, wanted: int, files: ItemFiles | None, with_heat: bool, *, largest: bool = True
) -> list[dict[str, Any]]:
    """The items, on rank 0 each with its picture and where the score of its actual class comes from."""
    count = min(wanted, len(found.losses))
    if not count:
        return []
    rows = found.top_rows(count, largest)[1].tolist()
    heats = heat_maps(found, rows) if files is not None and with_heat else [None] * count
    listed = []
    for row, heat in zip(rows, heats, strict=True):
        item, learn = found.describe(row), found.learn
        path = dataset_items.file_of(learn.data, found.ds_type, item.index)
        picture = files.picture(item.index) if files is not None else ""
        heat_map = files.heat_map(item.index, heat) if files is not None else ""
        if files is not None and with_heat and not heat_map:
            heat_map = files.wrong_pixels(row)
        listed.append({**_described(item), "path": path, "picture": picture, "heat_map": heat_map})
    return listed


def _of_labels(found: Interpretation, data: DataReporter, ds_type: DatasetType) -> dict[str, Any]:
    """The pictures of several labels that have a wrong one; empty for other kinds."""
    if not isinstance(found, MultiLabelClassificationInterpretation):
        return {"misclassified_count": 0, "misclassified": []}
    wrong = found.misclassified()
    listed = [{**_described(item), "path": data.path_of(item.index, ds_type)} for item in wrong[:_WRONG_AT_MOST]]
    return {"misclassified_count": len(wrong), "misclassified": listed}


def _intersection(found: Interpretation) -> list[list[float]]:
    """Of masks, P(predicted | actual); an empty row for a class that does not occur."""
    if not isinstance(found, SegmentationInterpretation):
        return []
    return [[] if np.isnan(row).any() else row.tolist() for row in found.generate_confusion()[0]]


def _kind(found: Interpretation) -> str:
    if isinstance(found, SegmentationInterpretation):
        return "mask"
    if isinstance(found, ClassificationInterpretation):
        return "category" if found.y_true.ndim == 1 else "multi_category"
    return "float"


def _counted(found: Interpretation, min_confused: int, parts: Sequence[str]) -> dict[str, Any]:
    """What follows from the counts; empty for numbers, and for what was not asked for."""
    if not isinstance(found, ClassificationInterpretation | SegmentationInterpretation):
        return {"accuracy": 0.0, "confusion_matrix": [], "label_confusion": [], "most_confused": [], "class_report": []}
    confused, counts = found.most_confused(min_confused), found.confusion_matrix(slice_size=None)
    if "confusion" not in parts:
        confused, counts = [], counts[:0].reshape(0)
    return {
        "accuracy": _finite(found.accuracy),
        "confusion_matrix": counts.tolist() if counts.ndim == 2 else [],
        "label_confusion": counts.tolist() if counts.ndim == 3 else [],
        "most_confused": [{"actual": actual, "predicted": given, "count": count} for actual, given, count in confused],
        "class_report": _class_report(found) if "class_report" in parts else [],
    }


def _class_report(found: ClassificationInterpretation | SegmentationInterpretation) -> list[dict[str, Any]]:
    scores = found.class_scores()
    columns = {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1, "iou": scores.iou}
    return [
        {"class": name, **{key: _or_none(values, row) for key, values in columns.items()}, "support": int(support)}
        for row, (name, support) in enumerate(zip(found.classes, scores.support.tolist(), strict=True))
    ]


def _or_none(values: npt.NDArray[np.float64], row: int) -> float | None:
    value = float(values[row])
    return None if math.isnan(value) else value


def _finite(value: float) -> float:
    """JSON has neither NaN nor infinity: they become the greatest number, which no loss ever is."""
    if math.isnan(value):
        return _GREATEST
    return min(max(value, -_GREATEST), _GREATEST)


def _described(item: TopLoss) -> dict[str, Any]:
    known = item.probability is not None and math.isfinite(item.probability)
    return {
        **dataclasses.asdict(item),
        "loss": _finite(item.loss),
        "probability": item.probability if known else 0.0,
    }


def _figures(found: Interpretation, top_losses: int, least_losses: int, parts: Sequence[str]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    if isinstance(found, ClassificationInterpretation) and "confusion" in parts:
        figures["confusion_matrix"] = found.confusion_figure()
        figures["confusion_matrix_normalized"] = found.confusion_figure(normalize=True)
    if isinstance(found, MultiLabelClassificationInterpretation) and top_losses:
        figures["multi_top_losses"] = found.multi_top_losses_figure(min(top_losses, _LABELS_AT_MOST))
    if isinstance(found, SegmentationInterpretation):
        if "confusion" in parts:
            figures["confusion_matrix_normalized"] = found.plot_intersect_cm(found.generate_confusion()[0])
        top_losses, least_losses = min(top_losses, _MASKS_AT_MOST), min(least_losses, _MASKS_AT_MOST)
    for name, count, largest in (("top_losses", top_losses, True), ("least_losses", least_losses, False)):
        if count:
            figures[name] = found.top_losses_figure(count, largest)
            if found.explains and "heat_maps" in parts:
                figures[f"{name}_heatmap"] = found.top_losses_figure(count, largest, heatmap=True)
    return figures
