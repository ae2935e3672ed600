"""The interpretation job: what a learner gets wrong, as JSON-able data and pictures. Every rank calls the same."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from learnfleet.trainer import plots
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.inference import plain_type
from learnfleet.trainer.interpret import Interpretation, TopLoss
from learnfleet.trainer.interpret_classes import ClassificationInterpretation
from learnfleet.trainer.interpret_labels import MultiLabelClassificationInterpretation
from learnfleet.trainer.interpret_masks import SegmentationInterpretation
from learnfleet.trainer.interruption import heeding
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.run_context import RunContext, report_picture
from learnfleet.trainer.run_data import DataReporter

_GREATEST = float(np.finfo(np.float64).max)
_MASKS_AT_MOST = 6  # rows of a picture of masks
_LABELS_AT_MOST = 20  # misclassified pictures of several labels in one figure
_WRONG_AT_MOST = 1000  # that are listed


def run_interpret(
    learner: Learner,
    context: RunContext,
    *,
    top_losses: int,
    min_confused: int,
    output_dir: Path,
    ds_type: DatasetType = DatasetType.Valid,
    tta: bool = False,
) -> dict[str, Any]:
    """Find what the learner's present state gets wrong. Every rank must call.

    Raises Interrupted. Returns JSON-able data; rank 0 writes the plots to `output_dir`. Beside the fields of
    `learnfleet.v1.Interpretation`: `kind` (category, multi_category, mask or float) and `class_report`, a list of
    {class, precision, recall, f1, iou, support} with None for what is not defined. The confusion matrix of masks counts
    pixels; that of numbers is empty; of several labels an item it is empty too, and `label_confusion` holds one for
    each label, [C, 2, 2].
    """
    data = DataReporter(learner.data, context.emit, is_main=learner.world.is_main)
    try:
        with heeding(learner, context.stop_requested):
            found = learner.interpret(ds_type, tta)
    finally:
        skipped = int(learner.world.sum(data.skipped_tensor()).item())
        data.close()
    items = found.describe_top_losses(min(top_losses, len(found.losses))) if top_losses else []
    result: dict[str, Any] = {
        "kind": _kind(found),
        "dataset": plain_type(ds_type).name.lower(),
        "classes": found.classes,
        "examples": len(found.losses),
        "loss": _finite(found.mean_loss),
        **_counted(found, min_confused),
        "top_losses": [{**_described(item), "path": data.path_of(item.index, ds_type)} for item in items],
        **_of_labels(found, data, ds_type),
        "intersection": _intersection(found),
        "skipped_images": skipped,
        "pictures": [],
    }
    if learner.world.is_main:
        result["pictures"] = [
            report_picture(context, name, plots.save_png(figure, output_dir / f"{name}.png"))
            for name, figure in _figures(found, top_losses).items()
        ]
    return result


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


def _counted(found: Interpretation, min_confused: int) -> dict[str, Any]:
    """What follows from the counts; empty for numbers."""
    if not isinstance(found, ClassificationInterpretation | SegmentationInterpretation):
        return {"accuracy": 0.0, "confusion_matrix": [], "label_confusion": [], "most_confused": [], "class_report": []}
    confused, counts = found.most_confused(min_confused), found.confusion_matrix(slice_size=None)
    return {
        "accuracy": _finite(found.accuracy),
        "confusion_matrix": counts.tolist() if counts.ndim == 2 else [],
        "label_confusion": counts.tolist() if counts.ndim == 3 else [],
        "most_confused": [{"actual": actual, "predicted": given, "count": count} for actual, given, count in confused],
        "class_report": _class_report(found),
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


def _figures(found: Interpretation, top_losses: int) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    if isinstance(found, ClassificationInterpretation):
        figures["confusion_matrix"] = found.confusion_figure()
        figures["confusion_matrix_normalized"] = found.confusion_figure(normalize=True)
    if isinstance(found, MultiLabelClassificationInterpretation) and top_losses:
        figures["multi_top_losses"] = found.multi_top_losses_figure(min(top_losses, _LABELS_AT_MOST))
    if isinstance(found, SegmentationInterpretation):
        figures["confusion_matrix_normalized"] = found.plot_intersect_cm(found.generate_confusion()[0])
        top_losses = min(top_losses, _MASKS_AT_MOST)
    if top_losses:
        figures["top_losses"] = found.top_losses_figure(top_losses)
        if found.explains:
            figures["top_losses_heatmap"] = found.top_losses_figure(top_losses, heatmap=True)
    return figures
