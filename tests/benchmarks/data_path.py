"""Pictures a second of our training loader and of torchvision's ImageFolder with v2 transforms, in one run.

    python tests/benchmarks/data_path.py [FOLDER] [--size 128] [--bs 32] [--threads 2] [--epochs 4]

FOLDER holds train and val folders of class folders; by default the hymenoptera photos of the shared data sets are
unpacked. Both sides use the same number of workers (ours are threads, torchvision's are processes, which it keeps from
epoch to epoch) and transforms of the same kinds. Nothing is trained.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.pixels import IMAGENET
from learnfleet.trainer.transforms import get_transforms

_ARCHIVE = Path(__file__).parents[3] / "shared" / "data" / "hymenoptera.tar"


def ours(folder: Path, size: int, bs: int, threads: int) -> Callable[[int], Iterable[int]]:
    data = ImageDataBunch.from_folder(
        folder, valid="val", ds_tfms=get_transforms(), size=size, bs=bs, normalize=IMAGENET, no_check=True
    )
    data = ImageDataBunch(data.spec, data.listing, seed=0, stats=IMAGENET, threads=threads)
    return lambda epoch: (len(batch.y) for batch in data.train_dl.epoch(epoch))


def torchvisions(folder: Path, size: int, bs: int, threads: int) -> Callable[[int], Iterable[int]]:
    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.Resize(size, antialias=True),
            v2.RandomCrop(size),
            v2.RandomHorizontalFlip(),
            v2.RandomPerspective(0.2, p=0.75),
            v2.RandomApply([v2.RandomAffine(10, scale=(1.0, 1.1), interpolation=v2.InterpolationMode.BILINEAR)], 0.75),
            v2.RandomApply([v2.ColorJitter(0.2, 0.2)], 0.75),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(*IMAGENET),
        ]
    )
    loader = DataLoader(
        ImageFolder(folder / "train", transform),
        bs,
        shuffle=True,
        drop_last=True,
        num_workers=threads,
        persistent_workers=True,
    )
    return lambda _: (len(y) for _, y in loader)


def rates(run: Callable[[int], Iterable[int]], epochs: int) -> list[float]:
    """Pictures a second in each epoch."""
    found = []
    for epoch in range(epochs):
        start = time.perf_counter()
        n = sum(run(epoch))
        found.append(n / (time.perf_counter() - start))
    return found


def compare(folder: Path, size: int, bs: int, threads: int, epochs: int) -> None:
    a = rates(ours(folder, size, bs, threads), epochs)
    b = rates(torchvisions(folder, size, bs, threads), epochs)
    print(f"size: {size} px, batches of {bs}, {threads} workers, torch {torch.__version__}")
    for name, x, y in (("first epoch", a[0], b[0]), ("later epochs (median)", _median(a[1:]), _median(b[1:]))):
        print(f"{name}: learnfleet {x:.0f} pictures/s, torchvision {y:.0f} pictures/s, ratio {x / y:.2f}")


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    for name, default in (("size", 128), ("bs", 32), ("threads", 2), ("epochs", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    options = (arguments.size, arguments.bs, arguments.threads, arguments.epochs)
    if arguments.folder is not None:
        compare(arguments.folder, *options)
        return
    with tempfile.TemporaryDirectory() as folder, tarfile.open(_ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
        compare(Path(folder) / "hymenoptera", *options)


if __name__ == "__main__":
    main()
