"""`ImageDataBunch.from_csv` and `from_df`: labels from tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from support.picture_files import SMALL, a_table, files, labels_of

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.spec import LabelKind


def test_f004_a_csv_names_pictures_in_a_folder_with_a_suffix(tmp_path: Path) -> None:
    files(tmp_path / "pics", [f"{i}.png" for i in range(10)])
    a_table(tmp_path, "name,label\n" + "\n".join(f"{i},{'ab'[i % 2]}" for i in range(10)))
    data = ImageDataBunch.from_csv(tmp_path, folder="pics", suffix=".png", **SMALL)
    assert (len(data.train_ds), len(data.valid_ds), data.classes) == (8, 2, ["a", "b"])
    assert labels_of(data) == {f"{i}.png": "ab"[i % 2] for i in range(10)}


def test_f004_columns_delimiter_and_a_missing_header_are_as_asked(tmp_path: Path) -> None:
    files(tmp_path, [f"{i}.png" for i in range(5)])
    a_table(tmp_path, "\n".join(f"x;00{i % 2};{i}.png" for i in range(5)), "mine.csv")
    data = ImageDataBunch.from_csv(
        tmp_path, csv_labels="mine.csv", delimiter=";", header=None, fn_col=2, label_col=1, **SMALL
    )
    assert labels_of(data) == {f"{i}.png": f"00{i % 2}" for i in range(5)}
    named = a_table(tmp_path, "y,x\n0.5,0.png\n1.5,1.png\n2.5,2.png\n")
    numbers = ImageDataBunch.from_csv(named, fn_col="x", label_col="y", valid_pct=0.0, **SMALL)
    assert (numbers.kind, numbers.train_ds.labels().tolist()) == (LabelKind.FLOAT, [0.5, 1.5, 2.5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\n0.png,\n", "line 2 has an empty cell"),
        ("name,label\n0.png\n", "line 2 .* has 1 cells, not 2"),
        ("name,label\n", "has no rows"),
        ("name,label\n../../etc/0.png,a\n", "leads out of"),
    ],
)
def test_f004_what_is_wrong_with_a_table_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LearnerError, match=message):
        ImageDataBunch.from_csv(a_table(tmp_path, text), **SMALL)


def a_frame() -> pd.DataFrame:
    rows = [(f"{i}.png", "ab" if i % 3 else "", float(i), i % 2, int(i > 3)) for i in range(8)]
    return pd.DataFrame(rows, columns=["name", "tags", "number", "sun", "rain"])


def test_f005_a_delimiter_makes_several_labels_of_a_cell(tmp_path: Path) -> None:
    files(tmp_path, [f"{i}.png" for i in range(8)])
    frame = a_frame().assign(tags=["sun", "sun rain", "rain", "sun", "rain", "sun rain", "fog", "fog sun"])
    data = ImageDataBunch.from_df(tmp_path, frame, label_delim=" ", valid_pct=0.0, **SMALL)
    assert (data.kind, data.classes) == (LabelKind.MULTI_CATEGORY, ["fog", "rain", "sun"])
    hot = data.train_ds.labels()
    assert (hot.dtype, hot[1].tolist(), hot[7].tolist()) == (torch.float32, [0, 1, 1], [1, 0, 1])
    assert data.train_ds.label(1) == "rain;sun"


def test_f005_several_columns_of_0_and_1_are_a_class_each_in_their_order(tmp_path: Path) -> None:
    files(tmp_path, [f"{i}.png" for i in range(8)])
    data = ImageDataBunch.from_df(tmp_path, a_frame(), label_col=["sun", "rain"], valid_pct=0.0, **SMALL)
    assert (data.kind, data.classes) == (LabelKind.MULTI_CATEGORY, ["sun", "rain"])
    assert data.train_ds.labels().tolist() == [[float(i % 2), float(i > 3)] for i in range(8)]
    a_frame().to_csv(tmp_path / "labels.csv", index=False)
    same = ImageDataBunch.from_csv(tmp_path, label_col=["sun", "rain"], valid_pct=0.0, **SMALL)
    assert (same.classes, same.train_ds.labels().tolist()) == (data.classes, data.train_ds.labels().tolist())


def test_f005_real_numbers_are_values_and_whole_ones_are_classes(tmp_path: Path) -> None:
    files(tmp_path, [f"{i}.png" for i in range(8)])
    data = ImageDataBunch.from_df(tmp_path, a_frame(), label_col="number", valid_pct=0.0, **SMALL)
    assert (data.kind, data.c, data.train_ds.labels().tolist()) == (LabelKind.FLOAT, 1, [float(i) for i in range(8)])
    classes = ImageDataBunch.from_df(tmp_path, a_frame(), label_col="sun", valid_pct=0.0, **SMALL)
    assert (classes.kind, classes.classes) == (LabelKind.CATEGORY, ["0", "1"])
    pairs = ImageDataBunch.from_df(tmp_path, a_frame(), label_col=["number", "sun"], valid_pct=0.0, **SMALL)
    assert tuple(pairs.train_ds.labels().shape) == (8, 2)


def test_f005_empty_cells_and_missing_columns_are_refused(tmp_path: Path) -> None:
    files(tmp_path, [f"{i}.png" for i in range(8)])
    frame = a_frame()
    frame.loc[3, "tags"] = np.nan
    with pytest.raises(LearnerError, match="NaN"):
        ImageDataBunch.from_df(tmp_path, frame, label_col="tags", **SMALL)
    with pytest.raises(LearnerError, match="no column 'label'; there are name, tags"):
        ImageDataBunch.from_df(tmp_path, a_frame(), label_col="label", **SMALL)
