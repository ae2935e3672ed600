"""Pictures whose targets are masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.pictures import unpack_shared

from learnfleet.trainer.data import DatasetType, ImageDataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.folder_check import check_folder
from learnfleet.trainer.item_list import SegmentationItemList
from learnfleet.trainer.pixels import NO_STATS
from learnfleet.trainer.spec import DataSpec, LabelKind, MaskSpec, ResizeMethod
from learnfleet.trainer.split_lists import SplitLists
from learnfleet.trainer.transform_components import rand_resize_crop
from learnfleet.trainer.transforms import get_transforms

CODES = ["sky", "road", "car"]


def a_street(root: Path, n: int = 6, width: int = 40, height: int = 24) -> Path:
    """Pictures in `images` that are their own masks, 80 a class; masks in `labels` as name_P.png."""
    for name in ("images", "labels"):
        (root / name).mkdir(exist_ok=True)
    for number in range(n):
        mask = np.zeros((height, width), np.uint8)
        mask[height // 2 :, :] = 1
        mask[height // 3 : -height // 4, 3 + 2 * number : 20 + 2 * number] = 2
        Image.fromarray(mask).save(root / "labels" / f"{number}_P.png")
        Image.fromarray(mask * 80).convert("RGB").save(root / "images" / f"{number}.png")
    return root


def split(root: Path) -> SplitLists:
    return SegmentationItemList.from_folder(root / "images").split_by_idx([4, 5])


def mask_of(root: Path) -> object:
    return lambda picture: root / "labels" / f"{picture.stem}_P.png"


def a_bunch(root: Path, tfms: object = None, bs: int = 4, **sizes: object) -> ImageDataBunch:
    labelled = split(a_street(root)).label_from_func(mask_of(root), classes=CODES)  # type: ignore[arg-type]
    return labelled.transform(tfms, **{"size": 24, **sizes}).databunch(bs=bs, no_check=True)  # type: ignore[arg-type]


def test_f015_masks_are_class_numbers_of_every_pixel_and_never_divided(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, bs=3)
    assert (data.kind, data.c, data.classes, data.path) == (LabelKind.MASK, 3, CODES, tmp_path / "images")
    x, y = data.one_batch()
    assert (tuple(x.shape), tuple(y.shape), y.dtype) == ((3, 3, 24, 24), (3, 1, 24, 24), torch.int64)
    assert y.unique().tolist() == [0, 1, 2]
    assert torch.equal((x[:, :1] * 255 / 80).round().long(), y)


def test_f015_the_loss_and_the_folder_of_the_masks_are_as_in_the_course(tmp_path: Path) -> None:
    data = a_bunch(tmp_path)
    x, y = data.one_batch(DatasetType.Valid)
    outputs = torch.nn.functional.one_hot(y[:, 0], 3).movedim(3, 1) * 50.0
    assert float(data.loss_func(outputs, y)) == pytest.approx(0, abs=1e-6)
    assert len(x) == 2
    assert data.root == tmp_path  # holds both; where a learner writes is the folder of the pictures


@pytest.mark.parametrize("method", [ResizeMethod.CROP, ResizeMethod.SQUISH, ResizeMethod.PAD])
def test_f012_masks_are_resized_as_their_pictures_are(tmp_path: Path, method: ResizeMethod) -> None:
    data = a_bunch(tmp_path, size=(20, 28), resize_method=method)
    x, y = data.one_batch(DatasetType.Fix)
    assert float(((x[:, :1] * 255 / 80).round() == y).double().mean()) > 0.9
    assert torch.equal(y[0], data.open_mask(DatasetType.Fix, 0))


@pytest.mark.parametrize("extra", [[], [rand_resize_crop(max_scale=2.0)]])
def test_f012_masks_follow_the_augmentation_of_their_pictures(tmp_path: Path, extra: list[object]) -> None:
    tfms = get_transforms(flip_vert=True, max_rotate=30, max_lighting=0, xtra_tfms=extra)  # type: ignore[arg-type]
    data = a_bunch(tmp_path, tfms, tfm_y=True)
    for epoch in range(5):
        batch = next(data.train_dl.epoch(epoch))
        assert float(((batch.x[:, :1] * 255 / 80 - batch.y).abs() < 0.51).double().mean()) > 0.9
        assert set(batch.y.unique().tolist()) <= {0, 1, 2}
    plain, moved = data.one_batch(DatasetType.Fix)[1], next(data.train_dl.epoch(0))
    assert not torch.equal(plain[moved.indices], moved.y)


def test_f012_lighting_leaves_masks_as_they_are(tmp_path: Path) -> None:
    lit = get_transforms(False, max_rotate=0, max_zoom=1, max_warp=0, max_lighting=0.9, p_lighting=1.0)
    data = a_bunch(tmp_path, lit, size=None)
    batch, (x, y) = next(data.train_dl.epoch(0)), data.one_batch(DatasetType.Fix)
    assert torch.equal(batch.y, y[batch.indices])
    assert not torch.allclose(batch.x, x[batch.indices], atol=0.05)


def test_f012_masks_that_are_not_to_follow_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LearnerError, match="mask always follow their pictures"):
        a_bunch(tmp_path, tfm_y=False)


def test_f015_a_value_that_is_no_class_is_told_with_its_file(tmp_path: Path) -> None:
    a_bunch(tmp_path)
    black_and_white = Image.fromarray(np.full((24, 40), 255, np.uint8))
    black_and_white.save(tmp_path / "labels" / "1_P.png")
    labelled = split(tmp_path).label_from_func(mask_of(tmp_path), classes=CODES)  # type: ignore[arg-type]
    data = labelled.transform(size=24).databunch(bs=4, no_check=True)
    with pytest.raises(LearnerError, match=r"1_P\.png has pixels of value 255, but there are only 3 classes, 0 to 2"):
        next(data.train_dl.epoch(0))


def test_f015_a_mask_of_another_shape_or_in_colours_is_told(tmp_path: Path) -> None:
    data = a_bunch(tmp_path)
    Image.fromarray(np.zeros((40, 24), np.uint8)).save(tmp_path / "labels" / "0_P.png")
    with pytest.raises(LearnerError, match=r"0_P.png has 40 x 24 pixels \(rows x columns\), its picture 24 x 40"):
        next(data.fix_dl.epoch(0))
    with pytest.raises(LearnerError, match="masks need the names of their classes"):
        split(tmp_path).label_from_func(mask_of(tmp_path)).databunch()  # type: ignore[arg-type]


def test_f015_a_picture_whose_mask_is_broken_is_left_out(tmp_path: Path) -> None:
    data = a_bunch(tmp_path)
    (tmp_path / "labels" / "5_P.png").write_bytes(b"\\x89PNG")
    told: list[object] = []
    data.on_bad_image = told.append
    batch = next(data.dl(DatasetType.Valid).epoch(0))
    assert batch.indices.tolist() == [0]
    assert "5_P.png" in str(told)


def test_f015_palette_and_binary_masks_are_read_as_indices(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, size=None)
    with Image.open(tmp_path / "labels" / "0_P.png") as image:
        values = np.array(image)
    palette = Image.fromarray(values, "P")
    palette.putpalette([200, 10, 10, 0, 255, 0, 3, 3, 250])
    palette.save(tmp_path / "labels" / "0_P.png")
    Image.fromarray(values > 0).save(tmp_path / "labels" / "1_P.png")
    y = next(data.fix_dl.epoch(0)).y
    assert (y[0, 0].numpy() == values).all()
    assert y[1].unique().tolist() == [0, 1]


def test_f015_ranks_share_masks_as_they_share_pictures(tmp_path: Path) -> None:
    from learnfleet.trainer.batch import Shard

    data = a_bunch(tmp_path, get_transforms())
    whole = next(data.train_dl.epoch(1))
    data.shard(Shard(1, 2))
    part = next(data.train_dl.epoch(1))
    assert torch.equal(part.y, whole.y[1::2])
    assert torch.equal(part.x, whole.x[1::2])


def test_f015_a_specification_finds_masks_by_their_names(tmp_path: Path) -> None:
    a_street(tmp_path)
    spec = DataSpec(
        str(tmp_path),
        source="masks",
        labels=LabelKind.MASK,
        masks=MaskSpec(suffix="_P"),
        classes=tuple(CODES),
        size=(24, 24),
        bs=2,
        valid_pct=0.34,
    )
    assert check_folder(spec) == []
    data = ImageDataBunch.from_spec(DataSpec.from_json(spec.to_json()))
    assert (len(data.train_ds), len(data.valid_ds)) == (4, 2)
    assert all(Path(data.train_ds.label(i)).stem == f"{data.train_ds.path(i).stem}_P" for i in range(4))
    (tmp_path / "labels" / "3_P.png").unlink()
    (problem,) = check_folder(spec)
    assert problem.message.startswith("3.png and 0 others have no mask")


def test_f015_the_check_of_a_folder_finds_masks_of_other_classes(tmp_path: Path) -> None:
    a_street(tmp_path)
    spec = DataSpec(
        str(tmp_path), source="masks", labels=LabelKind.MASK, masks=MaskSpec(suffix="_P"), classes=("a", "b"), bs=2
    )
    (problem,) = check_folder(spec)
    assert (problem.field, "value 2" in problem.message) == ("data.masks", True)


def test_f015_camvid_is_read_as_in_the_course(tmp_path: Path) -> None:
    root = unpack_shared("camvid_480x360.tar", tmp_path)
    codes_file = next(root.rglob("codes.txt"))
    pictures, masks = codes_file.parent / "images", codes_file.parent / "labels"
    codes = np.loadtxt(codes_file, dtype=str)
    assert codes[11] == "Void"
    items = SegmentationItemList.from_folder(pictures).filter_by_folder(["train", "val"]).use_partial_data(0.03, 1)
    labelled = items.split_by_fname_file("../val.txt").label_from_func(
        lambda picture: masks / picture.relative_to(pictures).with_suffix(".png"), classes=codes
    )
    data = labelled.transform(get_transforms(), size=(90, 120), tfm_y=True).databunch(bs=4, normalize=NO_STATS)
    x, y = data.one_batch()
    assert (tuple(x.shape), tuple(y.shape), len(data.valid_ds)) == ((4, 3, 90, 120), (4, 1, 90, 120), 3)
    assert int(y.max()) <= 11
    assert len(y.unique()) > 5
    outputs = torch.randn(4, 12, 90, 120)
    from learnfleet.trainer.loss_functions import CrossEntropyFlat

    known = y.flatten() != 11
    expected = torch.nn.functional.cross_entropy(outputs.movedim(1, 3).reshape(-1, 12)[known], y.flatten()[known])
    assert float(CrossEntropyFlat(axis=1, ignore_index=11)(outputs, y)) == pytest.approx(float(expected), rel=1e-5)


def test_f019_masks_are_laid_over_their_pictures_in_the_colour_of_their_class(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, bs=4)
    figure = data.show_batch(rows=2, ds_type=DatasetType.Fix)
    x, y = data.one_batch(DatasetType.Fix)
    assert len(figure.axes) == 4
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {data.classes[code] for code in y.unique().tolist()}
    for row, axis in enumerate(figure.axes):
        seen = torch.from_numpy(np.asarray(axis.images[0].get_array()).astype(np.float64))
        added = seen - 0.5 * (x[row].permute(1, 2, 0) * 255)
        colours = {code: added[y[row, 0] == code] for code in range(3)}
        assert all(float(area.std(dim=0).max()) < 1 for area in colours.values())  # one colour a class
        means = torch.stack([area.mean(dim=0) for area in colours.values()])
        assert float(torch.cdist(means, means)[~torch.eye(3, dtype=torch.bool)].min()) > 20  # and another for each
