"""Every way to describe data remotely: from the client's words over protobuf to the pictures of a learner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.pictures import a_class_folder, a_data_folder

from learnfleet.client.data_specs import ImageDataBunch as RemoteData
from learnfleet.client.data_specs import get_image_files, get_transforms
from learnfleet.server.data.roots import DataRoots
from learnfleet.server.errors import InvalidArgument
from learnfleet.server.rpc.ports import Argument
from learnfleet.server.rpc.read_component import Names
from learnfleet.server.rpc.read_data import read_data
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_data import data_to_proto
from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.folder_check import check_folder
from learnfleet.trainer.spec import DataSpec, LabelKind, ResizeMethod
from learnfleet.trainer.transform_components import available_transforms

EXTRA = get_transforms(xtra_tfms=[("cutout", {"length": [2.0, 4.0]}), ("rand_resize_crop", {"max_scale": 1.5})])


def named(root: Path) -> RemoteData:
    a_class_folder(root / "ant", 5)
    a_class_folder(root / "bee", 5)
    return RemoteData.from_name_re(
        root, get_image_files(root), r"/(ant|bee)/", valid_pct=0.3, seed=1, ds_tfms=EXTRA, size=16, bs=4
    )


def folders(root: Path) -> RemoteData:
    a_class_folder(a_data_folder(root) / "more", 2)
    return RemoteData.from_folder(str(root), size=(12, 16), bs=4, test="more", classes=["bee", "ant"])


def table(root: Path) -> RemoteData:
    a_class_folder(root / "pics", 10)
    rows = [f"{number:03};{'sun|rain' if number % 2 else 'sun'}" for number in range(10)]
    (root / "t.csv").write_text("\n".join(["name;tags", *rows]))
    return RemoteData.from_csv(
        str(root), "pics", "|", "t.csv", fn_col="name", label_col="tags", suffix=".png", delimiter=";", size=16, bs=4
    )


def listed(root: Path) -> RemoteData:
    a_class_folder(root, 8)
    names = [f"{number:03}.png" for number in range(8)]
    numbers = [number + 0.5 for number in range(8)]
    made = RemoteData.from_lists(str(root), names, numbers, is_valid=[number > 5 for number in range(8)], size=16, bs=3)
    return made.with_options(log=True, padding_mode="zeros", valid_margin=4, val_bs=2)


def masks(root: Path) -> RemoteData:
    a_class_folder(root / "images", 6)
    (root / "labels").mkdir()
    for number in range(6):
        Image.fromarray(np.full((16, 20), number % 2, np.uint8)).save(root / "labels" / f"{number:03}_P.png")
    return RemoteData.from_masks(str(root), ["no", "yes"], suffix="_P", size=None, bs=2, ds_tfms=get_transforms())


def numbered(root: Path) -> RemoteData:
    a_class_folder(root, 8)
    names = [f"{number:03}.png" for number in range(8)]
    return RemoteData.from_lists(
        str(root), names, [10, 2] * 4, is_valid=[number > 5 for number in range(8)], size=16, bs=3
    ).with_options(val_bs=2)


def several_numbers(root: Path) -> RemoteData:
    a_class_folder(root, 8)
    names = [f"{number:03}.png" for number in range(8)]
    labels = [np.array([number, 0.5], dtype=np.float32) for number in range(8)]
    return RemoteData.from_lists(str(root), names, labels, is_valid=[number > 5 for number in range(8)], size=16, bs=3)


def listed_masks(root: Path) -> RemoteData:
    masks(root)
    names = [f"{number:03}" for number in range(6)]
    pictures, found = [f"images/{name}.png" for name in names], [f"labels/{name}_P.png" for name in names]
    last = [name == names[-1] for name in names]
    return RemoteData.from_lists(str(root), pictures, found, is_valid=last, size=16, bs=2, masks_of=["no", "yes"])


def the_names() -> Names:
    transforms = {
        name: tuple(Argument(**item) for item in arguments) for name, arguments in available_transforms().items()
    }
    return Names(frozenset(), {}, {}, {}, {}, transforms)


def problems_of(found: Violations) -> list[tuple[str, str]]:
    try:
        found.raise_if_any()
    except InvalidArgument as error:
        return [(violation.field, violation.description) for violation in error.violations]
    return []


def read(message: object, root: Path) -> tuple[DataSpec | None, list[tuple[str, str]]]:
    found = Violations()
    spec = read_data(message, "data", found, DataRoots([root]), the_names())  # type: ignore[arg-type]
    return spec, problems_of(found)


@pytest.mark.parametrize(
    ("make", "kind", "classes", "sizes"),
    [
        (folders, LabelKind.CATEGORY, ["bee", "ant"], (12, 6, 2)),
        (named, LabelKind.CATEGORY, ["ant", "bee"], (7, 3, 0)),
        (table, LabelKind.MULTI_CATEGORY, ["rain", "sun"], (8, 2, 0)),
        (listed, LabelKind.FLOAT, ["value"], (6, 2, 0)),
        (numbered, LabelKind.CATEGORY, ["2", "10"], (6, 2, 0)),
        (several_numbers, LabelKind.FLOAT, ["value 0", "value 1"], (6, 2, 0)),
        (masks, LabelKind.MASK, ["no", "yes"], (5, 1, 0)),
        (listed_masks, LabelKind.MASK, ["no", "yes"], (5, 1, 0)),
    ],
)
def test_f001_f004_f006_f007_f015_data_described_remotely_are_read_checked_and_loaded(
    tmp_path: Path, make: Callable[[Path], RemoteData], kind: LabelKind, classes: list[str], sizes: tuple[int, ...]
) -> None:
    spec, violations = read(make(tmp_path).to_proto(), tmp_path)
    assert violations == []
    assert spec is not None
    assert check_folder(spec) == []
    data = ImageDataBunch.from_spec(DataSpec.from_json(spec.to_json()))
    assert (data.kind, data.classes) == (kind, classes)
    assert (len(data.train_ds), len(data.valid_ds), len(data.test_ds or ())) == sizes
    assert next(data.train_dl.epoch(0)).n == spec.bs
    again, violations = read(data_to_proto(spec), tmp_path)
    assert (again, violations) == (DataSpec(**{**vars(spec), "val_bs": spec.val_bs or spec.bs}), [])


def test_options_arrive_as_they_were_said(tmp_path: Path) -> None:
    spec, _ = read(listed(tmp_path).to_proto(), tmp_path)
    assert spec is not None
    assert (spec.log, spec.padding_mode, spec.valid_margin, spec.val_bs) == (True, "zeros", 4, 2)
    (tmp_path / "m").mkdir()
    spec, _ = read(masks(tmp_path / "m").to_proto(), tmp_path)
    assert spec is not None
    assert (spec.size, spec.resize_method) == ((), ResizeMethod.NO)


def test_a_transform_that_is_not_possible_is_a_problem_before_anything_is_queued(tmp_path: Path) -> None:
    spec, violations = read(named(tmp_path).to_proto(), tmp_path)
    assert violations == []
    assert spec is not None
    wrong = get_transforms(xtra_tfms=[("cutout", {"p": 2.0})])
    spec, _ = read(RemoteData(named(tmp_path).source, wrong, size=16, bs=4).to_proto(), tmp_path)
    assert spec is not None
    (problem,) = check_folder(spec)
    assert (problem.field, problem.message) == ("data.transforms.extra[0].p", "2.0 is not in [0, 1]")
