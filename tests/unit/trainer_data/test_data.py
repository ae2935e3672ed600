from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.pictures import a_class_folder, a_data_folder, encoded, picture

from learnfleet.trainer.data import DatasetType, EvalTransform, ImageDataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.pixels import IMAGENET
from learnfleet.trainer.spec import DataSpec, Normalization, ResizeMethod


def a_bunch(root: Path, **options: object) -> ImageDataBunch:
    defaults: dict[str, object] = {"size": 16, "bs": 4}
    return ImageDataBunch.from_folder(a_data_folder(root), **{**defaults, **options})  # type: ignore[arg-type]


def a_spec(root: Path, **fields: object) -> DataSpec:
    return DataSpec(str(a_data_folder(root)), **{"size": (16, 16), "bs": 4, **fields})  # type: ignore[arg-type]


def test_dataset_types_have_fastais_numbers() -> None:
    assert {kind.name: int(kind) for kind in DatasetType} == {"Train": 1, "Valid": 2, "Test": 3, "Single": 4, "Fix": 5}


def test_from_folder_reads_the_tutorials_layout(tmp_path: Path) -> None:
    data = a_bunch(tmp_path)
    assert (data.classes, data.c, len(data.train_ds), len(data.valid_ds)) == (["ant", "bee"], 2, 12, 6)
    assert data.train_ds.label(0) == "ant"
    assert data.path == tmp_path.resolve()


def test_from_folder_splits_one_folder_by_a_share(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        a_class_folder(tmp_path / name, 10)
    data = ImageDataBunch.from_folder(tmp_path, valid_pct=0.2, size=16, bs=4)
    assert (len(data.train_ds), len(data.valid_ds)) == (16, 4)


def test_an_int_size_crops_and_a_pair_squishes(tmp_path: Path) -> None:
    assert a_bunch(tmp_path).spec.resize_method is ResizeMethod.CROP
    oblong = a_bunch(tmp_path, size=(16, 24))
    assert oblong.spec.resize_method is ResizeMethod.SQUISH
    assert tuple(next(oblong.train_dl.epoch(0)).x.shape) == (4, 3, 16, 24)


def test_single_pictures_are_prepared_bit_for_bit_as_in_validation(tmp_path: Path) -> None:
    data = a_bunch(tmp_path).normalize(IMAGENET)
    assert data.valid_dl is not None
    path = data.valid_ds.path(1)
    expected = next(data.valid_dl.epoch(0)).x[1]
    exported = EvalTransform.from_json(data.eval_transform.to_json())
    for source in (path, path.read_bytes()):
        assert torch.equal(data.single_batch([source])[0], expected)
        assert torch.equal(exported([source])[0], expected)


def test_the_eval_transform_takes_any_number_of_pictures_and_names_a_broken_one() -> None:
    transform = EvalTransform((8, 8), ResizeMethod.CROP, *IMAGENET)
    good = encoded(picture(0))
    assert tuple(transform([good] * 3).shape) == (3, 3, 8, 8)
    assert tuple(transform([]).shape) == (0, 3, 8, 8)
    with pytest.raises(BadImage, match="<bytes>"):
        transform([good, good[:50]])


def test_normalising_twice_is_an_error(tmp_path: Path) -> None:
    data = a_bunch(tmp_path).normalize(IMAGENET)
    with pytest.raises(LearnerError, match="Can not call normalize twice"):
        data.normalize(IMAGENET)


def test_normalising_without_stats_measures_them(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, bs=12).normalize()
    x = next(data.fix_dl.epoch(0)).x
    assert torch.allclose(x.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(x.std(dim=(0, 2, 3)), torch.ones(3), atol=1e-4)


def test_denormalize_undoes_normalize(tmp_path: Path) -> None:
    plain, normalised = a_bunch(tmp_path), a_bunch(tmp_path, normalize=IMAGENET)
    x = next(normalised.fix_dl.epoch(0)).x
    assert torch.allclose(normalised.denormalize(x), next(plain.fix_dl.epoch(0)).x, atol=1e-6)


@pytest.mark.parametrize(
    ("normalization", "expected"),
    [
        (Normalization("auto"), ((0.5,) * 3, (0.25,) * 3)),
        (Normalization("imagenet"), IMAGENET),
        (Normalization("none"), None),
        (Normalization("explicit", (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)), ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))),
    ],
)
def test_a_spec_says_how_to_normalise(tmp_path: Path, normalization: Normalization, expected: object) -> None:
    stats = ((0.5,) * 3, (0.25,) * 3)
    assert ImageDataBunch.from_spec(a_spec(tmp_path, normalization=normalization), stats=stats).stats == expected


def test_auto_without_weights_is_imagenet(tmp_path: Path) -> None:
    assert ImageDataBunch.from_spec(a_spec(tmp_path)).stats == IMAGENET


def test_incomplete_explicit_stats_are_named(tmp_path: Path) -> None:
    spec = a_spec(tmp_path, normalization=Normalization("explicit", (0.5,), (1.0, 1.0, 0.0)))
    with pytest.raises(LearnerError, match="three means and three positive stds"):
        ImageDataBunch.from_spec(spec)


def test_a_missing_part_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LearnerError, match="no Test items"):
        a_bunch(tmp_path).dl(DatasetType.Test)


def test_a_folder_without_training_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LearnerError, match="no picture to train on"):
        ImageDataBunch.from_spec(a_spec(tmp_path, train="train/ant"))


def test_open_item_shows_what_the_model_sees(tmp_path: Path) -> None:
    data = a_bunch(tmp_path)
    shown = data.open_item(DatasetType.Valid, 1)
    assert (shown.dtype, tuple(shown.shape)) == (torch.uint8, (3, 16, 16))
    assert torch.allclose(shown / 255, data.single_batch([data.valid_ds.path(1)])[0])
