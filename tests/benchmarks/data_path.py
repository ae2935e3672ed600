"""Pictures a second from JPEG files to normalised, augmented batches; nothing is trained.

    python tests/benchmarks/data_path.py [PHOTOS] [--threads 2] [--rounds 5] [--json FILE]

RandomResizedCrop (8 to 100 % of the area, ratio 3/4 to 4/3) and a horizontal flip, on photos of about 500 x 375 pixels
as they are, on photos of 2000 x 1500, both to 128 px, and on pictures of 32 x 32. Everybody has the same number of
workers: threads here, processes there, which are kept from epoch to epoch. A round is one epoch of each contestant.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import photos
import torch
from timing import Row, interleaved, report, rows_of
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.pixels import IMAGENET
from learnfleet.trainer.transform_components import flip_lr, rand_resize_crop

# Without and with kept pictures: in later epochs, which is what a round of the others is, too, and in the first.
_OWN, _CACHED = "learnfleet", "learnfleet, kept"
_FIRST, _FIRST_CACHED = "learnfleet, first epoch", "learnfleet, first, keeping"
_MAX_SCALE = 0.08**-0.5  # of the sides, where the others name the area


@dataclass(frozen=True)
class Setting:
    """What everybody is asked to do."""

    folder: Path
    size: int
    bs: int
    threads: int

    @property
    def transform(self) -> v2.Compose:
        return v2.Compose(
            [
                v2.RandomResizedCrop(self.size),
                v2.RandomHorizontalFlip(),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(*IMAGENET),
            ]
        )


def learnfleets(setting: Setting, cache_bytes: int) -> Callable[[], float]:
    crop = rand_resize_crop(max_scale=_MAX_SCALE, ratios=(3 / 4, 4 / 3))
    listed = ImageDataBunch.from_folder(
        setting.folder,
        valid="val",
        ds_tfms=([crop, flip_lr(p=0.5)], []),
        size=setting.size,
        bs=setting.bs,
        normalize=IMAGENET,
        no_check=True,
    )
    data = ImageDataBunch(
        listed.spec, listed.listing, seed=0, stats=IMAGENET, threads=setting.threads, cache_bytes=cache_bytes
    )
    epochs = iter(range(10**6))
    return lambda: _rate(len(batch.y) for batch in data.train_dl.epoch(next(epochs)))


def learnfleets_first(setting: Setting, cache_bytes: int) -> Callable[[], float]:
    """Always the first epoch of new data."""
    return lambda: learnfleets(setting, cache_bytes)()


def torchvisions(setting: Setting) -> Callable[[], float]:
    loader = _loader(setting)
    return lambda: _rate(len(y) for _, y in loader)


def _loader(setting: Setting) -> DataLoader:
    return DataLoader(
        ImageFolder(setting.folder / "train", setting.transform),
        setting.bs,
        shuffle=True,
        drop_last=True,
        num_workers=setting.threads,
        persistent_workers=True,
    )


def lightnings(setting: Setting) -> Callable[[], float]:
    """Its recipe: a LightningDataModule with such a loader, set up by Fabric."""
    import lightning

    class Photos(lightning.LightningDataModule):
        def train_dataloader(self) -> DataLoader:
            return _loader(setting)

    fabric = lightning.Fabric(accelerator="cpu", devices=1)
    loader = fabric.setup_dataloaders(Photos().train_dataloader())
    return lambda: _rate(len(y) for _, y in loader)


def fastais(setting: Setting) -> Callable[[], float]:
    from fastai.vision.all import FlipItem, ImageDataLoaders, Normalize, RandomResizedCrop

    data = ImageDataLoaders.from_folder(
        setting.folder,
        train="train",
        valid="val",
        bs=setting.bs,
        num_workers=setting.threads,
        persistent_workers=True,
        item_tfms=[RandomResizedCrop(setting.size, min_scale=0.08), FlipItem()],
        batch_tfms=[Normalize.from_stats(*IMAGENET)],
        device=torch.device("cpu"),
    )
    return lambda: _rate(len(y) for _, y in data.train)


def _rate(batches: Iterable[int]) -> float:
    start = time.perf_counter()
    n = sum(batches)
    return n / (time.perf_counter() - start)


def compare(case: str, setting: Setting, rounds: int, peers: bool) -> list[Row]:
    runs = {
        _OWN: learnfleets(setting, 0),
        _CACHED: learnfleets(setting, 2**32),
        _FIRST: learnfleets_first(setting, 0),
        _FIRST_CACHED: learnfleets_first(setting, 2**32),
        "torchvision": torchvisions(setting),
    }
    if peers:
        runs |= {"fastai": fastais(setting), "lightning": lightnings(setting)}
    found = interleaved(runs, rounds)
    others = {name: found[name] for name in runs if not name.startswith("learnfleet")}
    rows = []
    for name, text in ((_OWN, ""), (_FIRST, ", first"), (_CACHED, ", kept"), (_FIRST_CACHED, ", first, keeping")):
        rows += rows_of(case + text, "pictures/s", {name: found[name], **others}, name)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="?", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-peers", action="store_true", help="torchvision alone")
    parser.add_argument("--cases", default="500x375,2000x1500,32x32")
    for name, default in (("threads", 2), ("rounds", 5), ("bs", 32), ("count", 1280)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        source = photos.real_photos(args.photos, scratch)
        made: dict[str, tuple[Callable[[], Path], int]] = {
            "500x375": (lambda: photos.copies(source, scratch / "photos", args.count), 128),
            "2000x1500": (lambda: photos.large(source, scratch / "large", args.count // 4), 128),
            "32x32": (lambda: photos.tiny(source, scratch, 4 * args.count), 32),
        }
        rows = []
        for case in args.cases.split(","):
            make, size = made[case]
            setting = Setting(make(), size, args.bs, args.threads)
            rows += compare(f"{case} to {size} px", setting, args.rounds, not args.no_peers)
    report(f"Data path, JPEG to batches of {args.bs}, {args.threads} workers", rows, args.json)


if __name__ == "__main__":
    main()
