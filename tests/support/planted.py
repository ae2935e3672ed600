"""Photos with errors that are known: wrong labels, and pictures that are there twice."""

from __future__ import annotations

import random
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

SHARED = Path(__file__).resolve().parents[3] / "shared"
PHOTOS = SHARED / "data" / "hymenoptera.tar"
WEIGHTS = SHARED / "weights" / "tf_efficientnet_lite0_in1k_timm.pth"
_OTHER = {"ants": "bees", "bees": "ants"}


@dataclass(frozen=True)
class Planted:
    """A folder of class folders, and the names of the files in it that are wrong."""

    folder: Path
    flipped: frozenset[str]
    copies: frozenset[str]  # "copy_x.jpg" of x.jpg


def plant(folder: Path, flips: int, copies: int, part: str = "train") -> Planted:
    """Ants and bees of which some are called the other, and some are there again: smaller, and saved anew."""
    with tarfile.open(PHOTOS) as archive:
        archive.extractall(folder, filter="data")
    rng, root = random.Random(0), folder / "hymenoptera" / part
    photos = sorted(root.glob("*/*.jpg"))
    flipped, copied = set(), set()
    for photo in rng.sample(photos, flips):
        name = f"flip_{photo.name}"
        shutil.move(photo, root / _OTHER[photo.parent.name] / name)
        flipped.add(name)
    for photo in rng.sample(sorted(root.glob("*/[!f]*.jpg")), copies):
        with Image.open(photo) as image:
            smaller = image.convert("RGB").resize((image.width * 4 // 5, image.height * 4 // 5))
        smaller.save(photo.with_name(f"copy_{photo.name}"), quality=70)
        copied.add(f"copy_{photo.name}")
    return Planted(root, frozenset(flipped), frozenset(copied))
