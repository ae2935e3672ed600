"""Pictures with labels of every kind, and learners on them that can be exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from learnfleet.trainer import ImageDataBunch, ImageImageList, PointsItemList, cnn_learner, unet_learner
from learnfleet.trainer.data_spec import DataSpec, LabelKind, MaskSpec
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.transforms import get_transforms

N = 6
SIDE = 32
KINDS = ("category", "multi_category", "float", "two floats", "mask", "points", "image")


def noise_and_masks(root: Path) -> Path:
    """Pictures of noise with masks of where red is strong, in folders named secret: a name that no export may tell."""
    random = np.random.default_rng(0)
    for folder in ("secret", "masks", "test"):
        (root / folder).mkdir()
    for number in range(N):
        pixels = random.integers(0, 256, (40, 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "secret" / f"{number}.png")
        Image.fromarray((pixels[..., 0] > 127).astype(np.uint8)).save(root / "masks" / f"{number}.png")
        Image.fromarray(random.integers(0, 256, (33, 50, 3), dtype=np.uint8)).save(root / "test" / f"{number}.png")
    return root


def data_of(kind: str, root: Path) -> ImageDataBunch:
    """All six pictures train, with labels of that kind."""
    names = [f"secret/{number}.png" for number in range(N)]
    labels: dict[str, list[Any]] = {
        "category": ["ant", "bee", "ant", "bee", "ant", "wasp"],
        "multi_category": [["red"], ["red", "sea"], [], ["sea"], ["sky"], ["red", "sky"]],
        "float": [0.5, 1.5, 2.5, 3.5, 4.5, 5.5],
        "two floats": [(0.5, 1.0), (1.5, 2.0), (2.5, 3.0), (3.5, 4.0), (4.5, 5.0), (5.5, 6.0)],
    }
    if kind == "mask":
        spec = DataSpec(
            str(root),
            size=(SIDE, SIDE),
            bs=3,
            source="masks",
            labels=LabelKind.MASK,
            masks=MaskSpec("secret", "masks"),
            classes=("weak", "strong"),
            valid_pct=0.0,
        )
        return ImageDataBunch.from_spec(spec)
    if kind == "points":
        split = PointsItemList([root / name for name in names], root).split_by_idxs(range(N), [])
        labelled = split.label_from_func(lambda file: [(int(file.stem), 2), (30, 10 + int(file.stem))])
        return labelled.transform(get_transforms(), size=SIDE).databunch(bs=3, seed=1)
    if kind == "image":
        pairs = ImageImageList([root / name for name in names], root).split_by_idxs(range(N), [])
        targets = pairs.label_from_func(lambda file: file).transform(get_transforms(), size=SIDE)
        return targets.databunch(bs=3, seed=1).normalize(do_y=True)
    return ImageDataBunch.from_lists(
        root, names, labels[kind], valid_pct=0, seed=1, size=SIDE, bs=3, ds_tfms=get_transforms()
    )


def learner_of(kind: str, root: Path, path: Path, **options: Any) -> Learner:
    data = data_of(kind, root)
    make = unet_learner if kind in ("mask", "image") else cnn_learner
    return make(data, "squeezenet1_1", pretrained=False, path=path, silent=True, **options)


def learner_of_any_size(root: Path, path: Path) -> Learner:
    """Of classes; each picture keeps its own size, of which less than 3 x 3 pixels are too few for the network."""
    names = [f"secret/{number}.png" for number in range(N)]
    data = ImageDataBunch.from_lists(root, names, ["ant", "bee"] * 3, valid_pct=0, seed=1, size=None, bs=3)
    return cnn_learner(data, "squeezenet1_1", pretrained=False, path=path, silent=True)
