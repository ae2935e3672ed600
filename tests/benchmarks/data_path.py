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
from pathlib import Path

import photos
import torch
from photo_data import PhotoSetting
from timing import Row, interleaved, report, rows_of
from torch.utils.data import DataLoader

# Without and with kept pictures: in later epochs, which is what a round of the others is, too, and in the first.
_OWN, _CACHED = "learnfleet", "learnfleet, kept"
_FIRST, _FIRST_CACHED = "learnfleet, first epoch", "learnfleet, first, keeping"


def learnfleets(setting: PhotoSetting, cache_bytes: int) -> Callable[[], float]:
    data, epochs = setting.learnfleet(cache_bytes), iter(range(10**6))
    return lambda: _rate(len(batch.y) for batch in data.train_dl.epoch(next(epochs)))


def learnfleets_first(setting: PhotoSetting, cache_bytes: int) -> Callable[[], float]:
    """Always the first epoch of new data."""
    return lambda: learnfleets(setting, cache_bytes)()


def torchvisions(setting: PhotoSetting) -> Callable[[], float]:
    loader = setting.torchvision_train()
    return lambda: _rate(len(y) for _, y in loader)


def lightnings(setting: PhotoSetting) -> Callable[[], float]:
    """Its recipe: a LightningDataModule with such a loader, set up by Fabric."""
    import lightning

    class Photos(lightning.LightningDataModule):
        def train_dataloader(self) -> DataLoader:
            return setting.torchvision_train()

    fabric = lightning.Fabric(accelerator="cpu", devices=1)
    loader = fabric.setup_dataloaders(Photos().train_dataloader())
    return lambda: _rate(len(y) for _, y in loader)


def fastais(setting: PhotoSetting) -> Callable[[], float]:
    data = setting.fastai()
    return lambda: _rate(len(y) for _, y in data.train)


def _rate(batches: Iterable[int]) -> float:
    start = time.perf_counter()
    n = sum(batches)
    return n / (time.perf_counter() - start)


def compare(case: str, setting: PhotoSetting, rounds: int, peers: bool) -> list[Row]:
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
            setting = PhotoSetting(make(), size, args.bs, args.threads)
            rows += compare(f"{case} to {size} px", setting, args.rounds, not args.no_peers)
    report(f"Data path, JPEG to batches of {args.bs}, {args.threads} workers", rows, args.json)


if __name__ == "__main__":
    main()
