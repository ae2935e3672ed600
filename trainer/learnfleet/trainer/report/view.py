"""From what an interpretation found to what the page shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from learnfleet.trainer.report import measures
from learnfleet.trainer.report.confusion import confusion_of, labels_of
from learnfleet.trainer.report.format import count, number, percent
from learnfleet.trainer.report.items import PictureFiles, compared, item_of, labelled, suspected
from learnfleet.trainer.report.parts import (
    ClassRow,
    Comparison,
    Duplicates,
    Gallery,
    Item,
    Metric,
    Pictures,
    View,
)

Json = dict[str, Any]

_CONFUSED_AT_MOST = 100
_OVERLAYS = {
    "category": "Heat maps show where the score of the actual class comes from (Grad-CAM).",
    "mask": "Orange are the pixels that are wrong, but for those that do not count.",
}
_TITLES = {
    "comparison": "Comparison",
    "confusion": "Confusion",
    "labels": "Labels",
    "classes": "Classes",
    "pictures": "Pictures",
    "calibration": "Calibration",
    "curves": "Curves",
    "slices": "Slices",
    "label-issues": "Label errors",
    "duplicates": "Duplicates",
    "outliers": "Outliers",
}


def view_of(found: Json, folder: Path) -> View:
    """What the page shows. Parts that were not asked for, or do not suit the labels, are None or empty."""
    pictures, unit = PictureFiles(folder), "pixels" if found["kind"] == "mask" else "pictures"
    gallery = _gallery(found, pictures)
    view = View(
        title=_title(found),
        facts=tuple(_facts(found)),
        metrics=tuple(_metrics(found)),
        kind=found["kind"],
        unit=unit,
        confusion=confusion_of(found, unit),
        confused=tuple(
            (pair["actual"], pair["predicted"], pair["count"])
            for pair in found.get("most_confused", ())[:_CONFUSED_AT_MOST]
        ),
        labels=labels_of(found),
        classes=tuple(_class_row(row) for row in found.get("class_report", ())),
        gallery=gallery,
        calibration=measures.calibration_of(found.get("calibration")),
        curves=measures.curves_of(found.get("curves", ())),
        label_issues=_label_issues(found, pictures),
        duplicates=_duplicates(found, pictures),
        outliers=_outliers(found, pictures),
        slices=measures.slices_of(found),
        comparison=_comparison(found.get("comparison"), pictures),
    )
    return dataclasses.replace(view, sections=tuple(_sections(view)))


def _sections(view: View) -> Iterator[tuple[str, str]]:
    """Those that there are, in the order of the page."""
    yield "overview", "Overview"
    there = {"pictures": view.gallery, "label-issues": view.label_issues}
    for name, title in _TITLES.items():
        if there.get(name, getattr(view, name, None)):
            yield name, title


def _title(found: Json) -> str:
    subject = str(found.get("model") or found.get("learner") or "")
    return f"What {subject or 'the model'} gets wrong"


def _facts(found: Json) -> Iterator[tuple[str, str]]:
    named = ("learner", "model", "checkpoint", "data", "tta")
    values = {name: found.get(name) for name in named}
    yield from ((name, str(value)) for name, value in values.items() if value and not isinstance(value, bool))
    yield "data set", str(found.get("dataset", "valid"))
    yield "labels", str(found["kind"]).replace("_", " ")
    if found.get("classes"):
        yield "classes", count(len(found["classes"]))
    if found.get("void_class"):
        yield "left out", str(found["void_class"])


def _metrics(found: Json) -> Iterator[Metric]:
    yield Metric("Items", count(found["examples"]), _left_out(found))
    if found["kind"] not in ("float", "points", "image"):
        what = "of pixels" if found["kind"] == "mask" else ""
        yield Metric("Accuracy", percent(found["accuracy"], 2), what)
    yield Metric("Mean loss", number(found["loss"], 4))
    if found["kind"] == "mask":
        ious = [row["iou"] for row in found.get("class_report", ()) if row.get("iou") is not None]
        if ious:
            yield Metric("Mean IoU", percent(sum(ious) / len(ious), 2), f"over {len(ious)} classes")
    calibration = found.get("calibration") or {}
    if calibration.get("ece") is not None:
        yield Metric("Calibration error", percent(calibration["ece"], 2), "ECE: mean gap of confidence to accuracy")
    areas = [row["auroc"] for row in found.get("curves", ()) if row.get("auroc") is not None]
    if areas:
        yield Metric("AUROC", number(sum(areas) / len(areas), 4), "mean of the classes" if len(areas) > 1 else "")


def _left_out(found: Json) -> str:
    skipped = found.get("skipped_images", 0)
    return f"{count(skipped)} could not be read" if skipped else ""


def _class_row(row: Json) -> ClassRow:
    return ClassRow(
        row["class"], row.get("precision"), row.get("recall"), row.get("f1"), row.get("iou"), row["support"]
    )


def _gallery(found: Json, pictures: PictureFiles) -> Gallery | None:
    values = found.get("top_losses", ())
    if not values:
        return None
    is_classes = found["kind"] in ("category", "multi_category")
    items = tuple(
        item_of(value, pictures, value["actual"] == value["predicted"] if is_classes else None) for value in values
    )
    names = found["kind"] == "category"
    note = f"The {count(len(items))} with the greatest loss of {count(found['examples'])}, greatest first."
    if any(item.heat for item in items):
        note += f" {_OVERLAYS.get(found['kind'], _OVERLAYS['category'])}"
    return Gallery(
        items,
        _distinct(item.actual for item in items) if names else (),
        _distinct(item.predicted for item in items) if names else (),
        any(item.heat for item in items),
        "Wrong pixels" if found["kind"] == "mask" else "Heat maps",
        note,
    )


def _distinct(names: Iterator[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names), key=str.casefold))


def _label_issues(found: Json, pictures: PictureFiles) -> Pictures | None:
    items = tuple(suspected(value, pictures) for value in found.get("label_issues") or ())
    note = "Shown: the label that would suit better, and the one that is given; likeliest error first."
    caveat = found.get("label_issues_caveat")
    return Pictures(items, f"{note} {caveat}" if caveat else note) if items else None


def _duplicates(found: Json, pictures: PictureFiles) -> Duplicates | None:
    groups: list[tuple[Item, ...]] = []
    for group in found.get("duplicates") or ():
        alike = f"{number(group.get('similarity'), 3)} alike"
        groups.append(tuple(labelled(value, pictures, alike) for value in group["items"]))
    note = "Pictures whose embeddings are nearly the same. In two parts of the data they make its figures too good."
    return Duplicates(tuple(groups), note) if groups else None


def _outliers(found: Json, pictures: PictureFiles) -> Pictures | None:
    items = tuple(
        labelled(value.get("item", value), pictures, f"distance {number(value.get('score'), 3)}")
        for value in found.get("outliers") or ()
    )
    return Pictures(items, "Pictures whose embeddings are far from all others, strangest first.") if items else None


def _comparison(value: Json | None, pictures: PictureFiles) -> Comparison | None:
    if not value:
        return None
    return Comparison(
        value["baseline"],
        value["candidate"],
        value["both_right"],
        value["fixed"],
        value["broken"],
        value["both_wrong"],
        value.get("p_value"),
        tuple(compared(item, pictures, True) for item in value.get("fixed_items", ())),
        tuple(compared(item, pictures, False) for item in value.get("broken_items", ())),
        tuple(measures.compared_measures(value)),
    )
