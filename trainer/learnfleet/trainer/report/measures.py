"""Calibration, curves, slices and compared measures as the page shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from learnfleet.trainer.report.charts import COLORS, Series, curves_chart, reliability_chart
from learnfleet.trainer.report.format import number, percent
from learnfleet.trainer.report.parts import Bin, Calibration, CurveRow, Curves, Metric, SliceRow, Slices

Json = dict[str, Any]


def calibration_of(value: Json | None) -> Calibration | None:
    if not value:
        return None
    bins = tuple(
        Bin(one["lower"], one["upper"], one.get("confidence"), one.get("accuracy"), one["count"])
        for one in value["bins"]
    )
    return Calibration(tuple(_calibration_metrics(value)), bins, reliability_chart(bins))


def _calibration_metrics(value: Json) -> Iterator[Metric]:
    yield Metric("ECE", percent(value["ece"], 2), "mean gap of confidence to accuracy")
    yield Metric("MCE", percent(value["mce"], 2), "greatest gap of a bin")
    yield Metric("Brier score", number(value["brier"], 4), "less is better")
    temperature, after = value.get("temperature"), value.get("ece_at_temperature")
    if temperature is not None:
        note = "too sure of itself" if temperature > 1 else "not sure enough"
        yield Metric(
            "Temperature",
            number(temperature, 3),
            f"{note}; ECE with it {percent(after, 2)}" if after is not None else note,
        )


def curves_of(values: Sequence[Json]) -> Curves | None:
    """The classes that are told worst are drawn; the table has all."""
    known = [value for value in values if value.get("auroc") is not None]
    if not values:
        return None
    # Of two classes both curves say the same; of many the worst are what one wants to see.
    drawn = sorted(known, key=lambda value: float(value["auroc"]))[:COLORS]
    colors = {value["class"]: color for color, value in enumerate(drawn)}
    rows = tuple(
        CurveRow(value["class"], value.get("auroc"), value.get("average_precision"), colors.get(value["class"], -1))
        for value in values
    )
    roc = [_roc(value, colors[value["class"]]) for value in drawn]
    pr = [_pr(value, colors[value["class"]]) for value in drawn]
    note = f"Drawn are the {COLORS} classes that are told from the others worst." if len(known) > COLORS else ""
    return Curves(
        rows,
        curves_chart(roc, "false positive rate", "true positive rate", "ROC curves by class", chance=True),
        curves_chart(pr, "recall", "precision", "Precision-recall curves by class", chance=False),
        note,
    )


def _roc(value: Json, color: int) -> Series:
    return Series(value["class"], value["false_positive_rates"], value["true_positive_rates"], color)


def _pr(value: Json, color: int) -> Series:
    return Series(value["class"], value["recalls"], value["precisions"], color, steps=True)


def slices_of(found: Json) -> tuple[Slices, ...]:
    return tuple(
        Slices(part["column"], tuple(_slice_row(row) for row in part["slices"])) for part in found.get("slices") or ()
    )


def _slice_row(row: Json) -> SliceRow:
    return SliceRow(
        str(row["value"]),
        row["examples"],
        row.get("accuracy"),
        row.get("accuracy_low"),
        row.get("accuracy_high"),
        row.get("loss"),
    )


def compared_measures(value: Json) -> Iterator[tuple[str, str, str, str]]:
    """(name, baseline, candidate, difference) of what both have."""
    for name, write in (("accuracy", percent), ("loss", number)):
        before, after = value.get(f"baseline_{name}"), value.get(f"candidate_{name}")
        if before is not None and after is not None:
            change = after - before
            shown = f"{100 * change:+.1f} points" if name == "accuracy" else f"{change:+.3f}"
            yield name.capitalize(), write(before), write(after), shown
