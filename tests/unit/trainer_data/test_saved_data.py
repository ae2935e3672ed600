"""Data that are saved or exported, and loaded again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.picture_files import SMALL, labels_of
from support.pictures import a_class_folder, a_data_folder

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.errors import LearnerError


def test_f020_an_export_holds_classes_transforms_and_normalisation_but_no_picture(tmp_path: Path) -> None:
    data = ImageDataBunch.from_folder(a_data_folder(tmp_path), **SMALL).normalize(((0.5,) * 3, (0.2,) * 3))
    written = data.export()
    assert "ant" in json.loads(written.read_text())["data"]["classes"]
    assert "000.png" not in written.read_text()
    empty = ImageDataBunch.load_empty(tmp_path)
    assert (empty.is_empty, empty.classes, empty.stats, empty.spec.size) == (True, data.classes, data.stats, (16, 16))
    source = data.valid_ds.path(0)
    assert torch.equal(empty.one_item(source)[0], data.one_item(source)[0])


def test_f020_saved_data_has_the_same_items_when_the_folder_has_grown_or_moved(tmp_path: Path) -> None:
    a_data_folder(tmp_path / "old")
    data = ImageDataBunch.from_folder(tmp_path / "old", **SMALL).normalize()
    data.add_test([data.valid_ds.path(0)])
    data.save()
    epoch = [(batch.x, batch.y) for batch in data.train_dl.epoch(2)]
    a_class_folder(tmp_path / "old" / "train" / "ant", 20)
    (tmp_path / "old").rename(tmp_path / "new")
    loaded = ImageDataBunch.load_data(tmp_path / "new", bs=2)
    assert labels_of(loaded) == labels_of(data)
    assert (loaded.stats, loaded.classes) == (data.stats, data.classes)
    assert loaded.test_ds is not None
    assert len(loaded.test_ds) == 1
    for (x, y), batch in zip(epoch, loaded.train_dl.epoch(2), strict=True):
        assert torch.equal(x, batch.x)
        assert torch.equal(y, batch.y)


def test_f020_what_is_no_saved_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data_save.json").write_text("[1, 2]")
    with pytest.raises(LearnerError, match="is no saved data bunch"):
        ImageDataBunch.load_data(tmp_path)
    with pytest.raises(LearnerError, match="no saved data bunch"):
        ImageDataBunch.load_data(tmp_path, "another.json")
