"""Windows that are drawn anew every epoch: of kept pictures, and decoded each for itself."""

from __future__ import annotations

from pathlib import Path

import torch
from support.pictures import picture

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.sources import list_data
from learnfleet.trainer.transform_components import flip_lr, rand_resize_crop


def test_random_windows_are_decoded_for_themselves_where_nothing_is_kept(tmp_path: Path) -> None:
    """The same windows as of kept pictures, but for how sharply they were decoded."""
    root = tmp_path / "photos"
    for name in ("ant", "bee"):
        (root / name).mkdir(parents=True)
        for number in range(6):
            picture(number, 160, 120).save(root / name / f"{number}.jpg", quality=95)
    spec = ImageDataBunch.from_folder(
        root, valid_pct=0.25, ds_tfms=([rand_resize_crop(max_scale=2.0), flip_lr(p=0.5)], []), size=32, bs=4
    ).spec
    listing = list_data(spec)
    kept, direct = (ImageDataBunch(spec, listing, seed=1, cache_bytes=size) for size in (2**30, 0))
    for a, b in zip(kept.train_dl.epoch(0), direct.train_dl.epoch(0), strict=True):
        assert torch.equal(a.indices, b.indices)
        assert float((a.x - b.x).abs().mean()) < 0.03
    again = [batch.x for batch in direct.train_dl.epoch(1)]
    assert all(torch.equal(x, batch.x) for x, batch in zip(again, direct.train_dl.epoch(1), strict=True))
