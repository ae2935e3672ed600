"""Parts, loaders, test pictures and drawings of a data bunch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.pictures import a_class_folder, a_data_folder

from learnfleet.trainer.data import DatasetType, ImageDataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.pixels import IMAGENET
from learnfleet.trainer.transforms import get_transforms


def a_bunch(root: Path, **options: object) -> ImageDataBunch:
    """12 training, 6 validation and 3 test pictures."""
    if not (root / "train").exists():
        a_class_folder(a_data_folder(root) / "unlabelled", 3)
    defaults: dict[str, object] = {"size": 16, "bs": 4, "test": "unlabelled", "no_check": True}
    return ImageDataBunch.from_folder(root, **{**defaults, **options})  # type: ignore[arg-type]


def test_f016_dataset_types_have_fastais_numbers() -> None:
    assert {kind.name: int(kind) for kind in DatasetType} == {"Train": 1, "Valid": 2, "Test": 3, "Single": 4, "Fix": 5}


def test_f016_every_type_has_its_loader_and_its_items(tmp_path: Path) -> None:
    data = a_bunch(tmp_path)
    lengths = {kind.name: (len(data.dl(kind)), len(data.dl(kind).dataset)) for kind in DatasetType}
    assert lengths == {"Train": (3, 12), "Valid": (2, 6), "Test": (1, 3), "Single": (6, 6), "Fix": (3, 12)}
    assert data.dls == [data.train_dl, data.valid_dl, data.fix_dl, data.single_dl, data.test_dl]
    assert data.test_ds is not None
    sizes = [len(part) for part in (data.train_ds, data.valid_ds, data.fix_ds, data.single_ds, data.test_ds)]
    assert sizes == [12, 6, 12, 6, 3]
    assert [batch.n for batch in data.dl(DatasetType.Single).epoch(0)] == [1] * 6


def test_f016_a_type_without_items_is_told(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, test=None)
    assert (data.test_dl, data.test_ds, len(data.dls)) == (None, None, 4)
    with pytest.raises(LearnerError, match="no Test items"):
        data.dl(DatasetType.Test)


def test_f017_the_fix_loader_has_all_training_items_in_order_as_they_are_in_validation(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, bs=5, ds_tfms=get_transforms())
    batches = list(data.fix_dl.epoch(3))
    assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(12))
    assert torch.cat([batch.y for batch in batches]).tolist() == data.train_ds.labels().tolist()
    plain = data.single_batch([item.path for item in data.train_ds])
    assert torch.equal(torch.cat([batch.x for batch in batches]), plain)


def test_f013_validation_pictures_are_the_same_in_every_epoch_and_training_pictures_are_not(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, ds_tfms=get_transforms())
    assert data.valid_dl is not None
    first, second = (torch.cat([batch.x for batch in data.valid_dl.epoch(epoch)]) for epoch in (0, 1))
    assert torch.equal(first, second)
    trained = [torch.cat([b.x[b.indices.argsort()] for b in data.train_dl.epoch(epoch)]) for epoch in (0, 1)]
    assert not torch.equal(*trained)


def test_f013_validation_takes_the_middle(tmp_path: Path) -> None:
    a_data_folder(tmp_path)
    data = ImageDataBunch.from_folder(tmp_path, size=16, bs=4, ds_tfms=get_transforms(), no_check=True)
    with Image.open(data.valid_ds.path(0)) as image:
        middle = np.asarray(image)[:, 2:18]  # 16 x 20 pixels
    assert (data.open_item(DatasetType.Valid, 0).permute(1, 2, 0).numpy() == middle).all()


def test_f018_test_pictures_have_the_target_0_and_the_validation_transforms(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, ds_tfms=get_transforms())
    x, y = data.one_batch(DatasetType.Test)
    assert y.tolist() == [0, 0, 0]
    assert data.test_ds is not None
    assert torch.equal(x, data.single_batch([item.path for item in data.test_ds]))
    assert data.test_ds.label(0) == ""


def test_f018_test_pictures_can_be_added_later_and_settings_are_kept(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, test=None).normalize(IMAGENET)
    data.add_tfm(doubled)
    before = next(data.fix_dl.epoch(0)).x
    data.add_test_folder("unlabelled")
    assert data.test_ds is not None
    assert len(data.test_ds) == 3
    assert torch.equal(next(data.fix_dl.epoch(0)).x, before)
    data.add_test([data.valid_ds.path(0), "valid/bee/151.png"])
    expected = data.single_batch([data.valid_ds.path(0), tmp_path / "valid" / "bee" / "151.png"]) * 2
    assert torch.equal(next(data.dl(DatasetType.Test).epoch(0)).x, expected)
    with pytest.raises(LearnerError, match="is not in"):
        data.add_test(["/etc/passwd"])
    with pytest.raises(LearnerError, match="no folder 'nothing'"):
        data.add_test_folder("nothing")


def doubled(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x * 2, y


def test_f019_a_batch_is_shown_as_a_square_grid_without_its_normalisation(tmp_path: Path) -> None:
    plain = a_bunch(tmp_path, bs=12).show_batch(rows=3, ds_type=DatasetType.Fix)
    normal = a_bunch(tmp_path, bs=12, normalize=IMAGENET).show_batch(rows=3, ds_type=DatasetType.Fix, figsize=(3, 4))
    assert len(plain.axes) == len(normal.axes) == 9
    assert tuple(normal.get_size_inches()) == (3, 4)
    for one, other in zip(plain.axes, normal.axes, strict=True):
        assert one.get_title() == other.get_title() == "ant" or one.get_title() == "bee"
        assert np.abs(shown(one).astype(int) - shown(other)).max() <= 1
    assert shown(plain.axes[0]).shape == (16, 16, 3)


def shown(axis: object) -> np.ndarray:
    return np.asarray(axis.images[0].get_array())  # type: ignore[attr-defined]


def test_f019_no_more_is_shown_than_the_batch_has_and_reverse_begins_at_its_end(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, bs=4)
    figure = data.show_batch(rows=5, ds_type=DatasetType.Valid)
    assert [len(axis.images) for axis in figure.axes] == [1, 1, 1, 1]
    first, last = (data.show_batch(1, DatasetType.Valid, reverse).axes[0] for reverse in (False, True))
    x, _ = data.one_batch(DatasetType.Valid)
    for axis, row in ((first, 0), (last, 3)):
        assert np.abs(shown(axis).astype(int) - (x[row].permute(1, 2, 0).numpy() * 255)).max() <= 1


def test_f019_several_labels_are_joined_and_test_pictures_have_no_title(tmp_path: Path) -> None:
    a_class_folder(tmp_path, 4)
    names = [f"{i:03}.png" for i in range(4)]
    labels = [["sun"], ["rain", "sun"], [], ["fog"]]
    data = ImageDataBunch.from_lists(tmp_path, names, labels, valid_pct=0.0, size=16, bs=4, no_check=True)
    assert [axis.get_title() for axis in data.show_batch(2, DatasetType.Fix).axes] == ["sun", "rain;sun", "", "fog"]
    numbers = ImageDataBunch.from_lists(tmp_path, names, [0.5, 1.0, 2.25, 3.0], 0.0, size=16, bs=4, no_check=True)
    numbers.add_test(names)
    assert [axis.get_title() for axis in numbers.show_batch(2, DatasetType.Fix).axes] == ["0.5", "1", "2.25", "3"]
    assert [axis.get_title() for axis in numbers.show_batch(2, DatasetType.Test).axes] == [""] * 4


def test_one_batch_is_detached_denormalised_and_whole_as_asked(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, normalize=IMAGENET)
    x, y = data.one_batch(DatasetType.Valid)
    assert (tuple(x.shape), y.tolist()) == ((4, 3, 16, 16), [0, 0, 0, 1])
    assert x.min() >= 0
    assert x.max() <= 1
    raw, _ = data.one_batch(DatasetType.Valid, denorm=False)
    assert raw.min() < 0
    assert torch.allclose(data.denormalize(raw), x)


def test_one_item_is_a_batch_of_one_with_the_target_0(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, normalize=IMAGENET)
    path = data.valid_ds.path(1)
    for source in (path, str(path), path.read_bytes()):
        x, y = data.one_item(source)
        assert torch.equal(x, next(data.dl(DatasetType.Valid).epoch(0)).x[1:2])
        assert y.tolist() == [0]
    assert data.one_item(path, denorm=True)[0].min() >= 0
