"""Folders of JPEG files for the benchmarks, made from real photos."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

_SHARED = Path(__file__).parents[3] / "shared" / "data"


def real_photos(folder: Path | None, scratch: Path) -> Path:
    """A folder with `train` and `val` of class folders: the given one, or the hymenoptera photos."""
    if folder is not None:
        return folder
    return _unpacked(_SHARED / "hymenoptera.tar", scratch) / "hymenoptera"


def copies(photos: Path, to: Path, count: int) -> Path:
    """`count` training files: the photos as they are, each several times, by class."""
    return _written(photos, to, count, lambda source, target: shutil.copyfile(source, target))


def large(photos: Path, to: Path, count: int, size: tuple[int, int] = (2000, 1500), quality: int = 90) -> Path:
    """Photos of 2000 x 1500 pixels: the real ones enlarged, with a sensor's noise, which enlarging has not."""
    random = np.random.default_rng(0)

    def write(source: Path, target: Path) -> None:
        with Image.open(source) as image:
            upright = image.convert("RGB")
        turned = upright.size[0] < upright.size[1]
        enlarged = upright.resize(size[::-1] if turned else size, Image.Resampling.LANCZOS)
        noise = random.normal(0, 1, (*enlarged.size[::-1], 1))
        noisy = np.clip(np.asarray(enlarged) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(target, quality=quality)

    return _written(photos, to, count, write, distinct=48)


def tiny(photos: Path, scratch: Path, count: int) -> Path:
    """JPEG files of 32 x 32 pixels: CIFAR-10's, or shrunk photos where they are not there."""
    archive = _SHARED / "cifar10_5k_1k.tar.gz"
    if archive.exists():
        return copies(_unpacked(archive, scratch) / "cifar10", scratch / "tiny", count)

    def write(source: Path, target: Path) -> None:
        with Image.open(source) as image:
            image.convert("RGB").resize((32, 32)).save(target, quality=90)

    return _written(photos, scratch / "tiny", count, write)


def cifar10(scratch: Path) -> Path:
    """A folder with `train` and `test` of ten class folders."""
    return _unpacked(_SHARED / "cifar10_5k_1k.tar.gz", scratch) / "cifar10"


def _unpacked(archive: Path, scratch: Path) -> Path:
    if not archive.exists():
        raise SystemExit(f"there is no {archive}: give a folder of photos, with train and val of class folders")
    with tarfile.open(archive) as opened:
        opened.extractall(scratch, filter="data")
    return scratch


def _written(
    photos: Path, to: Path, count: int, write: Callable[[Path, Path], object], distinct: int | None = None
) -> Path:
    """Files in to/train and to/val by class; each source is written once and copied from then on."""
    sources = _spread(sorted((photos / "train").glob("*/*.jp*g")), distinct)
    first: dict[Path, Path] = {}
    for number in range(count):
        source = sources[number % len(sources)]
        target = to / "train" / source.parent.name / f"{number:05d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        if source in first:
            shutil.copyfile(first[source], target)
        else:
            write(source, target)
            first[source] = target
    for folder in (to / "train").iterdir():
        (to / "val" / folder.name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(next(folder.iterdir()), to / "val" / folder.name / "one.jpg")
    return to


def _spread(paths: Sequence[Path], count: int | None) -> list[Path]:
    """As many of them, evenly over all classes."""
    step = 1 if count is None else max(1, len(paths) // count)
    return list(paths[::step])
