from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch
from support.pictures import a_data_folder, truncate

from learnfleet.trainer.batch import Batch, Shard
from learnfleet.trainer.data import DatasetType, ImageDataBunch
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.loader import ImageLoader
from learnfleet.trainer.spec import BadImagePolicy
from learnfleet.trainer.transforms import get_transforms


def a_bunch(root: Path, bs: int = 4, **options: object) -> ImageDataBunch:
    defaults: dict[str, object] = {"ds_tfms": get_transforms(), "size": 16, "bs": bs, "no_check": True}
    return ImageDataBunch.from_folder(root, **{**defaults, **options})  # type: ignore[arg-type]


def batches(loader: ImageLoader | None, epoch: int = 0, start_batch: int = 0) -> list[Batch]:
    assert loader is not None
    return list(loader.epoch(epoch, start_batch))


def indices(found: list[Batch]) -> list[int]:
    return [index for batch in found for index in batch.indices.tolist()]


def assert_equal(left: list[Batch], right: list[Batch]) -> None:
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
        assert torch.equal(a.indices, b.indices)


def picture_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """13 training and 6 validation pictures."""
    folder = a_data_folder(tmp_path, n_train=7, n_valid=3)
    (folder / "train" / "bee" / "106.png").unlink()
    return folder


def test_lengths_are_fastais(tmp_path: Path) -> None:
    data = a_bunch(a_data_folder(tmp_path, n_train=20, n_valid=8), bs=9)
    assert data.valid_dl is not None
    assert (len(data.train_dl), len(data.valid_dl), len(data.fix_dl)) == (4, 2, 5)


def test_training_shuffles_anew_each_epoch_and_drops_the_last_partial_batch(root: Path) -> None:
    data = a_bunch(root)
    first, second = indices(batches(data.train_dl, 0)), indices(batches(data.train_dl, 1))
    assert len(first) == len(set(first)) == 12
    assert first != second
    assert first != sorted(first)


def test_batches_are_floats_with_the_labels_of_their_items(root: Path) -> None:
    data = a_bunch(root)
    for batch in batches(data.train_dl):
        assert (batch.x.dtype, tuple(batch.x.shape)) == (torch.float32, (4, 3, 16, 16))
        assert batch.y.tolist() == [data.train_ds[index].label for index in batch.indices.tolist()]


def test_an_epoch_is_the_same_however_often_and_from_a_cache_or_not(root: Path) -> None:
    data = a_bunch(root)
    assert_equal(batches(data.train_dl, 3), batches(data.train_dl, 3))
    assert_equal(batches(data.train_dl, 3), batches(a_bunch(root).train_dl, 3))


def test_an_epoch_goes_on_in_the_middle_without_decoding_what_was_skipped(root: Path) -> None:
    whole = batches(a_bunch(root).train_dl, 2)
    for index in whole[0].indices.tolist():  # would be reported and replaced if it were opened
        truncate(a_bunch(root).train_ds.path(index))
    data, told = a_bunch(root), []
    data.on_bad_image = told.append
    assert_equal(batches(data.train_dl, 2, start_batch=1), whole[1:])
    assert told == []


def test_a_picture_looks_the_same_whatever_batch_and_rank_it_is_in(root: Path) -> None:
    alone = {
        int(index): x
        for batch in batches(a_bunch(root, bs=1).train_dl)
        for index, x in zip(batch.indices, batch.x, strict=True)
    }
    data = a_bunch(root, bs=6)
    data.shard(Shard(1, 2))
    for batch in batches(data.train_dl):
        for index, x in zip(batch.indices.tolist(), batch.x, strict=True):
            assert torch.equal(x, alone[index])


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_each_training_batch_without_overlap(root: Path, world_size: int) -> None:
    data = a_bunch(root, bs=6)
    whole = batches(data.train_dl)
    shares = []
    for rank in range(world_size):
        data.shard(Shard(rank, world_size))
        shares.append(batches(data.train_dl))
    for number, batch in enumerate(whole):
        got = [index for share in shares for index in share[number].indices.tolist()]
        assert sorted(got) == sorted(batch.indices.tolist())


@pytest.mark.parametrize("ds_type", [DatasetType.Valid, DatasetType.Fix])
@pytest.mark.parametrize("world_size", [1, 2, 5])
def test_other_loaders_cover_every_picture_once_over_all_ranks(
    root: Path, ds_type: DatasetType, world_size: int
) -> None:
    data, got = a_bunch(root), []
    for rank in range(world_size):
        data.shard(Shard(rank, world_size))
        found = batches(data.dl(ds_type))
        assert all(len(batch.y) for batch in found)
        assert indices(found) == sorted(indices(found))
        got.extend(indices(found))
    assert sorted(got) == list(range(len(data.dl(ds_type).dataset)))


def test_the_fix_loader_shows_training_pictures_without_augmentation(root: Path) -> None:
    data = a_bunch(root)
    first = batches(data.fix_dl, 0)
    assert_equal(first, batches(data.fix_dl, 1))
    assert torch.equal(first[0].x[2], data.single_batch([data.train_ds.path(2)])[0])


def test_without_transforms_training_pictures_are_centre_crops(root: Path) -> None:
    data = a_bunch(root, ds_tfms=None)
    shown = {int(i): x for batch in batches(data.train_dl) for i, x in zip(batch.indices, batch.x, strict=True)}
    for batch in batches(data.fix_dl):
        for index, x in zip(batch.indices.tolist(), batch.x, strict=True):
            assert index not in shown or torch.equal(shown[index], x)


