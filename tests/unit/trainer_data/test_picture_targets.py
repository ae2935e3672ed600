"""Pictures as targets: resized, cropped, moved and lit as their pictures are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support.dots import DOTS, centroid, dotted_pictures

from learnfleet.trainer import transform_components as tc
from learnfleet.trainer.data import DatasetType, ImageDataBunch
from learnfleet.trainer.data_options import Transforms
from learnfleet.trainer.data_spec import LabelKind, ResizeMethod
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.item_list import ImageImageList, ImageList
from learnfleet.trainer.loss_functions import MSELossFlat
from learnfleet.trainer.pixels import IMAGENET
from learnfleet.trainer.spec import DataSpec
from learnfleet.trainer.split_lists import ImageLabelList
from learnfleet.trainer.transforms import get_transforms

ALL_SEVEN = get_transforms(flip_vert=True, max_rotate=20, p_affine=1, p_lighting=1)


def high_of(path: Path) -> Path:
    return path.parents[1] / "high" / path.name


def itself(path: Path) -> Path:
    return path


def folders(root: Path, scale: float = 2) -> Path:
    """Pictures in `low`, and the same, so much larger, in `high`."""
    for name in ("low", "high"):
        (root / name).mkdir(parents=True)
    for file in dotted_pictures(root / "low").iterdir():
        image = Image.open(file)
        size = (round(image.width * scale), round(image.height * scale))
        image.resize(size, Image.Resampling.BICUBIC).save(root / "high" / file.name)
    return root


def a_bunch(root: Path, tfms: Transforms = None, of: Any = high_of, bs: int = 1, **options: Any) -> ImageDataBunch:
    everything = range(len(DOTS))
    split = ImageImageList.from_folder(root / "low").split_by_idxs(everything, everything)
    return split.label_from_func(of).transform(tfms, **options).databunch(bs=bs)


def farthest(data: ImageDataBunch, ds_type: DatasetType = DatasetType.Train) -> float:
    """The greatest distance in pixels between the dots of a picture and of its target, where both are well inside."""
    found = []
    for epoch in range(5):
        for batch in data.dl(ds_type).epoch(epoch):
            assert (batch.y.shape, batch.y.dtype) == (batch.x.shape, torch.float32)
            places = [centroid(part[0]) for part in (batch.x, batch.y)]
            side = torch.tensor(batch.x.shape[2:])
            if all(bool(((place > 8) & (place < side - 8)).all()) for place in places):
                found.append(float((places[0] - places[1]).norm()))
    assert len(found) > 5
    return max(found)


@pytest.mark.parametrize("method", [ResizeMethod.CROP, ResizeMethod.SQUISH, ResizeMethod.PAD])
@pytest.mark.parametrize("scale", [1, 2, 0.7])
def test_f012_a_target_of_any_resolution_lies_as_its_picture_does(
    tmp_path: Path, scale: float, method: ResizeMethod
) -> None:
    data = a_bunch(folders(tmp_path, scale), ALL_SEVEN, size=(64, 80), resize_method=method, padding_mode="zeros")
    assert farthest(data, DatasetType.Valid) < 0.5
    assert farthest(data) < 0.5


@pytest.mark.parametrize(
    "component", [tc.rand_resize_crop(64, 1.5), tc.rand_pad(4, 64)[0], tc.jitter(0.02), tc.dihedral(), tc.skew()]
)
def test_f012_a_target_goes_through_each_further_transform_as_its_picture_does(tmp_path: Path, component: Any) -> None:
    assert farthest(a_bunch(folders(tmp_path), ([component], []), size=64, padding_mode="zeros")) < 0.6


@pytest.mark.parametrize("padding", ["reflection", "zeros"])
def test_f012_a_picture_that_is_its_own_target_stays_equal_to_it(tmp_path: Path, padding: Any) -> None:
    folders(tmp_path)
    data = a_bunch(tmp_path, ALL_SEVEN, of=itself, size=64, bs=4, padding_mode=padding)
    assert all(torch.equal(batch.x, batch.y) for batch in data.train_dl.epoch(0))
    data.normalize(IMAGENET, do_y=True)
    assert all(torch.equal(batch.x, batch.y) for batch in data.train_dl.epoch(0))
    only_x = a_bunch(tmp_path, ALL_SEVEN, of=itself, size=64, bs=4, padding_mode=padding).normalize(IMAGENET)
    for batch in only_x.train_dl.epoch(0):
        assert torch.allclose(only_x.denormalize(batch.x), batch.y, atol=1e-5)


def test_f012_holes_are_left_to_pictures(tmp_path: Path) -> None:
    data = a_bunch(folders(tmp_path), ([tc.cutout(1, 30)], []), of=itself, size=64, bs=4, resize_method="squish")
    plain = data.one_batch(DatasetType.Fix)[1]
    batch = next(data.train_dl.epoch(0))
    assert torch.equal(batch.y, plain[batch.indices])
    assert not torch.equal(batch.x, batch.y)


def test_f007_data_of_picture_targets_have_three_channels_and_mean_squared_error(tmp_path: Path) -> None:
    data = a_bunch(folders(tmp_path), size=32, tfm_y=True)
    assert (data.kind, data.c, type(data.loss_func)) == (ImageLabelList, 3, MSELossFlat)
    data.c = 3  # as fastai v1 has it
    with pytest.raises(LearnerError, match="c: 4 is not the 3"):
        data.c = 4
    split = ImageList.from_folder(tmp_path / "low").split_none()
    assert split.label_from_func(high_of, label_cls=ImageLabelList).transform(size=32).databunch(bs=2).c == 3


def test_f020_picture_targets_are_saved_with_their_normalisation(tmp_path: Path) -> None:
    data = a_bunch(folders(tmp_path), size=32, bs=2).normalize(IMAGENET, do_y=True)
    data.save()
    same = ImageDataBunch.load_data(data.path, bs=2)
    assert (same.kind, same.normalizes_targets, same.root) == (LabelKind.IMAGE, True, tmp_path)
    assert torch.equal(same.one_batch(DatasetType.Fix)[1], data.one_batch(DatasetType.Fix)[1])
    assert DataSpec.from_json(data.listed_spec().to_json()) == data.listed_spec()
    data.batch_size = 4
    assert float(data.one_batch(DatasetType.Fix)[1].min()) < -1  # still normalised


def test_f018_test_pictures_have_black_targets(tmp_path: Path) -> None:
    data = a_bunch(folders(tmp_path), size=32)
    data.add_test(["low/broad.png"])
    assert float(data.one_batch(DatasetType.Test)[1].abs().max()) == 0


def test_f019_a_batch_is_shown_beside_its_targets(tmp_path: Path) -> None:
    data = a_bunch(folders(tmp_path), of=itself, size=48, bs=3).normalize(IMAGENET, do_y=True)
    axes = data.show_batch(rows=2, ds_type=DatasetType.Fix).axes
    assert len(axes) == 4
    left, right = (part.images[0].get_array() for part in axes[:2])
    assert (left == right).all()


def test_f016_a_broken_target_is_as_a_broken_picture(tmp_path: Path) -> None:
    folders(tmp_path)
    (tmp_path / "high" / "broad.png").write_bytes(b"no picture")
    data = a_bunch(tmp_path, size=32, bs=4)
    told: list[Any] = []
    data.on_bad_image = told.append
    assert len(data.one_batch(DatasetType.Valid)[0]) == 3
    assert [Path(error.path).name for error in told] == ["broad.png"]


@pytest.mark.filterwarnings("ignore")
def test_f012_what_pictures_as_targets_cannot_do_is_refused(tmp_path: Path) -> None:
    folders(tmp_path)
    split = ImageImageList.from_folder(tmp_path / "low").split_none()
    with pytest.raises(LearnerError, match="not the path of its image"):
        split.label_from_func(lambda file: 3).databunch()
    with pytest.raises(LearnerError, match="always follow their pictures"):
        split.label_from_func(high_of).transform(tfm_y=False)
    with pytest.raises(LearnerError, match="leave do_x out"):
        a_bunch(tmp_path, size=32).normalize(IMAGENET, do_x=False, do_y=True)
    Image.new("RGB", (30, 200)).save(tmp_path / "high" / "square.png")
    for options in ({"size": 32}, {}):
        bunch = split.label_from_func(high_of).transform(**options).databunch(bs=1, no_check=True)
        with pytest.raises(LearnerError, match=r"data.images: .* pixels \(rows x columns\), its picture"):
            list(bunch.fix_dl.epoch(0))
