from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.pictures import a_data_folder, encoded, picture

from learnfleet.trainer.batch import Shard
from learnfleet.trainer.data import DatasetType, EvalTransform, ImageDataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.normalization import cifar_stats, imagenet_stats, mnist_stats
from learnfleet.trainer.pixels import IMAGENET
from learnfleet.trainer.spec import DataSpec, Normalization, ResizeMethod
from learnfleet.trainer.transforms import get_transforms


def a_bunch(root: Path, **options: object) -> ImageDataBunch:
    defaults: dict[str, object] = {"size": 16, "bs": 4}
    return ImageDataBunch.from_folder(a_data_folder(root), **{**defaults, **options})  # type: ignore[arg-type]


def a_spec(root: Path, **fields: object) -> DataSpec:
    return DataSpec(str(a_data_folder(root)), **{"size": (16, 16), "bs": 4, **fields})  # type: ignore[arg-type]


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


def test_f014_normalising_twice_is_an_error(tmp_path: Path) -> None:
    data = a_bunch(tmp_path).normalize(IMAGENET)
    with pytest.raises(LearnerError, match="Can not call normalize twice"):
        data.normalize(IMAGENET)


def test_f014_without_stats_those_of_one_training_batch_are_measured(tmp_path: Path) -> None:
    plain, data = a_bunch(tmp_path, ds_tfms=get_transforms()), a_bunch(tmp_path, ds_tfms=get_transforms())
    x = next(plain.train_dl.epoch(0)).x
    data.normalize()
    assert data.stats is not None
    assert data.stats[0] == pytest.approx(x.mean(dim=(0, 2, 3)).tolist(), abs=1e-5)
    assert data.stats[1] == pytest.approx(x.std(dim=(0, 2, 3)).tolist(), abs=1e-5)
    y = next(data.train_dl.epoch(0)).x
    assert torch.allclose(y.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(y.std(dim=(0, 2, 3)), torch.ones(3), atol=1e-4)


def test_f014_ranks_measure_the_same(tmp_path: Path) -> None:
    alone, second = a_bunch(tmp_path), a_bunch(tmp_path)
    second.shard(Shard(1, 2))
    assert alone.batch_stats() == second.batch_stats()


def test_f014_pictures_alone_are_normalised(tmp_path: Path) -> None:
    data = a_bunch(tmp_path)
    assert data.normalize(IMAGENET, do_x=False).stats is None
    with pytest.raises(LearnerError, match="targets of the kind category are no pictures"):
        data.normalize(IMAGENET, do_y=True)
    mean, std = torch.tensor(IMAGENET).view(2, 3, 1, 1)
    before = data.one_batch(DatasetType.Fix)[0]
    after = data.normalize(IMAGENET).one_batch(DatasetType.Fix, denorm=False)[0]
    assert torch.allclose(after, (before - mean) / std, atol=1e-6)


def test_f014_named_statistics_are_fastais() -> None:
    assert imagenet_stats == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert cifar_stats == ((0.491, 0.482, 0.447), (0.247, 0.243, 0.261))
    assert mnist_stats == ((0.131,) * 3, (0.308,) * 3)


def test_f014_denormalize_undoes_normalize(tmp_path: Path) -> None:
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
def test_f014_a_spec_says_how_to_normalise(tmp_path: Path, normalization: Normalization, expected: object) -> None:
    stats = ((0.5,) * 3, (0.25,) * 3)
    assert ImageDataBunch.from_spec(a_spec(tmp_path, normalization=normalization), stats=stats).stats == expected


def test_f014_auto_without_weights_is_imagenet(tmp_path: Path) -> None:
    assert ImageDataBunch.from_spec(a_spec(tmp_path)).stats == IMAGENET


def test_f014_incomplete_explicit_stats_are_named(tmp_path: Path) -> None:
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
