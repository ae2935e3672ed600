"""What factories make of odd but legal values, and of those that are neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.pictures import a_data_folder, picture

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.item_list import ImageList
from learnfleet.trainer.spec import LabelKind

SMALL: dict[str, object] = {"size": 16, "bs": 2, "no_check": True}


def files(folder: Path, names: list[str]) -> list[str]:
    """Pictures of these names."""
    for number, name in enumerate(names):
        picture(number).save(folder / name)
    return names


def labels_of(data: ImageDataBunch) -> dict[str, str]:
    """The label of every picture that trains or validates, by its name."""
    parts = (data.train_ds, data.valid_ds)
    return {part.path(i).name: part.label(i) for part in parts for i in range(len(part))}


def a_table(folder: Path, text: str) -> None:
    (folder / "labels.csv").write_text(text)


def test_f004_header_is_the_first_line_or_none_at_all(tmp_path: Path) -> None:
    files(tmp_path, [f"{i}.png" for i in range(5)])
    a_table(tmp_path, "name,label\n" + "\n".join(f"{i}.png,a" for i in range(5)))
    assert len(ImageDataBunch.from_csv(tmp_path, valid_pct=0.0, header=0, **SMALL).train_ds) == 5
    for header in (1, False):
        with pytest.raises(LearnerError, match=r"header: .* is not possible: 'infer' or 0"):
            ImageDataBunch.from_csv(tmp_path, header=header, **SMALL)  # type: ignore[arg-type]


def test_f004_a_column_is_counted_from_the_end_too_and_tabs_divide_them(tmp_path: Path) -> None:
    files(tmp_path, [f"{i}.png" for i in range(4)])
    a_table(tmp_path, "name\tnote\tlabel\n" + "\n".join(f"{i}.png\tsee, there\t{'ab'[i % 2]}" for i in range(4)))
    data = ImageDataBunch.from_csv(tmp_path, None, None, "labels.csv", 0.0, 42, 0, -1, "", "\t", "infer", **SMALL)
    assert labels_of(data) == {f"{i}.png": "ab"[i % 2] for i in range(4)}
    frame = pd.read_csv(tmp_path / "labels.csv", sep="\t")
    assert labels_of(ImageDataBunch.from_df(tmp_path, frame, label_col=-1, **SMALL)) == labels_of(data)
    with pytest.raises(LearnerError, match=r"there is no column -4; there are name, note, label"):
        ImageDataBunch.from_df(tmp_path, frame, label_col=-4, **SMALL)


NUMBERED = [10, 2, 1, 0, 10, 2]


def test_f004_f005_f007_whole_numbers_are_classes_in_the_order_of_their_size(tmp_path: Path) -> None:
    names = files(tmp_path, [f"{i}.png" for i in range(6)])
    frame = pd.DataFrame({"name": names, "label": NUMBERED})
    frame.to_csv(tmp_path / "labels.csv", index=False)
    blocks = ImageList.from_df(frame, tmp_path).split_none().label_from_df().transform(size=16)
    found = [
        ImageDataBunch.from_lists(tmp_path, names, NUMBERED, 0.0, **SMALL),
        ImageDataBunch.from_lists(tmp_path, names, np.array(NUMBERED), 0.0, **SMALL),
        ImageDataBunch.from_name_func(tmp_path, names, lambda path: NUMBERED[int(path.stem)], 0.0, **SMALL),
        ImageDataBunch.from_df(tmp_path, frame, valid_pct=0.0, **SMALL),
        ImageDataBunch.from_csv(tmp_path, valid_pct=0.0, **SMALL),
        blocks.databunch(bs=2, no_check=True),
    ]
    for data in found:
        assert data.classes == ["0", "1", "2", "10"]
        assert data.train_ds.labels().tolist() == [3, 2, 1, 0, 3, 2]
    several = ImageDataBunch.from_lists(tmp_path, names, [[10, 2], [1], [], [0], [2], [10]], 0.0, **SMALL)
    assert several.classes == ["0", "1", "2", "10"]
    text = ImageDataBunch.from_lists(tmp_path, names, [str(label) for label in NUMBERED], 0.0, **SMALL)
    assert text.classes == ["0", "1", "10", "2"]  # as fastai sorts text, and names of folders


def test_f004_numbers_written_with_a_point_are_values_as_they_are_in_a_data_frame(tmp_path: Path) -> None:
    files(tmp_path, ["0.png", "1.png"])
    a_table(tmp_path, "name,age\n0.png,30.0\n1.png,4.0\n")
    data = ImageDataBunch.from_csv(tmp_path, valid_pct=0.0, **SMALL)
    assert (data.kind, data.train_ds.labels().tolist()) == (LabelKind.FLOAT, [30.0, 4.0])
    frame = pd.read_csv(tmp_path / "labels.csv")
    assert ImageDataBunch.from_df(tmp_path, frame, valid_pct=0.0, **SMALL).kind is LabelKind.FLOAT


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan")])
def test_f007_a_file_without_a_label_is_named(tmp_path: Path, missing: object) -> None:
    names = files(tmp_path, ["0.png", "1.png"])
    with pytest.raises(LearnerError, match=r"1\.png has no label"):
        ImageDataBunch.from_lists(tmp_path, names, ["a", missing], **SMALL)


def test_f007_a_file_that_is_named_twice_keeps_both_labels_and_in_a_table_must_have_one(tmp_path: Path) -> None:
    files(tmp_path, ["0.png", "1.png"])
    data = ImageDataBunch.from_lists(tmp_path, ["0.png", "1.png", "0.png"], ["a", "a", "b"], 0.0, **SMALL)
    assert [data.train_ds.label(i) for i in range(3)] == ["a", "a", "b"]
    frame = pd.DataFrame({"name": ["0.png", "1.png", "0.png"], "label": ["a", "a", "b"]})
    with pytest.raises(LearnerError, match=r"0\.png is there twice, as 'a' and as 'b'"):
        ImageList.from_df(frame, tmp_path).split_none().label_from_df()


def test_f008_one_name_for_the_classes_is_refused_and_not_taken_for_its_letters(tmp_path: Path) -> None:
    with pytest.raises(LearnerError, match=r"classes: 'ant' is one name, not a list of them: give \['ant'\]"):
        ImageDataBunch.from_folder(a_data_folder(tmp_path), classes="ant", **SMALL)


def test_f001_data_of_one_class_have_one_output(tmp_path: Path) -> None:
    data = ImageDataBunch.from_folder(a_data_folder(tmp_path, 4, 2, ("ant",)), **SMALL)
    assert (data.c, data.classes, data.one_batch()[1].tolist()) == (1, ["ant"], [0, 0])


def test_f007_one_extension_is_one_and_not_its_letters(tmp_path: Path) -> None:
    files(tmp_path, ["0.png", "1.PNG", "2.jpg"])
    assert [item.name for item in ImageList.from_folder(tmp_path, ".png").items] == ["0.png", "1.PNG"]
    assert [item.name for item in ImageList.from_folder(tmp_path, extensions=[".jpg"]).items] == ["2.jpg"]


def test_f008_an_unknown_label_among_several_is_left_out_with_a_warning(tmp_path: Path) -> None:
    names = files(tmp_path, [f"{i}.png" for i in range(4)])
    blocks = ImageList(names, tmp_path).split_by_idx([3])
    labels = [["sun"], ["sun", "rain"], [], ["rain", "fog"]]
    with pytest.warns(UserWarning, match=r"1 items have unknown labels \(fog\) .* these labels have been left out"):
        data = blocks.label_from_list(labels).transform(size=16).databunch(bs=2, no_check=True)
    assert data.classes == ["rain", "sun"]
    assert [data.valid_ds.label(0), data.train_ds.label(1)] == ["rain", "rain;sun"]
