"""The data-block API: items, split, labels, transforms, data bunch."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from support.pictures import a_class_folder, a_data_folder, picture

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.item_list import ImageList, get_image_files
from learnfleet.trainer.spec import DataSpec, LabelKind
from learnfleet.trainer.split_lists import CategoryList, FloatList, MultiCategoryList, SplitLists
from learnfleet.trainer.transform_components import flip_lr
from learnfleet.trainer.transforms import get_transforms


def ten(root: Path) -> ImageList:
    """000.png to 009.png."""
    return ImageList.from_folder(a_class_folder(root, 10))


def numbers(files: list[Path]) -> list[int]:
    return [int(file.stem) for file in files]


def parts(split: SplitLists) -> tuple[list[int], list[int]]:
    return numbers(split.train), numbers(split.valid)


def targets(data: ImageDataBunch) -> list[object]:
    return data.train_ds.labels().tolist()


def test_f007_the_whole_chain_makes_the_data_that_the_factory_makes(tmp_path: Path) -> None:
    a_class_folder(tmp_path / "ant", 6)
    a_class_folder(tmp_path / "bee", 6, 100)
    chain = (
        ImageList.from_folder(tmp_path)
        .split_by_rand_pct(0.25, seed=3)
        .label_from_folder()
        .transform(get_transforms(), size=16)
        .databunch(bs=4, seed=3)
    )
    made = ImageDataBunch.from_folder(tmp_path, valid_pct=0.25, seed=3, ds_tfms=get_transforms(), size=16, bs=4)
    assert [item.path for item in chain.valid_ds] == [item.path for item in made.valid_ds]
    for one, other in zip(chain.train_dl.epoch(1), made.train_dl.epoch(1), strict=True):
        assert torch.equal(one.x, other.x)
        assert torch.equal(one.y, other.y)


def test_splits_are_fastais(tmp_path: Path) -> None:
    items = ten(tmp_path)
    assert parts(items.split_none()) == (list(range(10)), [])
    assert parts(items.split_by_rand_pct(0.25, seed=42)) == ([0, 2, 3, 4, 5, 6, 7, 9], [8, 1])  # oracle O29
    assert parts(items.split_by_idx([7, 2])) == ([0, 1, 3, 4, 5, 6, 8, 9], [7, 2])
    assert parts(items.split_by_idxs([1, 2], [9])) == ([1, 2], [9])
    assert parts(items.split_by_valid_func(lambda file: int(file.stem) > 7)) == (list(range(8)), [8, 9])
    assert parts(items.split_by_files(["003.png", "elsewhere/005"])) == ([0, 1, 2, 4, 6, 7, 8, 9], [3, 5])
    (tmp_path / "valid.txt").write_text("001.png\n002\n\n")
    assert parts(items.split_by_fname_file("valid.txt")) == ([0, 3, 4, 5, 6, 7, 8, 9], [1, 2])
    train, valid = parts(items.split_subsets(0.3, 0.2, seed=1))
    assert (len(train), len(valid), set(train) & set(valid)) == (3, 2, set())


def test_splits_that_are_not_possible_are_refused(tmp_path: Path) -> None:
    items = ten(tmp_path)
    with pytest.raises(LearnerError, match="not shares that fit into 1"):
        items.split_subsets(0.8, 0.3)
    with pytest.raises(LearnerError, match="none of the 1 names"):
        items.split_by_files(["nothing.png"])
    with pytest.raises(LearnerError, match="come from no table"):
        items.split_from_df()


def test_a_split_by_folder_leaves_other_folders_out(tmp_path: Path) -> None:
    a_class_folder(a_data_folder(tmp_path) / "rest", 3)
    split = ImageList.from_folder(tmp_path).split_by_folder()
    assert (len(split.train), len(split.valid)) == (12, 6)
    data = split.label_from_folder().transform(size=16).databunch(bs=2)
    assert (data.classes, len(data.train_ds), len(data.valid_ds)) == (["ant", "bee"], 12, 6)


def test_items_are_chosen_by_folder_extension_function_and_chance(tmp_path: Path) -> None:
    for name in ("train", "training", "valid"):
        a_class_folder(tmp_path / name, 20)
    picture(0).save(tmp_path / "top.bmp")
    everything = ImageList.from_folder(tmp_path)
    assert len(everything) == 61
    assert len(ImageList.from_folder(tmp_path, include=["train"])) == 20  # not "training"
    assert len(ImageList.from_folder(tmp_path, exclude="train")) == 41
    assert len(ImageList.from_folder(tmp_path, extensions=[".BMP"])) == len(get_image_files(tmp_path)) == 1
    assert len(get_image_files(tmp_path, recurse=True)) == 61
    assert len(everything.filter_by_func(lambda file: file.stem != "top")) == 60
    assert 10 < len(everything.filter_by_rand(0.5, seed=0)) < 50
    assert len(ImageList.from_folder(tmp_path).use_partial_data(0.5)) == 30


def a_table() -> pd.DataFrame:
    rows = [(f"{i:03}", "sun rain" if i % 2 else "sun", i + 0.5, i == 3 or i == 8) for i in range(10)]
    return pd.DataFrame(rows, columns=["name", "weather", "warmth", "is_valid"])


def test_f005_a_table_says_names_labels_and_split(tmp_path: Path) -> None:
    a_class_folder(tmp_path / "pics", 10)
    a_table().to_csv(tmp_path / "labels.csv", index=False)
    frame = ImageList.from_df(a_table(), tmp_path, folder="pics", suffix=".png")
    file = ImageList.from_csv(tmp_path, folder="pics", suffix=".png")
    for items in (frame, file):
        split = items.split_from_df("is_valid")
        assert parts(split) == ([0, 1, 2, 4, 5, 6, 7, 9], [3, 8])
        several = split.label_from_df("weather", label_delim=" ")
        assert several.kind is MultiCategoryList
        data = several.transform(size=16).databunch(bs=2)
        assert (data.classes, targets(data)[:2]) == (["rain", "sun"], [[0.0, 1.0], [1.0, 1.0]])
        assert targets(split.label_from_df("warmth").transform(size=16).databunch())[0] == 0.5


def test_numbers_can_be_trained_on_by_their_logarithms(tmp_path: Path) -> None:
    split = ten(tmp_path).split_none()
    data = split.label_from_func(lambda file: int(file.stem) + 1, label_cls=FloatList, log=True)
    bunch = data.transform(size=16).databunch(bs=2)
    assert (bunch.kind, bunch.c) == (LabelKind.FLOAT, 1)
    assert targets(bunch) == pytest.approx([math.log(number + 1) for number in range(10)])
    with pytest.raises(LearnerError, match="no logarithm"):
        split.label_from_func(lambda file: float(file.stem), log=True).databunch()


@pytest.mark.filterwarnings("ignore:1 items have unknown labels")
def test_labels_come_from_lists_patterns_constants_or_not_at_all(tmp_path: Path) -> None:
    split = ten(tmp_path).split_by_idx([0])
    by_list = split.label_from_list([f"c{number % 3}" for number in range(10)]).transform(size=16).databunch(bs=2)
    assert (by_list.classes, targets(by_list)) == (["c0", "c1", "c2"], [1, 2, 0] * 3)
    by_lists = split.label_from_lists(["a"] * 5 + ["b"] * 4, ["b"]).transform(size=16).databunch(bs=2)
    assert targets(by_lists) == [0] * 5 + [1] * 4
    by_re = split.label_from_re(r"(\d)\.png$").transform(size=16).databunch(bs=2)
    assert by_re.classes == [str(number) for number in range(1, 10)]  # those of the training files
    assert by_re.empty_val
    constant = split.label_const("same").transform(size=16).databunch(bs=2)
    assert (constant.classes, targets(constant)) == (["same"], [0] * 9)
    empty = split.label_empty().transform(size=16).databunch(bs=2)
    assert (empty.classes, empty.kind, empty.one_batch()[1].tolist()) == ([], LabelKind.NONE, [0, 0])
    numbered = split.label_from_func(lambda file: int(file.stem) % 2, label_cls=CategoryList, classes=[1, 0])  # type: ignore[list-item]
    assert numbered.databunch(bs=2, no_check=True).classes == ["1", "0"]


def test_f018_test_files_are_added_before_the_data_are_made(tmp_path: Path) -> None:
    labelled = ten(tmp_path / "in").split_by_idx([0]).label_const("same").transform(size=16)
    a_class_folder(tmp_path / "in" / "test", 2)
    a_class_folder(tmp_path / "out", 3)
    data = labelled.add_test_folder().add_test((tmp_path / "out").iterdir()).databunch(bs=2)
    assert data.test_ds is not None
    assert (len(data.test_ds), data.path, data.root) == (5, tmp_path / "in", tmp_path)


def test_steps_in_the_wrong_order_say_which_comes_first(tmp_path: Path) -> None:
    items = ten(tmp_path)
    with pytest.raises(LearnerError, match="Your data isn't split"):
        items.label_from_folder()
    for name in ("transform", "databunch"):
        with pytest.raises(LearnerError, match="neither split nor labelled"):
            getattr(items, name)
        with pytest.raises(LearnerError, match="isn't labelled"):
            getattr(items.split_none(), name)
    with pytest.raises(AttributeError):
        items.nothing  # noqa: B018
    with pytest.raises(LearnerError, match="the batch size is `bs=64`"):
        items.split_none().label_const().databunch(64)  # type: ignore[arg-type]


def test_a_learner_writes_where_the_data_are_told_to(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    labelled = ten(tmp_path / "in").split_none().label_const().transform(size=16)
    data = labelled.databunch(tmp_path / "work", bs=2)
    assert (data.path, data.save().parent) == (tmp_path / "work", tmp_path / "work")
    assert len(ImageDataBunch.load_data(tmp_path / "work").train_ds) == 10


def test_what_was_described_step_by_step_is_a_specification_that_makes_the_same_data(tmp_path: Path) -> None:
    labelled = ten(tmp_path).split_by_rand_pct().label_from_re(r"(\d)\.png$", classes=[str(i) for i in range(10)])
    spec = labelled.transform(([flip_lr(0.5)], []), size=16).spec()
    assert DataSpec.from_json(spec.to_json()) == spec
    data = ImageDataBunch.from_spec(spec, seed=spec.split_seed)
    same = labelled.databunch()
    assert data.train_ds.items == same.train_ds.items
