"""`ImageDataBunch.from_...`: which pictures have which labels, and which of them validate."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from support.picture_files import SMALL, a_table, files, labels_of
from support.pictures import a_class_folder, a_data_folder, picture, truncate

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.spec import DataSpec, ResizeMethod, TableSpec


def test_f001_classes_are_the_sorted_folders_of_train_and_all_pictures_are_counted(tmp_path: Path) -> None:
    data = ImageDataBunch.from_folder(a_data_folder(tmp_path, 5, 3, ("zebra", "ant", "Bee")), **SMALL)
    assert (data.classes, data.c, len(data.train_ds), len(data.valid_ds)) == (["Bee", "ant", "zebra"], 3, 15, 9)
    assert data.train_ds.labels().bincount().tolist() == [5, 5, 5]


def test_f001_given_classes_keep_their_order(tmp_path: Path) -> None:
    data = ImageDataBunch.from_folder(a_data_folder(tmp_path), classes=["bee", "ant"], **SMALL)
    assert data.classes == ["bee", "ant"]
    assert data.train_ds.label(0) == data.train_ds.path(0).parent.name


def test_f001_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LearnerError, match="is not a valid directory"):
        ImageDataBunch.from_folder(tmp_path / "nothing", **SMALL)


def test_f001_an_unknown_keyword_is_an_error_and_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="sise"):
        ImageDataBunch.from_folder(a_data_folder(tmp_path), sise=16)  # type: ignore[call-arg]


def test_f002_the_first_of_numpys_permutation_validate_and_the_others_keep_their_order(tmp_path: Path) -> None:
    a_class_folder(tmp_path / "a", 5)
    a_class_folder(tmp_path / "b", 5)
    data = ImageDataBunch.from_folder(tmp_path, valid_pct=0.25, seed=42, **SMALL)
    place = {path: i for i, path in enumerate(sorted(tmp_path.rglob("*.png")))}
    assert [place[data.valid_ds.path(i)] for i in range(len(data.valid_ds))] == [8, 1]  # oracle O29
    assert [place[item.path] for item in data.train_ds] == [0, 2, 3, 4, 5, 6, 7, 9]


def test_f002_without_a_seed_every_call_draws_the_same_split(tmp_path: Path) -> None:
    a_class_folder(tmp_path / "a", 20)
    a_class_folder(tmp_path / "b", 20)
    first, second = (ImageDataBunch.from_folder(tmp_path, valid_pct=0.5, **SMALL) for _ in range(2))
    assert first.valid_ds.items == second.valid_ds.items
    assert ImageDataBunch.from_folder(tmp_path, valid_pct=0.5, seed=1, **SMALL).valid_ds.items != first.valid_ds.items


def test_f002_nothing_validates_at_a_share_of_0(tmp_path: Path) -> None:
    a_class_folder(tmp_path / "a", 3)
    a_class_folder(tmp_path / "b", 3)
    data = ImageDataBunch.from_folder(tmp_path, valid_pct=0.0, **SMALL)
    assert data.empty_val
    assert (data.valid_dl, len(data.train_ds)) == (None, 6)


def test_f003_the_test_folder_is_no_class_and_one_that_begins_alike_is(tmp_path: Path) -> None:
    for name in ("ant", "bee", "tes", "test", "test2"):
        a_class_folder(tmp_path / name, 4)
    data = ImageDataBunch.from_folder(tmp_path, test="test", valid_pct=0.2, **SMALL)
    assert data.classes == ["ant", "bee", "tes", "test2"]
    assert data.test_ds is not None
    assert (len(data.test_ds), data.test_ds.path(0).parent.name) == (4, "test")


def test_f003_test_pictures_of_any_source_are_neither_trained_on_nor_validated_on(tmp_path: Path) -> None:
    names = files(tmp_path, [f"{'ab'[i % 2]}_{i}.png" for i in range(6)])
    files(tmp_path / "test", ["x.png", "y.png"])
    a_table(tmp_path, "name,label\n" + "\n".join(f"{name},{name[0]}" for name in names))
    options = {**SMALL, "test": "test"}
    every = [
        ImageDataBunch.from_lists(tmp_path, names, [name[0] for name in names], **options),
        ImageDataBunch.from_name_re(tmp_path, names, r"^(.)_", **options),
        ImageDataBunch.from_csv(tmp_path, **options),
        ImageDataBunch.from_spec(
            DataSpec(str(tmp_path), source="names", pattern=r"/(.)_\d", test="test", size=(16, 16), bs=2)
        ),
    ]
    for data in every:
        assert data.test_ds is not None
        assert [item.path.name for item in data.test_ds] == ["x.png", "y.png"]
        assert set(labels_of(data)) == set(names)


def test_f006_the_first_group_of_a_pattern_is_the_label(tmp_path: Path) -> None:
    names = files(tmp_path / "images", ["great_dane_1.png", "great_dane_22.png", "pug_3.png", "pug_4.png", "pug_5.png"])
    paths = [tmp_path / "images" / name for name in names]
    data = ImageDataBunch.from_name_re(tmp_path / "images", paths, r"/([^/]+)_\d+.png$", **SMALL)
    assert data.classes == ["great_dane", "pug"]
    assert all(label == name.rpartition("_")[0] for name, label in labels_of(data).items())


def test_f006_a_name_without_a_match_is_named_with_the_pattern(tmp_path: Path) -> None:
    names = files(tmp_path, ["pug_3.png", "cat.png"])
    with pytest.raises(LearnerError, match=r'Failed to find "\(\\w\+\)_\\d" in "cat.png"'):
        ImageDataBunch.from_name_re(tmp_path, names, r"(\w+)_\d", **SMALL)
    with pytest.raises(LearnerError, match="is no regular expression"):
        ImageDataBunch.from_name_re(tmp_path, names, "(", **SMALL)


def test_f007_lists_and_a_function_give_labels(tmp_path: Path) -> None:
    names = files(tmp_path, [f"{i}.png" for i in range(10)])
    listed = ImageDataBunch.from_lists(tmp_path, names, ["ab"[i % 2] for i in range(10)], seed=3, **SMALL)
    called = ImageDataBunch.from_name_func(tmp_path, names, lambda path: "ab"[int(path.stem) % 2], seed=3, **SMALL)
    assert (len(listed.train_ds), len(listed.valid_ds)) == (8, 2)
    assert labels_of(listed) == labels_of(called) == {f"{i}.png": "ab"[i % 2] for i in range(10)}
    assert listed.valid_ds.items == called.valid_ds.items


def test_f007_files_without_a_label_each_are_refused_and_so_are_files_elsewhere(tmp_path: Path) -> None:
    names = files(tmp_path / "in", ["0.png", "1.png"])
    with pytest.raises(LearnerError, match="1 labels for 2 files"):
        ImageDataBunch.from_lists(tmp_path / "in", names, ["a"], **SMALL)
    with pytest.raises(LearnerError, match="is not in"):
        ImageDataBunch.from_lists(tmp_path / "in", [tmp_path / "out.png"], ["a"], **SMALL)


def test_f008_pictures_of_unknown_labels_are_left_out_with_a_warning(tmp_path: Path) -> None:
    a_data_folder(tmp_path)
    a_class_folder(tmp_path / "train" / "wasp", 4)
    with pytest.warns(UserWarning, match=r"4 items have unknown labels \(wasp\).*have been discarded"):
        data = ImageDataBunch.from_folder(tmp_path, classes=["ant", "bee"], **SMALL)
    assert (len(data.train_ds), data.classes) == (12, ["ant", "bee"])


def test_f008_a_validation_picture_of_a_class_that_is_not_trained_is_left_out(tmp_path: Path) -> None:
    a_data_folder(tmp_path)
    a_class_folder(tmp_path / "valid" / "wasp", 2)
    with pytest.warns(UserWarning, match="2 items have unknown labels"):
        data = ImageDataBunch.from_folder(tmp_path, **SMALL)
    assert (len(data.valid_ds), data.listing.ignored.unknown_class) == (6, 2)


def test_f010_only_training_leaves_out_a_batch_that_is_not_full(tmp_path: Path) -> None:
    a_data_folder(tmp_path, n_train=20, n_valid=8)
    data = ImageDataBunch.from_folder(tmp_path, size=8, bs=9, no_check=True)
    assert data.valid_dl is not None
    assert (len(data.train_dl), len(data.valid_dl), len(data.fix_dl)) == (4, 2, 5)  # oracle O28
    assert [batch.n for batch in data.valid_dl.epoch(0)] == [9, 7]
    wider = ImageDataBunch.from_folder(tmp_path, size=8, bs=9, val_bs=16, no_check=True)
    assert wider.valid_dl is not None
    assert (len(wider.train_dl), len(wider.valid_dl), len(wider.fix_dl)) == (4, 1, 3)


def test_f010_a_new_batch_size_is_that_of_all_loaders(tmp_path: Path) -> None:
    data = ImageDataBunch.from_folder(a_data_folder(tmp_path), **SMALL)
    data.add_tfm(negative)
    data.batch_size = 5
    assert data.valid_dl is not None
    assert (data.batch_size, len(data.train_dl), len(data.valid_dl)) == (5, 2, 2)
    assert next(data.train_dl.epoch(0)).x.max() <= 0
    with pytest.raises(LearnerError, match="at least 1"):
        data.batch_size = 0


def negative(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return -x, y


def test_dl_tfms_change_every_batch_until_they_are_removed(tmp_path: Path) -> None:
    data = ImageDataBunch.from_folder(a_data_folder(tmp_path), dl_tfms=[negative], **SMALL)
    assert all(next(loader.epoch(0)).x.max() <= 0 for loader in data.dls)
    data.remove_tfm(negative)
    assert all(next(loader.epoch(0)).x.max() > 0 for loader in data.dls)


@pytest.mark.parametrize(
    ("labels", "loss"),
    [
        (["a", "b"] * 2, "CrossEntropyFlat"),
        ([["a"], ["a", "b"]] * 2, "BCEWithLogitsFlat"),
        ([0.5, 1.5] * 2, "MSELossFlat"),
        ([(0.5, 1.0), (1.5, 2.0)] * 2, "MSELossFlat"),
    ],
)
def test_f021_the_loss_suits_the_labels(tmp_path: Path, labels: list[object], loss: str) -> None:
    names = files(tmp_path, [f"{i}.png" for i in range(4)])
    data = ImageDataBunch.from_lists(tmp_path, names, labels, **SMALL)
    assert type(data.loss_func).__name__ == loss
    x, y = data.one_batch()
    outputs = torch.zeros(len(x), data.c, requires_grad=True)
    data.loss_func(outputs, y).backward()
    assert outputs.grad is not None


def test_f022_data_without_a_training_batch_are_warned_of_and_cannot_be_trained_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from learnfleet.trainer.learner import Learner

    with caplog.at_level(logging.WARNING):
        data = ImageDataBunch.from_folder(a_data_folder(tmp_path), size=16, bs=13)
    assert "the batch size is 13 and there are 12 items" in caplog.text
    learner = Learner(data, torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 2)), silent=True)
    with pytest.raises(LearnerError, match="the batch size is 13, more than the 12 training items"):
        learner.fit(1)


def test_the_check_of_new_data_names_broken_pictures_and_pictures_that_do_not_fit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a_data_folder(tmp_path)
    truncate(tmp_path / "train" / "ant" / "001.png")
    with caplog.at_level(logging.WARNING):
        ImageDataBunch.from_folder(tmp_path, size=16, bs=4)
    assert "1 of the first 4 training pictures are broken (items 1)" in caplog.text
    caplog.clear()
    picture(1, 30, 16).save(tmp_path / "train" / "ant" / "001.png")
    with caplog.at_level(logging.WARNING):
        ImageDataBunch.from_folder(tmp_path, bs=12)
    assert "It's not possible to collate samples" in caplog.text
    assert "16 x 20, 16 x 30" in caplog.text


@pytest.mark.parametrize(
    "spec",
    [
        DataSpec("/x", source="table", table=TableSpec("a.csv", "f", ".jpg", "name", ("l", 3), " ", ";", False, "v")),
        DataSpec("/x", size=(), resize_method=ResizeMethod.NO, valid_pct=0.1, padding_mode="zeros", test="t"),
    ],
)
def test_a_data_specification_comes_back_from_json_as_it_was(spec: DataSpec) -> None:
    assert DataSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
