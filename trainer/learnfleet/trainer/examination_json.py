"""An examination as JSON-able data, which is `interpretation.json` of an INTERPRET job. What is not defined is null.

    kind            category, multi_category, mask or float
    dataset         valid, fix, ...
    classes         names
    examples        items that were looked at
    skipped_images  items that could not be read
    accuracy, loss  over all; of masks the share of pixels; of numbers accuracy is 0 and means nothing
    parts           what was found out, of `examination.PARTS`
    confusion_matrix [C][C], label_confusion [C][2][2] of several labels an item, most_confused [{actual, predicted,
                    count}], class_report [{class, precision, recall, f1, iou, support}], intersection [C][C] of masks,
                    misclassified_count and misclassified (as top_losses) of several labels
    top_losses      [{index, path, predicted, actual, loss, probability, picture, heat_map}], the greatest first
    pictures        [{name, path, media_type}]: the plots
    calibration     null, or {ece, mce, brier, temperature, ece_at_temperature, bins: [{lower, upper, confidence,
                    accuracy, count}]}, see `measures.calibration`
    curves          [{class, auroc, average_precision, false_positive_rates, true_positive_rates, recalls, precisions}]
    label_issues    [{index, path, given, suggested, score, picture}], likeliest first; label_issues_caveat: how far
                    they may be trusted
    duplicates      [{items: [ITEM], similarity}]
    outliers        [{item: ITEM, score}], the strangest first
    slices          [{column, slices: [{value, examples, accuracy, accuracy_low, accuracy_high, f1, loss}]}], the worst
                    first
    comparison      null, or {both_right, fixed, broken, both_wrong, p_value, baseline_accuracy, candidate_accuracy,
                    baseline_loss, candidate_loss, fixed_items, broken_items: [{item: ITEM, baseline, candidate}]}; the
                    names of both, `baseline` and `candidate`, are put in by who knows them
    void_class      of masks the class that does not count, else ""

ITEM is {index, path, label, picture}. `index` is a position in the data set, `path` is relative to the data's folder,
`picture` (`item_{index}.png`) and `heat_map` (`heat_{index}.png`) are files beside the JSON, "" where there is none.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from learnfleet.trainer import dataset_items
from learnfleet.trainer.comparison import Comparison, Difference
from learnfleet.trainer.examination import Examination
from learnfleet.trainer.interpret import Interpretation
from learnfleet.trainer.item_files import ItemFiles
from learnfleet.trainer.measures.curves import Curves
from learnfleet.trainer.measures.label_issues import LabelIssue
from learnfleet.trainer.measures.neighbours import Group

MOST_ISSUES = 50  # and so of the others: a page that nobody reads to its end
MOST_GROUPS = 30
MOST_OF_A_GROUP = 12
MOST_OUTLIERS = 30

Json = dict[str, Any]


class ItemNames:
    """Names the items of an interpretation."""

    def __init__(self, found: Interpretation, files: ItemFiles | None) -> None:
        """`files`: None: without pictures."""
        self._found, self._files = found, files

    def path(self, index: int) -> str:
        return dataset_items.file_of(self._found.learn.data, self._found.ds_type, index)

    def picture(self, index: int) -> str:
        return self._files.picture(index) if self._files is not None else ""

    def item(self, index: int, label: str) -> Json:
        return {"index": index, "path": self.path(index), "label": label, "picture": self.picture(index)}

    def row(self, row: int) -> Json:
        described = self._found.describe(row)
        return self.item(described.index, described.actual)


def measures_json(found: Examination, files: ItemFiles | None = None, examples: int = 24) -> Json:
    """Everything but what the interpretation by itself tells.

    Args:
        files: writes the pictures that are named. None: there are none.
        examples: fixed and broken items that are listed, of each.
    """
    names = ItemNames(found.interpretation, files)
    issues = found.label_issues
    result: Json = _plain(
        {
            "parts": list(found.parts),
            "calibration": dataclasses.asdict(found.calibration) if found.calibration else None,
            "curves": [_curves(one) for one in found.curves],
            "label_issues": [_issue(found, one, names) for one in (issues.issues if issues else ())[:MOST_ISSUES]],
            "label_issues_caveat": issues.caveat if issues else "",
            "duplicates": [_group(one, names) for one in found.duplicates[:MOST_GROUPS]],
            "outliers": [{"item": names.row(one.row), "score": one.score} for one in found.outliers[:MOST_OUTLIERS]],
            "slices": [dataclasses.asdict(one) for one in found.slices],
            "comparison": _comparison(found.comparison, names, examples) if found.comparison else None,
            "void_class": found.void_class,
        }
    )
    return result


def _plain(value: Any) -> Any:
    """As JSON has it: lists, and no numbers that are none."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _curves(one: Curves) -> Json:
    values = dataclasses.asdict(one)
    return {"class": values.pop("name"), **values}


def _issue(found: Examination, one: LabelIssue, names: ItemNames) -> Json:
    index, classes = int(found.interpretation.indices[one.row]), found.interpretation.classes
    return {
        "index": index,
        "path": names.path(index),
        "given": classes[one.given],
        "suggested": classes[one.suggested],
        "score": one.score,
        "picture": names.picture(index),
    }


def _group(one: Group, names: ItemNames) -> Json:
    return {"items": [names.row(row) for row in one.rows[:MOST_OF_A_GROUP]], "similarity": one.similarity}


def _comparison(found: Comparison, names: ItemNames, examples: int) -> Json:
    def listed(items: Sequence[Difference]) -> list[Json]:
        return [
            {"item": names.item(one.index, one.actual), "baseline": one.baseline, "candidate": one.candidate}
            for one in items[:examples]
        ]

    numbers = ("baseline_accuracy", "candidate_accuracy", "baseline_loss", "candidate_loss")
    return {
        **dataclasses.asdict(found.counts),
        **{name: getattr(found, name) for name in numbers},
        "fixed_items": listed(found.fixed),
        "broken_items": listed(found.broken),
    }
