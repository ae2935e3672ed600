"""The confusion matrix as the page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from learnfleet.trainer.report.format import count
from learnfleet.trainer.report.parts import Cell, Confusion, LabelCounts, Labels, MatrixRow

MOST_LABELS = 60
_ANSWERS = ("absent", "present")
MOST_CLASSES = 40  # more cannot be looked at, and 10,000 cells make browsers slow


def confusion_of(found: dict[str, Any], unit: str) -> Confusion | None:
    """Of all classes; of too many, of those with the most errors. None where labels have none.

    What is left out has no row, and a column only where the model has said so.
    """
    counts, classes = found.get("confusion_matrix") or [], found.get("classes", [])
    if not counts:
        return None
    kept, note = list(range(len(counts))), ""
    if len(kept) > MOST_CLASSES:
        kept = sorted(_worst(counts))
        note = f"The {MOST_CLASSES} classes with the most errors of {count(len(counts))}."
    columns = [sum(row[place] for row in counts) for place in range(len(counts))]
    void = found.get("void_class") or None
    shown = [place for place in kept if classes[place] != void or columns[place]]
    rows = tuple(_row(counts, classes, columns, place, shown) for place in kept if classes[place] != void)
    return Confusion(tuple(classes[place] for place in shown), rows, unit, note, found["kind"] == "category")


def _worst(counts: Sequence[Sequence[int]]) -> list[int]:
    """Classes whose rows and columns have the most errors."""
    places = range(len(counts))
    errors = [sum(counts[a]) + sum(row[a] for row in counts) - 2 * counts[a][a] for a in places]
    return sorted(places, key=lambda place: -errors[place])[:MOST_CLASSES]


def _row(
    counts: Sequence[Sequence[int]], classes: Sequence[str], columns: Sequence[int], actual: int, kept: Sequence[int]
) -> MatrixRow:
    total = sum(counts[actual])
    cells = tuple(
        Cell(
            counts[actual][place],
            counts[actual][place] / total if total else 0.0,
            counts[actual][place] / columns[place] if columns[place] else 0.0,
            actual == place,
            classes[actual],
            classes[place],
        )
        for place in kept
    )
    return MatrixRow(classes[actual], total, cells)


def labels_of(found: dict[str, Any]) -> Labels | None:
    """A matrix of yes and no for each label; of too many, for those with the most errors. None without labels."""
    counts, classes = found.get("label_confusion") or [], found.get("classes", [])
    if not counts:
        return None
    kept, note = list(range(len(counts))), "For each label: who has it, and who was given it."
    if len(kept) > MOST_LABELS:
        kept = sorted(sorted(kept, key=lambda place: -(counts[place][0][1] + counts[place][1][0]))[:MOST_LABELS])
        note += f" The {MOST_LABELS} with the most errors of {count(len(counts))}."
    return Labels(tuple(LabelCounts(classes[place], _yes_and_no(counts[place])) for place in kept), note)


def _yes_and_no(counts: Sequence[Sequence[int]]) -> tuple[MatrixRow, ...]:
    columns = [sum(row[place] for row in counts) for place in range(2)]
    return tuple(_row(counts, _ANSWERS, columns, actual, (0, 1)) for actual in range(2))
