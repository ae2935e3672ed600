from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.pictures import SHARED, a_class_folder, a_data_folder, picture, truncate

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.folder import scan_folder, split_by_pct
from learnfleet.trainer.folder_check import check_folder, check_folder_within
from learnfleet.trainer.listing import FolderListing, Item
from learnfleet.trainer.spec import DataSpec


def listing(root: Path, **fields: object) -> FolderListing:
    return scan_folder(DataSpec(str(root), **fields))  # type: ignore[arg-type]


def labels(found: FolderListing, items: tuple[Item, ...], root: Path) -> dict[str, str]:
    return {str(item.path.relative_to(root)): found.classes[item.label] for item in items}


def fields_and_messages(root: Path, **fields: object) -> list[tuple[str, str]]:
    spec = DataSpec(str(root), **{"bs": 2, **fields})  # type: ignore[arg-type]
    return [(problem.field, problem.message) for problem in check_folder(spec)]


# --- scanning ---


def test_classes_are_sorted_and_items_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    found = listing(a_data_folder(tmp_path, 3, 1, classes=("wasp", "ant", "bee")))
    assert found.classes == ("ant", "bee", "wasp")
    assert [item.path for item in found.train] == sorted(item.path for item in found.train)
    assert [item.label for item in found.train] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [item.label for item in found.valid] == [0, 1, 2]


def test_the_class_is_the_folder_that_holds_the_pictures(tmp_path: Path) -> None:
    a_class_folder(tmp_path / "train" / "insects" / "ant", 1)
    a_class_folder(tmp_path / "train" / "bee", 1)
    a_class_folder(tmp_path / "train" / "bee" / "more" / "still", 1)
    (tmp_path / "valid").mkdir()
    found = listing(tmp_path)
    assert labels(found, found.train, tmp_path) == {
        "train/bee/000.png": "bee",
        "train/bee/more/still/000.png": "bee",
        "train/insects/ant/000.png": "ant",
    }


def test_what_is_no_picture_is_passed_over_and_counted(tmp_path: Path) -> None:
    root = a_data_folder(tmp_path, 1, 1)
    ant = root / "train" / "ant"
    (ant / "notes.txt").touch()
    (ant / ".hidden.png").touch()
    a_class_folder(root / "train" / ".cache", 1)
    a_class_folder(root / "train" / "__MACOSX", 1)
    os.mkfifo(ant / "pipe.jpg")
    (ant / "round").symlink_to("..")
    picture(0).save(root / "train" / "stray.png")
    ignored = listing(root).ignored
    assert (ignored.other_files, ignored.hidden, ignored.special, ignored.links, ignored.no_class) == (1, 3, 1, 1, 1)
    assert len(listing(root).train) == 2


def test_a_bottomless_folder_ends_the_walk_and_is_counted(tmp_path: Path) -> None:
    root = a_data_folder(tmp_path, 1, 1)
    a_class_folder(root.joinpath("train", "ant", *["d"] * 40), 1)
    found = listing(root)
    assert (len(found.train), found.ignored.too_deep) == (2, 1)


def test_links_that_stay_in_the_tree_are_pictures_and_others_are_refused(tmp_path: Path) -> None:
    root = a_data_folder(tmp_path / "root", 1, 1)
    picture(0).save(tmp_path / "outside.png")
    ant = root / "train" / "ant"
    (ant / "inside.png").symlink_to("000.png")
    (ant / "gone.png").symlink_to("nothing.png")
    (ant / "loop.png").symlink_to("loop.png")
    (ant / "escape.png").symlink_to(tmp_path / "outside.png")
    found = listing(root)
    assert [item.path.name for item in found.train if found.classes[item.label] == "ant"] == ["000.png", "inside.png"]
    assert {refused.path.name for refused in found.refused} == {"gone.png", "loop.png", "escape.png"}


def test_validation_pictures_of_an_unknown_class_are_dropped_and_counted(tmp_path: Path) -> None:
    root = a_data_folder(tmp_path, 1, 2)
    a_class_folder(root / "valid" / "wasp", 3)
    found = listing(root)
    assert (len(found.valid), found.ignored.unknown_class) == (4, 3)


def test_the_random_split_is_fastais(tmp_path: Path) -> None:
    oracles = SHARED / "learner" / "oracles.json"
    if not oracles.exists():
        pytest.skip("the shared oracles are not beside this checkout")
    text = json.loads(oracles.read_text())
    rows = text if isinstance(text, list) else text.get("oracles", list(text.values()))
    expected = next(row for row in rows if row["id"] == "O29")["expected"]
    everything = [(Path(str(number)), "x") for number in range(expected["n"])]
    train, valid = split_by_pct(everything, expected["valid_pct"], expected["seed"])
    assert [int(path.name) for path, _ in valid] == expected["valid_idx"]
    assert [int(path.name) for path, _ in train] == expected["train_idx"]


