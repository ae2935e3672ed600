"""A data set may be named wherever a path is wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from learnfleet.client import Dataset, DatasetPath, ImageDataBunch, ImageList
from learnfleet.client.data_bunch import DataBunch
from learnfleet.v1 import dataset_service_pb2 as pb

NAME = "datasets/pets/versions/2"

FACTORIES: dict[str, Callable[[object], DataBunch]] = {
    "from_folder": lambda path: ImageDataBunch.from_folder(path),  # type: ignore[arg-type]
    "from_csv": lambda path: ImageDataBunch.from_csv(path),  # type: ignore[arg-type]
    "from_lists": lambda path: ImageDataBunch.from_lists(path, ["a.jpg", "b.jpg"], ["x", "y"], valid_pct=0.5),  # type: ignore[arg-type]
    "from_masks": lambda path: ImageDataBunch.from_masks(path, ["a", "b"]),  # type: ignore[arg-type]
    "data block": lambda path: (
        ImageList.from_folder(path).split_by_rand_pct().label_from_folder().transform(size=32).databunch()  # type: ignore[arg-type]
    ),
}


def a_dataset(summary: pb.DatasetSummary | None = None) -> Dataset:
    version = pb.DatasetVersion(name=NAME, state=pb.DatasetVersion.STATE_READY, files=3, size_bytes=2048)
    if summary is not None:
        version.summary.CopyFrom(summary)
    return Dataset.from_proto(pb.Dataset(name="datasets/pets", versions=[version]))


def named(data: DataBunch) -> tuple[str, str]:
    message = data.to_proto()
    return message.dataset, getattr(message, message.WhichOneof("source") or "").path


@pytest.mark.parametrize("factory", FACTORIES)
def test_every_factory_takes_a_data_set(factory: str) -> None:
    make = FACTORIES[factory]
    assert named(make(a_dataset())) == (NAME, "")
    assert named(make(a_dataset() / "images")) == (NAME, "images")


@pytest.mark.parametrize(
    ("text", "dataset", "path"),
    [
        ("dataset://pets", "datasets/pets", ""),
        ("dataset://pets/", "datasets/pets", ""),
        ("dataset://pets/versions/2", NAME, ""),
        ("dataset://pets/versions/2/a/b", NAME, "a/b"),
        ("dataset://pets/versions/latest", "datasets/pets", "versions/latest"),
        (str(DatasetPath(NAME, "a b/ü")), NAME, "a b/ü"),
        (str(Path("dataset://pets/versions/2/images")), NAME, "images"),
        ("datasets/pets", "", "datasets/pets"),
        ("/data/dataset://x", "", "/data/dataset://x"),
    ],
)
def test_a_data_set_has_a_name_as_text(text: str, dataset: str, path: str) -> None:
    assert named(ImageDataBunch.from_folder(text)) == (dataset, path)


def test_a_name_without_a_data_set_is_refused_here() -> None:
    with pytest.raises(ValueError, match="must be of the form dataset://NAME"):
        ImageDataBunch.from_folder("dataset://").to_proto()


def test_a_notebook_shows_classes_and_counts_and_no_markup_of_others() -> None:
    classes = [pb.ClassCount(name="<b>cat", images=5, splits={"train": 3, "valid": 2}), pb.ClassCount(name="dog")]
    broken = [pb.BrokenFile(path="<script>.jpg", reason="empty")]
    html = a_dataset(pb.DatasetSummary(images=5, classes=classes, broken=broken, broken_count=1))._repr_html_()
    for text in ("datasets/pets/versions/2", "&lt;b&gt;cat", "train", "valid", ">5<", "cannot be used"):
        assert text in html
    assert "<script>" not in html
    assert "<b>cat" not in html
