"""Options of the factories that are odd but legal, and what is said of those that are neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.pictures import a_data_folder

from learnfleet.trainer import DataBunch, cutout, get_transforms, imagenet_stats
from learnfleet.trainer.data import DatasetType, ImageDataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.spec import ResizeMethod, TransformSpec


def data_of(folder: Path, **options: Any) -> ImageDataBunch:
    return ImageDataBunch.from_folder(folder, **{"size": 16, "bs": 2, "no_check": True, **options})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_data_folder(tmp_path_factory.mktemp("pictures"), 4, 2)


@pytest.mark.parametrize(
    ("options", "rows_columns", "method"),
    [
        ({"size": np.int64(12)}, (12, 12), ResizeMethod.CROP),
        ({"size": [12, 20]}, (12, 20), ResizeMethod.SQUISH),
        ({"size": np.array([24, 40]) // 2}, (12, 20), ResizeMethod.SQUISH),  # as in fastai's course on CamVid
        ({"size": (12, 20), "resize_method": ResizeMethod.CROP}, (12, 20), ResizeMethod.CROP),
        ({"size": 12, "resize_method": "pad"}, (12, 12), ResizeMethod.PAD),
        ({"size": 12, "mult": np.int64(8)}, (16, 16), ResizeMethod.CROP),
    ],
)
def test_f009_sizes_of_any_whole_number_and_methods_by_name(
    folder: Path, options: dict[str, Any], rows_columns: tuple[int, int], method: ResizeMethod
) -> None:
    data = data_of(folder, **options)
    assert (data.spec.size, data.spec.resize_method) == (rows_columns, method)
    assert data.one_batch()[0].shape[2:] == rows_columns


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 16.0}, r"size: 16\.0 is neither a number of pixels nor a pair"),
        ({"size": (3, 16, 16)}, "size: .* nor a pair"),
        ({"size": "16"}, "size: '16' is neither"),
        ({"resize_method": 2}, "resize_method: 2 is none of ResizeMethod.CROP, ResizeMethod.PAD"),
        ({"mult": 0}, "mult: 0 is not possible"),
        ({"padding_mode": "reflect"}, "padding_mode: 'reflect' is none of reflection, border, zeros"),
    ],
)
def test_f009_what_is_no_size_or_method_or_padding_is_refused_by_name(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(LearnerError, match=message):
        data_of(folder, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bs": 4.5}, r"bs: 4\.5 is not possible: a whole number of items"),
        ({"val_bs": 0}, "val_bs: 0 is not possible"),
        ({"num_workers": -1}, "num_workers: -1 threads cannot decode"),
    ],
)
def test_f010_batch_sizes_and_threads_that_are_not_possible_are_refused(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(LearnerError, match=message):
        data_of(folder, **options)


def test_f010_no_workers_load_the_same_batches_and_a_device_is_named_by_text(folder: Path) -> None:
    data = data_of(folder, num_workers=0, device="cpu")
    assert data.device == torch.device("cpu")
    assert torch.equal(data.one_batch()[0], data_of(folder, num_workers=3).one_batch()[0])
    assert DataBunch.create([(torch.zeros(1), 0)] * 4, bs=2, device="cpu").one_batch()[0].device.type == "cpu"


def test_f011_none_leaves_a_group_out_and_a_single_further_transform_needs_no_list() -> None:
    assert get_transforms(max_rotate=None, max_lighting=None, max_warp=None) == TransformSpec(
        max_rotate=0.0, max_lighting=0.0, max_warp=0.0
    )
    assert get_transforms(xtra_tfms=cutout()) == get_transforms(xtra_tfms=[cutout()])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_rotate", -10.0, "max_rotate: -10.0 is below 0"),
        ("max_lighting", 1.0, r"max_lighting: 1.0 is not in \[0, 1\)"),
        ("max_warp", -0.2, "max_warp: -0.2 is not in"),
        ("p_affine", 1.1, "p_affine: 1.1 is not a probability"),
        ("p_lighting", -0.1, "p_lighting: -0.1 is not a probability"),
        ("xtra_tfms", ["cutout"], "xtra_tfms: 'cutout' is no transform"),
    ],
)
def test_f011_arguments_out_of_range_are_refused_and_not_passed_over(
    folder: Path, name: str, value: Any, message: str
) -> None:
    with pytest.raises(LearnerError, match=message):
        data_of(folder, ds_tfms=get_transforms(**{name: value}))


@pytest.mark.parametrize(
    ("stats", "message"),
    [
        (((0.5,), (0.5,)), r"three means and three positive stds, not \(0.5,\)"),
        (((0.5,) * 3, (0.0,) * 3), "three positive stds"),
        (0.5, "0.5 is not .means, stds. .* imagenet_stats, cifar_stats"),
        ("imagenet", "'imagenet' is not .means, stds."),
    ],
)
def test_f014_what_cannot_be_divided_by_is_refused_before_it_makes_nan(folder: Path, stats: Any, message: str) -> None:
    with pytest.raises(LearnerError, match=message):
        data_of(folder).normalize(stats)
    with pytest.raises(LearnerError, match=message):
        data_of(folder, normalize=stats)


def test_f014_stats_may_be_tensors_and_give_the_same_pixels(folder: Path) -> None:
    as_tensors = data_of(folder).normalize((torch.tensor([0.25] * 3), torch.tensor([0.5] * 3)))  # type: ignore[arg-type]
    pixels = data_of(folder).one_batch(DatasetType.Fix)[0]
    normalised = as_tensors.one_batch(DatasetType.Fix, denorm=False)[0]
    assert as_tensors.stats == ((0.25,) * 3, (0.5,) * 3)
    assert torch.allclose(normalised, (pixels - 0.25) / 0.5, atol=1e-6)
    with pytest.raises(LearnerError, match="Can not call normalize twice"):
        as_tensors.normalize(imagenet_stats)


def test_f016_a_type_may_be_its_number_and_another_number_is_refused_with_the_names(folder: Path) -> None:
    data = data_of(folder)
    assert data.dl(5) is data.fix_dl  # type: ignore[arg-type]
    for wrong in (7, "valid"):
        with pytest.raises(LearnerError, match=r"is none of DatasetType\.Train, DatasetType\.Valid"):
            data.dl(wrong)  # type: ignore[arg-type]