def test_a_split_folder_is_covered_once(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        a_class_folder(tmp_path / name, 10)
    found = listing(tmp_path, valid_pct=0.3)
    paths = [item.path for item in (*found.train, *found.valid)]
    assert (len(found.train), len(found.valid), len(set(paths))) == (14, 6, 20)


@pytest.mark.parametrize("name", ["../elsewhere", "/", "out"])
def test_the_training_folder_must_lie_in_the_data_folder(tmp_path: Path, name: str) -> None:
    root = a_data_folder(tmp_path / "root")
    a_data_folder(tmp_path / "elsewhere")
    (root / "out").symlink_to(tmp_path / "elsewhere" / "train")
    with pytest.raises(LearnerError, match="leads out of"):
        listing(root, train=name)


# --- checking ---


def test_a_good_folder_has_no_problem(tmp_path: Path) -> None:
    assert fields_and_messages(a_data_folder(tmp_path)) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert fields_and_messages(gone) == [("data.folder.path", f"{gone} does not exist")]


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert fields_and_messages(tmp_path / "file") == [("data.folder.path", f"{tmp_path}/file is not a directory")]


def test_a_folder_without_train_says_what_it_holds_and_suggests_valid_pct(tmp_path: Path) -> None:
    a_class_folder(tmp_path / "ant", 1)
    ((field, message),) = fields_and_messages(tmp_path)
    assert field == "data.folder.train"
    assert "it holds ant/" in message
    assert "valid_pct" in message


def test_a_folder_without_valid_is_told(tmp_path: Path) -> None:
    a_class_folder(tmp_path / "train" / "ant", 1)
    ((field, _),) = fields_and_messages(tmp_path)
    assert field == "data.folder.valid"


def test_a_folder_without_pictures_is_told(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "valid").mkdir()
    problems = dict(fields_and_messages(tmp_path))
    assert "no picture in a class folder" in problems["data.folder.path"]
    assert "no picture to validate on" in problems["data.folder.valid"]


def test_a_folder_of_links_to_elsewhere_says_why_it_holds_no_picture(tmp_path: Path) -> None:
    a_class_folder(tmp_path / "store", 1)
    for part in ("train", "valid"):
        (tmp_path / "root" / part / "ant").mkdir(parents=True)
        (tmp_path / "root" / part / "ant" / "a.png").symlink_to(tmp_path / "store" / "000.png")
    problems = fields_and_messages(tmp_path / "root")
    assert any("2 refused: a link to a place outside" in message for _, message in problems)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_cannot_split_is_named(tmp_path: Path, seed: int) -> None:
    a_class_folder(tmp_path / "ant", 3)
    ((field, _),) = fields_and_messages(tmp_path, valid_pct=0.5, split_seed=seed)
    assert field == "data.folder.split_seed"


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    ((field, message),) = fields_and_messages(a_data_folder(tmp_path, classes=("ant",)))
    assert field == "data.folder.path"
    assert "only one class, 'ant'" in message


def test_a_class_whose_pictures_are_all_broken_is_named_with_a_reason(tmp_path: Path) -> None:
    root = a_data_folder(tmp_path, 3)
    for path in (root / "train" / "bee").iterdir():
        truncate(path)
    ((field, message),) = fields_and_messages(root)
    assert field == "data.folder.path"
    assert "class 'bee' has no valid picture: 100.png: image file is truncated" in message


def test_one_good_picture_is_enough_for_a_class(tmp_path: Path) -> None:
    root = a_data_folder(tmp_path, 3)
    for path in sorted((root / "train" / "bee").iterdir())[:-1]:
        truncate(path)
    assert fields_and_messages(root) == []


def test_a_class_folder_with_other_files_only_is_named_and_an_empty_one_is_not_a_class(tmp_path: Path) -> None:
    root = a_data_folder(tmp_path)
    (root / "train" / "empty").mkdir()
    assert fields_and_messages(root) == []
    (root / "train" / "wasp").mkdir()
    (root / "train" / "wasp" / "photo.raw").touch()
    ((_, message),) = fields_and_messages(root)
    assert "class 'wasp' has no valid picture: 1 other files" in message


def test_a_validation_set_of_unknown_classes_is_empty(tmp_path: Path) -> None:
    root = a_data_folder(tmp_path, n_valid=0)
    a_class_folder(root / "valid" / "wasp", 2)
    ((field, message),) = fields_and_messages(root)
    assert field == "data.folder.valid"
    assert "2 pictures are of classes" in message


def test_more_pictures_a_batch_than_there_are_is_a_problem_of_the_batch_size(tmp_path: Path) -> None:
    ((field, message),) = fields_and_messages(a_data_folder(tmp_path, 4), bs=9)
    assert (field, message) == ("data.batch_size", "9 is more than the 8 training pictures; lower it to 8 or less")


def test_a_share_that_leaves_nothing_to_validate_on_is_a_problem(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        a_class_folder(tmp_path / name, 3)
    assert [field for field, _ in fields_and_messages(tmp_path, valid_pct=0.1)] == ["data.folder.valid_pct"]
    assert [field for field, _ in fields_and_messages(tmp_path, valid_pct=1.0)] == ["data.folder.valid_pct"]


def test_an_expression_that_takes_for_ever_is_told_and_not_waited_for(tmp_path: Path) -> None:
    a_class_folder(tmp_path / ("a" * 60), 2)
    spec = DataSpec(str(tmp_path), source="names", pattern="(?:a|a|aa)+(b)$", size=(16, 16), bs=1)
    (problem,) = check_folder_within(spec, timeout_s=3.0)
    assert problem.field == "data.names.pattern"
    assert "longer than 3 s" in problem.message
    a_class_folder(tmp_path / "b", 2)
    quick = DataSpec(str(tmp_path), source="names", pattern="/(a|b)[^/]*/[^/]*$", valid_pct=0.25, size=(16, 16), bs=1)
    assert check_folder_within(quick, timeout_s=60.0) == []


def test_the_example_picture_of_an_export_in_the_folder_is_no_class(tmp_path: Path) -> None:
    for name in ("ant", "bee", "export"):
        a_class_folder(tmp_path / name, 2)
    for name in ("manifest.json", "model.safetensors"):
        (tmp_path / "export" / name).touch()
    assert listing(tmp_path, valid_pct=0.5).classes == ("ant", "bee")
