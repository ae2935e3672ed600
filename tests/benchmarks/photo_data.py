"""RandomResizedCrop, flip and normalising of photos in class folders, as each library loads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.pixels import IMAGENET
from learnfleet.trainer.transform_components import flip_lr, rand_resize_crop

_MAX_SCALE = 0.08**-0.5  # of the sides, where the others name the area


@dataclass(frozen=True)
class PhotoSetting:
    """What everybody is asked to do: `train` and `val` in the folder; in validation the middle, unflipped.

    Everybody has as many workers: threads here, processes there, which are kept from epoch to epoch.
    """

    folder: Path
    size: int
    bs: int
    threads: int

    def learnfleet(self, cache_bytes: int) -> ImageDataBunch:
        crop = rand_resize_crop(max_scale=_MAX_SCALE, ratios=(3 / 4, 4 / 3))
        listed = ImageDataBunch.from_folder(
            self.folder,
            valid="val",
            ds_tfms=([crop, flip_lr(p=0.5)], []),
            size=self.size,
            bs=self.bs,
            normalize=IMAGENET,
            no_check=True,
        )
        return ImageDataBunch(
            listed.spec, listed.listing, seed=0, stats=IMAGENET, threads=self.threads, cache_bytes=cache_bytes
        )

    def torchvision_train(self) -> DataLoader:
        transform = v2.Compose([v2.RandomResizedCrop(self.size), v2.RandomHorizontalFlip(), *_to_floats()])
        dataset = ImageFolder(self.folder / "train", transform)
        return DataLoader(dataset, shuffle=True, drop_last=True, **self._workers())

    def torchvision_valid(self) -> DataLoader:
        transform = v2.Compose([v2.Resize(self.size), v2.CenterCrop(self.size), *_to_floats()])
        return DataLoader(ImageFolder(self.folder / "val", transform), **self._workers())

    def _workers(self) -> dict[str, Any]:
        return {"batch_size": self.bs, "num_workers": self.threads, "persistent_workers": True}

    def fastai(self) -> Any:
        from fastai.vision.all import FlipItem, ImageDataLoaders, Normalize, RandomResizedCrop

        return ImageDataLoaders.from_folder(
            self.folder,
            train="train",
            valid="val",
            bs=self.bs,
            num_workers=self.threads,
            persistent_workers=True,
            item_tfms=[RandomResizedCrop(self.size, min_scale=0.08), FlipItem()],
            batch_tfms=[Normalize.from_stats(*IMAGENET)],
            device=torch.device("cpu"),
        )


def _to_floats() -> list[v2.Transform]:
    return [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(*IMAGENET)]
