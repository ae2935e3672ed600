"""Slices by columns of metadata, and the interval of a share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.measures.slices import UNKNOWN, MetadataFile, Outcomes, read_metadata, slice_scores, wilson

NAMES = [f"valid/{number:02}.jpg" for number in range(12)]


def a_file(folder: Path, text: str) -> MetadataFile:
    path = folder / "meta.csv"
    path.write_text(text)
    return MetadataFile(path)


def test_scores_of_each_value_come_worst_first() -> None:
    right = torch.tensor([True, True, True, False, False, True])
    actual = torch.tensor([0, 1, 0, 1, 0, 1])
    predicted = torch.where(right, actual, 1 - actual)
    outcomes = Outcomes(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), right, actual, predicted, 2)
    night, day = slice_scores(["day", "day", "day", "night", "night", "night"], outcomes)
    assert (night.value, night.examples, night.loss) == ("night", 3, 5.0)
    assert night.accuracy == pytest.approx(1 / 3)
    # Class 0: one item, taken for 1. Class 1: one of two is right, and one 0 was taken for it.
    assert night.f1 == pytest.approx((0.0 + 0.5) / 2)
    assert (day.accuracy, day.f1, day.loss) == (1.0, 1.0, 2.0)


def test_without_right_and_wrong_the_loss_decides() -> None:
    found = slice_scores(["a", "b", "b"], Outcomes(torch.tensor([1.0, 2.0, 4.0])))
    assert [(one.value, one.loss, one.accuracy, one.f1) for one in found] == [
        ("b", 3.0, None, None),
        ("a", 1.0, None, None),
    ]


def test_the_interval_is_wilsons() -> None:
    # By his formula with z = 1.959964: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    low, high = wilson(8, 10)
    assert (low, high) == pytest.approx((0.49016, 0.94332), abs=1e-5)
    assert wilson(5, 5)[1] == pytest.approx(1.0)


def test_values_are_matched_by_name_and_gaps_are_told(tmp_path: Path) -> None:
    text = "file,camera,year\n" + "".join(
        f"{name},{'ab'[place % 2]},{2000 + place % 3}\n" for place, name in enumerate(NAMES[:-1])
    )
    found = read_metadata(a_file(tmp_path, text), ["camera", "year"], NAMES)
    assert found["camera"] == [*("ab"[place % 2] for place in range(11)), UNKNOWN]
    assert found["year"][:3] == ["2000", "2001", "2002"]


def test_many_numbers_become_quarters(tmp_path: Path) -> None:
    text = "file,lux\n" + "".join(f"{name},{place * 1.5}\n" for place, name in enumerate(NAMES))
    found = read_metadata(a_file(tmp_path, text), ["lux"], NAMES)["lux"]
    assert len(set(found)) == 4
    assert [found.count(value) for value in dict.fromkeys(found)] == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("text", "column", "told"),
    [
        ("file,a\nvalid/00.jpg,1\n", "b", "slice_columns: meta.csv has no column 'b'; there are file, a"),
        ("file,a\nother.jpg,1\n", "a", "names none of the pictures"),
        ("", "a", "metadata: meta.csv cannot be read"),
    ],
)
def test_what_is_wrong_with_metadata_is_said(tmp_path: Path, text: str, column: str, told: str) -> None:
    with pytest.raises(LearnerError, match=told):
        read_metadata(a_file(tmp_path, text), [column], NAMES)
