"""Points as targets: they stay where they are in their picture, whatever is done to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.dots import DOTS, centroid, dot_of, dotted_pictures

from learnfleet.trainer import transform_components as tc
from learnfleet.trainer.data import DatasetType, ImageDataBunch
from learnfleet.trainer.data_options import Transforms
from learnfleet.trainer.data_spec import LabelKind, ResizeMethod
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.item_list import ImageList, PointsItemList
from learnfleet.trainer.label_items import ImagePoints
from learnfleet.trainer.loss_functions import MSELossFlat
from learnfleet.trainer.spec import DataSpec
from learnfleet.trainer.split_lists import PointsLabelList
from learnfleet.trainer.transforms import get_transforms

EPOCHS = 6
NOTHING: dict[str, Any] = {"do_flip": False, "max_rotate": 0, "max_zoom": 1, "max_warp": 0, "max_lighting": 0}
OF_GET_TRANSFORMS: dict[str, Transforms] = {
    "none but the random crop": get_transforms(**NOTHING),
    "flip": get_transforms(**{**NOTHING, "do_flip": True}),
    "symmetries": get_transforms(**{**NOTHING, "do_flip": True, "flip_vert": True}),
    "rotation": get_transforms(**{**NOTHING, "max_rotate": 30}, p_affine=1),
    "zoom": get_transforms(**{**NOTHING, "max_zoom": 1.4}, p_affine=1),
    "warp": get_transforms(**{**NOTHING, "max_warp": 0.3}, p_affine=1),
    "lighting": get_transforms(**{**NOTHING, "max_lighting": 0.1}, p_lighting=1),
    "all seven": get_transforms(flip_vert=True, max_rotate=20, p_affine=1),
}
EXTRA = [
    *(tc.flip_lr(0.5), tc.dihedral(), tc.rotate((-30, 30)), tc.rand_zoom((1.0, 1.4)), tc.squish((0.8, 1.2))),
    *(tc.symmetric_warp((-0.2, 0.2)), tc.perspective_warp((-0.1, 0.1)), tc.skew(magnitude=0.2), tc.tilt(magnitude=0.2)),
    *(tc.rand_pad(4, 64)[0], tc.rand_resize_crop(64, 1.5)),
]


def a_bunch(root: Path, tfms: Transforms = None, **options: Any) -> ImageDataBunch:
    """All four pictures train and validate, one a batch."""
    everything = range(len(DOTS))
    split = PointsItemList.from_folder(dotted_pictures(root)).split_by_idxs(everything, everything)
    return split.label_from_func(dot_of).transform(tfms, **options).databunch(bs=1)


def farthest(data: ImageDataBunch, ds_type: DatasetType = DatasetType.Train) -> float:
    """The greatest distance in pixels between a point and its dot, of all dots that are well inside."""
    found = []
    for epoch in range(EPOCHS):
        for batch in data.dl(ds_type).epoch(epoch):
            assert (batch.y.shape, batch.y.dtype) == ((1, 1, 2), torch.float32)
            if batch.y.abs().max() < 0.75:
                place = ImagePoints(batch.y[0]).pixels((batch.x.shape[2], batch.x.shape[3]))[0]
                found.append(float((centroid(batch.x[0]) - place).norm()))
    assert len(found) > EPOCHS
    return max(found)


@pytest.mark.parametrize("method", [ResizeMethod.CROP, ResizeMethod.SQUISH, ResizeMethod.PAD])
@pytest.mark.parametrize("size", [64, (96, 64), (60, 90)])
def test_f008_a_point_is_where_its_dot_is_after_each_way_to_resize(
    tmp_path: Path, method: ResizeMethod, size: int | tuple[int, int]
) -> None:
    data = a_bunch(tmp_path, size=size, resize_method=method, padding_mode="zeros")
    assert farthest(data, DatasetType.Valid) < 0.25
    assert farthest(data) < 0.25


@pytest.mark.parametrize("method", [ResizeMethod.CROP, ResizeMethod.SQUISH, ResizeMethod.PAD])
@pytest.mark.parametrize("name", OF_GET_TRANSFORMS)
def test_f008_a_point_stays_under_its_dot_through_each_of_the_seven_transforms(
    tmp_path: Path, name: str, method: ResizeMethod
) -> None:
    data = a_bunch(tmp_path, OF_GET_TRANSFORMS[name], size=(64, 80), resize_method=method, padding_mode="zeros")
    assert farthest(data) < 1


@pytest.mark.parametrize("component", EXTRA, ids=[item.name for item in EXTRA])
def test_f011_a_point_stays_under_its_dot_through_each_further_transform_that_moves_pixels(
    tmp_path: Path, component: Any
) -> None:
    assert farthest(a_bunch(tmp_path, ([component], []), size=64, padding_mode="zeros")) < 1


def test_f008_points_of_pictures_as_they_are_and_before_a_larger_margin_stay_under_their_dots(tmp_path: Path) -> None:
    assert farthest(a_bunch(tmp_path)) < 0.1  # no size
    labelled = PointsItemList.from_folder(tmp_path).split_by_idxs([0], range(4)).label_from_func(dot_of)
    assert farthest(labelled.presize(64, scale=(0.6, 1.0)).databunch(bs=1), DatasetType.Valid) < 0.25


def test_f008_a_picture_that_its_exif_turns_has_its_points_as_it_is_shown(tmp_path: Path) -> None:
    from PIL import Image

    stored = Image.open(dotted_pictures(tmp_path) / "high.png").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    for file in tmp_path.iterdir():
        file.unlink()
    stored.save(tmp_path / "high.jpg", exif=exif, quality=95)
    split = PointsItemList.from_folder(tmp_path).split_by_idxs([0] * 8, [])
    assert farthest(split.label_from_func(dot_of).transform(size=(60, 90)).databunch(bs=1)) < 0.5


def test_f007_labels_are_scaled_to_one_and_are_as_wide_as_the_model_needs(tmp_path: Path) -> None:
    split = PointsItemList.from_folder(dotted_pictures(tmp_path)).split_none()
    data = split.label_from_func(lambda file: torch.tensor([[0.0, 0.0], [63.5, 31.75], [127, 127]]))
    bunch = data.transform(size=(128, 128), remove_out=False, tfm_y=True).databunch(bs=4, no_check=True)
    assert (bunch.kind, bunch.c, type(bunch.loss_func)) == (PointsLabelList, 6, MSELossFlat)
    square = [file.path.stem for file in bunch.fix_ds].index("square")
    y = bunch.one_batch(DatasetType.Fix)[1]
    assert y.shape == (4, 3, 2)
    assert torch.allclose(y[square], torch.tensor([[-1.0, -1], [0, -0.5], [1, 1]]), atol=1e-6)


def test_f007_points_can_be_asked_of_a_plain_image_list(tmp_path: Path) -> None:
    split = ImageList.from_folder(dotted_pictures(tmp_path)).split_none()
    assert split.label_from_func(dot_of, label_cls=PointsLabelList).transform(size=32).databunch(bs=2).c == 2


def test_f008_batches_of_points_do_not_depend_on_their_company_or_on_where_an_epoch_is_begun(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, get_transforms(), size=64)
    alone = {int(batch.indices): batch.y[0] for batch in data.train_dl.epoch(3)}
    later = {int(batch.indices): batch.y[0] for batch in data.train_dl.epoch(3, 2)}
    data.batch_size = 4
    for batch in data.train_dl.epoch(3):
        for index, y in zip(batch.indices.tolist(), batch.y, strict=True):
            assert torch.equal(y, alone[index])
            assert index not in later or torch.equal(y, later[index])


def test_f020_points_are_saved_and_listed_as_they_were_given(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, get_transforms(), size=64)
    data.save()
    same = ImageDataBunch.load_data(tmp_path, bs=1)
    assert (same.kind, same.train_ds.items) == (LabelKind.POINTS, data.train_ds.items)
    assert DataSpec.from_json(data.listed_spec().to_json()) == data.listed_spec()
    assert torch.equal(same.one_batch(DatasetType.Fix)[1], data.one_batch(DatasetType.Fix)[1])


def test_f018_test_pictures_have_points_of_zero(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, size=32)
    data.add_test([next(iter(data.train_ds)).path])
    assert data.one_batch(DatasetType.Test)[1].tolist() == [[[0.0, 0.0]]]


def test_f019_a_batch_is_shown_with_its_points(tmp_path: Path) -> None:
    figure = a_bunch(tmp_path, size=64).show_batch(rows=1, ds_type=DatasetType.Fix)
    (axes,) = figure.axes
    x, y = axes.collections[0].get_offsets()[0]
    shown = torch.from_numpy(axes.images[0].get_array().data).permute(2, 0, 1).float()
    assert float((centroid(shown) - torch.tensor([y, x])).norm()) < 0.5


@pytest.mark.parametrize(
    ("label", "message"),
    [(3.0, "neither a point"), ("here", "neither a point"), ([[1, 2, 3]], "neither a point"), ([], "neither a point")],
)
def test_f007_labels_that_are_no_points_are_told(tmp_path: Path, label: object, message: str) -> None:
    split = PointsItemList.from_folder(dotted_pictures(tmp_path)).split_none()
    with pytest.raises(LearnerError, match=message):
        split.label_from_func(lambda file: label).databunch()


def test_f007_what_points_cannot_do_is_refused(tmp_path: Path) -> None:
    split = PointsItemList.from_folder(dotted_pictures(tmp_path)).split_none()
    labelled = split.label_from_func(dot_of)
    with pytest.raises(LearnerError, match="always follow their pictures"):
        labelled.transform(tfm_y=False)
    with pytest.raises(LearnerError, match="remove_out"):
        labelled.transform(remove_out=True)
    with pytest.raises(LearnerError, match="no logarithm"):
        split.label_from_func(dot_of, log=True).databunch()
    with pytest.raises(LearnerError, match="4 finite are needed"):
        split.label_from_func(lambda file: [(1, 2), (3, 4)] if file.stem == "broad" else [(1, 2)]).databunch()
