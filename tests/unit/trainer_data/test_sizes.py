"""How pictures of any shape become batches of one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.pictures import picture

from learnfleet.trainer.data import DatasetType, EvalTransform, ImageDataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.item_list import ImageList
from learnfleet.trainer.spec import ResizeMethod
from learnfleet.trainer.transform_components import rand_resize_crop
from learnfleet.trainer.transforms import get_transforms


def a_bunch(root: Path, width: int = 40, height: int = 20, **options: object) -> ImageDataBunch:
    """Four pictures of one shape."""
    names = [f"{number}.png" for number in range(4)]
    for number, name in enumerate(names):
        picture(number, width, height).save(root / name)
    return ImageDataBunch.from_lists(root, names, ["a", "b"] * 2, 0.0, bs=4, no_check=True, **options)  # type: ignore[arg-type]


def first(data: ImageDataBunch) -> torch.Tensor:
    """The first picture as in validation, float [3, H, W]."""
    return next(data.fix_dl.epoch(0)).x[0]


def scaled(width: int, height: int) -> torch.Tensor:
    """The first picture of `a_bunch`, scaled by Pillow."""
    image = picture(0, 40, 20).resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


def test_f009_an_int_scales_the_short_side_and_takes_the_middle(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, size=16)
    assert data.spec.resize_method is ResizeMethod.CROP
    offset = int((32 - 16 + 1) * 0.5)
    assert torch.allclose(first(data), scaled(32, 16)[:, :, offset : offset + 16])


def test_f009_in_training_the_crop_is_anywhere(tmp_path: Path) -> None:
    data = a_bunch(
        tmp_path, size=16, ds_tfms=get_transforms(False, max_rotate=0, max_zoom=1, max_lighting=0, max_warp=0)
    )
    wide, found = scaled(32, 16), set()
    for epoch in range(20):
        batch = next(data.train_dl.epoch(epoch))
        x = batch.x[batch.indices.tolist().index(0)]
        found |= {left for left in range(17) if torch.allclose(x, wide[:, :, left : left + 16])}
    assert len(found) > 5
    assert found <= set(range(17))


def test_f009_a_pair_squishes_unless_told_otherwise(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, size=(12, 18))
    assert data.spec.resize_method is ResizeMethod.SQUISH
    assert torch.allclose(first(data), scaled(18, 12))
    cropped = a_bunch(tmp_path, size=(12, 18), resize_method=ResizeMethod.CROP)
    assert torch.allclose(first(cropped), scaled(24, 12)[:, :, 3:21])


def test_f009_pad_keeps_the_whole_picture_and_fills_the_rest_as_asked(tmp_path: Path) -> None:
    inner = scaled(16, 8)
    expected = {
        "reflection": torch.cat((inner[:, 1:5].flip(1), inner, inner[:, 3:7].flip(1)), dim=1),
        "border": torch.cat((inner[:, :1].expand(3, 4, 16), inner, inner[:, -1:].expand(3, 4, 16)), dim=1),
        "zeros": torch.nn.functional.pad(inner, (0, 0, 4, 4)),
    }
    for mode, wanted in expected.items():
        data = a_bunch(tmp_path, size=16, resize_method=ResizeMethod.PAD, padding_mode=mode)
        assert torch.allclose(first(data), wanted)


def test_f009_without_a_size_pictures_stay_as_they_are_and_must_be_of_one(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, ds_tfms=get_transforms())
    assert data.spec.resize_method is ResizeMethod.NO
    assert torch.allclose(first(data), scaled(40, 20))
    assert tuple(next(data.train_dl.epoch(0)).x.shape) == (4, 3, 20, 40)
    picture(0, 30, 20).save(tmp_path / "3.png")
    names = [f"{number}.png" for number in range(4)]
    other = ImageDataBunch.from_lists(tmp_path, names, ["a", "b"] * 2, 0.0, bs=4, no_check=True)
    with pytest.raises(LearnerError, match="20 x 30, 20 x 40 pixels cannot share a batch: give a size"):
        next(other.fix_dl.epoch(0))


def test_f009_an_unsized_oblong_picture_turns_with_square_pixels(tmp_path: Path) -> None:
    turn = get_transforms(False, max_rotate=30, max_zoom=1, max_lighting=0, max_warp=0, p_affine=1.0)
    unsized, sized = (a_bunch(tmp_path, size=size, ds_tfms=turn) for size in (None, (20, 40)))
    assert torch.allclose(next(unsized.train_dl.epoch(0)).x, next(sized.train_dl.epoch(0)).x, atol=1e-5)


def test_f009_mult_rounds_each_side(tmp_path: Path) -> None:
    assert a_bunch(tmp_path, size=(30, 50), mult=16).spec.size == (32, 48)
    assert a_bunch(tmp_path, size=5, mult=16).spec.size == (16, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mult": 8}, "`mult` and a resize method need one"),
        ({"resize_method": ResizeMethod.PAD}, "need one"),
        ({"size": 0}, "each at least 1"),
        ({"ds_tfms": ([rand_resize_crop()], [])}, "rand_resize_crop needs one"),
        ({"size": 16, "ds_tfms": ([rand_resize_crop(32)], [])}, "is 16, but rand_resize_crop is to give 32"),
        ({"size": 16, "tfm_y": True}, "cannot be transformed with their pictures"),
        ({"size": 16, "bs": 0}, "at least 1"),
    ],
)
def test_f009_sizes_that_are_not_possible_are_refused(tmp_path: Path, options: dict[str, object], message: str) -> None:
    picture(0).save(tmp_path / "0.png")
    with pytest.raises(LearnerError, match=message):
        ImageDataBunch.from_lists(tmp_path, ["0.png"], ["a"], 0.0, **options)  # type: ignore[arg-type]


def test_f009_presize_trains_on_windows_and_validates_on_the_middle_of_a_larger_picture(tmp_path: Path) -> None:
    a_bunch(tmp_path)
    labelled = ImageList.from_folder(tmp_path).split_none().label_from_func(lambda path: path.stem)
    data = labelled.presize(12, val_xtra_size=4).databunch(bs=4, no_check=True)
    assert torch.allclose(first(data), scaled(32, 16)[:, 2:14, 10:22])
    again = EvalTransform.from_json(data.eval_transform.to_json())
    assert torch.equal(again([tmp_path / "0.png"])[0], first(data))
    x = next(data.train_dl.epoch(0)).x
    assert tuple(x.shape) == (4, 3, 12, 12)
    # A window of the whole height is as bright from top to bottom as the picture, one of a part is less so.
    spans = (x[:, 0, -1] - x[:, 0, 0]).mean(dim=1)
    assert spans.max() - spans.min() > 0.02


def test_f009_random_windows_stay_in_the_picture_and_take_any_share_of_it(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, size=16, ds_tfms=([rand_resize_crop(max_scale=3.0, ratios=(0.75, 1.33))], []))
    sides = []
    for epoch in range(30):
        for chunk_x in next(data.train_dl.epoch(epoch)).x:
            assert chunk_x.min() >= 0
            assert chunk_x.max() <= 1
            sides.append(float((chunk_x[0, :, -1] - chunk_x[0, :, 0]).mean()))
    assert max(sides) > 2 * min(sides) > 0
    assert tuple(data.open_item(DatasetType.Fix, 0).shape) == (3, 16, 16)
