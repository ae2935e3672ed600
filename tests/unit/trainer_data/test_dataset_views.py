"""`x` and `y` of a dataset, by which fastai's users look at what they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.pictures import a_class_folder, a_data_folder

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.item_list import ImageList


def test_f016_x_has_the_files_in_the_datasets_order(tmp_path: Path) -> None:
    a_data_folder(tmp_path)
    data = ImageDataBunch.from_folder(tmp_path, size=16, bs=4, no_check=True)
    paths = [item.path for item in data.valid_ds]
    assert list(data.valid_ds.x) == list(data.valid_ds.x.items) == paths
    assert list(data.valid_ds.x.items[[1, 0]]) == [paths[1], paths[0]]
    assert data.valid_ds.x[-1] == paths[-1]
    assert len(data.valid_ds.x) == len(data.valid_ds)


def test_f016_y_has_the_numbers_and_names_of_the_classes(tmp_path: Path) -> None:
    a_data_folder(tmp_path)
    data = ImageDataBunch.from_folder(tmp_path, size=16, bs=4, no_check=True)
    y = data.train_ds.y
    assert y.items.tolist() == data.train_ds.labels().tolist()
    assert [str(y[index]) for index in range(len(y))] == [data.train_ds.label(index) for index in range(len(y))]
    assert np.bincount(y.items, minlength=y.c).sum() == len(data.train_ds)
    assert (list(y.classes), y.c) == (list(data.classes), data.c)
    assert data.test_ds is None or set(data.test_ds.y.items.tolist()) == {-1}


@pytest.mark.parametrize(
    ("labels", "first", "items"),
    [
        ([["red", "big"], ["red"], [], ["big"]], "red;big", [(1, 0), (1,), (), (0,)]),
        ([1.5, 2.0, -1.0, 0.0], "1.5", [1.5, 2.0, -1.0, 0.0]),
        ([[1.5, 2.0], [0.0, 1.0], [0.5, 0.5], [3.0, 4.0]], "1.5 2", [[1.5, 2.0], [0.0, 1.0], [0.5, 0.5], [3.0, 4.0]]),
    ],
)
def test_f016_labels_of_several_classes_and_numbers(
    tmp_path: Path, labels: list[object], first: str, items: list[object]
) -> None:
    a_class_folder(tmp_path / "all", 4)
    files = sorted((tmp_path / "all").iterdir())
    by_name = dict(zip([file.name for file in files], labels, strict=True))
    parts = ImageList(files, path=tmp_path).split_by_idx([3]).label_from_func(lambda path: by_name[Path(path).name])
    data = parts.databunch(bs=2, no_check=True)
    assert sorted(str(data.train_ds.y[0]).split(";")) == sorted(first.split(";"))
    found = [value.tolist() if isinstance(value, np.ndarray) else value for value in data.train_ds.y.items]
    expected = [tuple(sorted(value)) if isinstance(value, tuple) else value for value in items[:3]]
    assert [tuple(sorted(value)) if isinstance(value, tuple) else value for value in found] == expected
