"""Windows that are drawn anew every epoch: of kept pictures, and decoded each for itself."""

from __future__ import annotations

from pathlib import Path

import torch
from support.pictures import picture

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.sources import list_data
from learnfleet.trainer.transform_components import flip_lr, rand_resize_crop


def bunches(tmp_path: Path, *cache_bytes: int, threads: int | None = None) -> list[ImageDataBunch]:
    """Of twelve photos, nine to train on, with random windows of 32 x 32 pixels."""
    root = tmp_path / "photos"
    for name in ("ant", "bee"):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(6):
            picture(number, 160, 120).save(root / name / f"{number}.jpg", quality=95)
    spec = ImageDataBunch.from_folder(
        root, valid_pct=0.25, ds_tfms=([rand_resize_crop(max_scale=2.0), flip_lr(p=0.5)], []), size=32, bs=4
    ).spec
    listing = list_data(spec)
    return [ImageDataBunch(spec, listing, seed=1, cache_bytes=size, threads=threads) for size in cache_bytes]


def test_random_windows_are_decoded_for_themselves_where_nothing_is_kept(tmp_path: Path) -> None:
    """The same windows as of kept pictures, but for how sharply they were decoded."""
    kept, direct = bunches(tmp_path, 2**30, 0)
    for a, b in zip(kept.train_dl.epoch(0), direct.train_dl.epoch(0), strict=True):
        assert torch.equal(a.indices, b.indices)
        assert float((a.x - b.x).abs().mean()) < 0.03
    again = [batch.x for batch in direct.train_dl.epoch(1)]
    assert all(torch.equal(x, batch.x) for x, batch in zip(again, direct.train_dl.epoch(1), strict=True))


def test_where_few_pictures_fit_into_memory_none_is_kept(tmp_path: Path) -> None:
    few = 9 * 64 * 64 * 4 // 4
    none, too_few, enough = bunches(tmp_path, 0, few, 3 * few)
    for a, b, c in zip(*(data.train_dl.epoch(0) for data in (none, too_few, enough)), strict=True):
        assert torch.equal(a.x, b.x)
        assert not torch.equal(a.x, c.x)


def test_batches_are_the_same_from_any_number_of_threads_and_however_many_pictures_fit(tmp_path: Path) -> None:
    for cache_bytes in ((0,), (2**30, 9 * 64 * 64 * 4 // 2)):
        one, *others = (data for n in (1, 3) for data in bunches(tmp_path, *cache_bytes, threads=n))
        for epoch in (0, 1):
            expected = [batch.x for batch in one.train_dl.epoch(epoch)]
            for other in others:
                assert all(map(torch.equal, expected, [batch.x for batch in other.train_dl.epoch(epoch)]))