def test_a_small_cache_changes_nothing_but_speed(root: Path) -> None:
    cached = a_bunch(root)
    spare = ImageDataBunch(cached.spec, cached.listing, seed=42, cache_bytes=2000)
    for epoch in range(2):
        assert_equal(batches(spare.train_dl, epoch), batches(cached.train_dl, epoch))


def test_later_epochs_do_not_read_the_files(root: Path) -> None:
    data = a_bunch(root)
    first = batches(data.fix_dl)
    for item in data.train_ds:
        item.path.unlink()
    assert_equal(batches(data.fix_dl), first)


def test_threads_end_when_an_iterator_is_closed_early_or_runs_out(root: Path) -> None:
    before = picture_threads()
    data = a_bunch(root, bs=1)
    with closing(data.train_dl.epoch(0)) as iterator:
        next(iterator)
        assert len(picture_threads()) > len(before)
    batches(data.train_dl)
    assert picture_threads() == before


def test_a_loader_may_be_looped_over_by_hand(root: Path) -> None:
    data = a_bunch(root)
    first, again = ([x for x, _ in data.train_dl] for _ in range(2))
    assert len(first) == len(again) == len(data.train_dl)
    assert not torch.equal(first[0], again[0])  # shuffled and augmented anew
    x, y = next(iter(data.fix_dl))
    assert torch.equal(x, batches(data.fix_dl)[0].x)
    assert y.tolist() == [item.label for item in data.train_ds.items[:4]]
    assert_equal(batches(data.train_dl), batches(a_bunch(root).train_dl))


def test_several_iterators_may_be_open_at_once(root: Path) -> None:
    data = a_bunch(root)
    with closing(data.train_dl.epoch(0)) as outer:
        first = next(outer)
        assert_equal(batches(data.train_dl, 0)[:1], [first])


# --- broken pictures ---


def with_broken(root: Path, n: int, part: str = "train") -> set[Path]:
    broken = set(sorted((root / part / "ant").iterdir())[:n])
    for path in broken:
        truncate(path)
    return broken


def listening(data: ImageDataBunch) -> list[BadImage]:
    told: list[BadImage] = []
    data.on_bad_image = told.append
    return told


def test_training_replaces_broken_pictures_and_tells_each_once(root: Path) -> None:
    broken = with_broken(root, 3)
    data = a_bunch(root, bs=13)
    told = listening(data)
    for epoch in range(3):
        (batch,) = batches(data.train_dl, epoch)
        assert len(batch.y) == 13
        assert not broken & {data.train_ds.path(index) for index in batch.indices.tolist()}
        assert batch.y.tolist() == [data.train_ds[index].label for index in batch.indices.tolist()]
    assert sorted(str(error.path) for error in told) == sorted(map(str, broken))
    assert all("truncated" in error.reason for error in told)


def test_replacements_are_the_same_in_every_run_and_on_every_rank(root: Path) -> None:
    with_broken(root, 3)
    whole = batches(a_bunch(root, bs=12).train_dl, 1)
    assert_equal(batches(a_bunch(root, bs=12).train_dl, 1), whole)
    sharded = a_bunch(root, bs=12)
    sharded.shard(Shard(1, 2))
    assert indices(batches(sharded.train_dl, 1)) == whole[0].indices[1::2].tolist()


def test_replacements_differ_between_epochs(root: Path) -> None:
    with_broken(root, 5)
    data = a_bunch(root, bs=13)
    seen = {tuple(sorted(indices(batches(data.train_dl, epoch)))) for epoch in range(4)}
    assert len(seen) > 1


def test_validation_leaves_broken_pictures_out(root: Path) -> None:
    with_broken(root, 2, "valid")
    data = a_bunch(root, bs=2)
    told = listening(data)
    found = batches(data.valid_dl)
    assert indices(found) == [2, 3, 4, 5]
    assert [len(batch.y) for batch in found] == [2, 2]  # the first batch had no good picture
    assert len(told) == 2


@pytest.mark.parametrize("loader", [lambda data: data.train_dl, lambda data: data.valid_dl])
def test_the_fail_policy_names_the_file(root: Path, loader: Callable[[ImageDataBunch], ImageLoader]) -> None:
    with_broken(root, 7)
    with_broken(root, 3, "valid")
    before = picture_threads()
    with pytest.raises(BadImage, match=r"ant.*truncated"):
        batches(loader(a_bunch(root, bad_image=BadImagePolicy.FAIL)))
    assert picture_threads() == before


def test_broken_pictures_are_warned_of_once_where_nobody_listens(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with_broken(root, 2)
    data = a_bunch(root)
    with caplog.at_level(logging.WARNING):
        batches(data.train_dl, 0)
        batches(data.train_dl, 1)
        batches(data.fix_dl)
    told = [record.message for record in caplog.records]
    assert len(told) == len(set(told)) == 2
    assert all("truncated" in line and line.endswith("; it is not used") for line in told)


def test_training_gives_up_when_no_replacement_can_be_found(tmp_path: Path) -> None:
    root = a_data_folder(tmp_path, n_train=4)
    for path in (root / "train").glob("*/*.png"):
        truncate(path)
    with pytest.raises(BadImage, match="drawn to replace it are broken too"):
        batches(a_bunch(root).train_dl)


def test_a_device_that_finishes_batches_itself_gets_the_same_pictures(root: Path) -> None:
    spec = a_bunch(root, bs=12).spec
    data = ImageDataBunch(dataclasses.replace(spec), a_bunch(root).listing, seed=42, device=torch.device("meta"))
    (batch,) = batches(data.train_dl)
    assert batch.x.device.type == batch.y.device.type == "meta"
    assert (batch.x.shape, batch.indices.device.type) == ((12, 3, 16, 16), "cpu")
    assert batch.indices.tolist() == indices(batches(a_bunch(root, bs=12).train_dl))
