"""Tiny picture data of each kind of label, on disk, and models that fit them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.item_list import ImageList, SegmentationItemList
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.spec import TransformSpec

COLOURS = ("blue", "green", "red")
CODES = ("sky", "house", "Void")
SIZE = 16


def _write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def _noise(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 110, (18, 20, 3), dtype=np.uint8)


def category_data(
    root: Path, n: int = 6, n_valid: int = 3, tfms: TransformSpec | None = None, size: int = SIZE
) -> ImageDataBunch:
    """One of three colours: `n` training and `n_valid` validation pictures each; also four test pictures."""
    for part, first, count in (("train", 0, n), ("valid", 100, n_valid)):
        for channel, name in enumerate(COLOURS):
            for number in range(count):
                pixels = _noise(first + 10 * channel + number)
                pixels[..., 2 - channel] += 120
                _write(root / part / name / f"{number}.png", pixels)
    for number in range(4):
        _write(root / "test" / f"{number}.png", _noise(500 + number))
    return ImageDataBunch.from_folder(root, size=size, bs=4, ds_tfms=tfms, test="test").normalize()


def labels_data(root: Path, n: int = 20, size: int = SIZE) -> ImageDataBunch:
    """Any of three colours, also none."""
    rows = []
    for number in range(n):
        pixels, labels = _noise(number), []
        for channel, name in enumerate(COLOURS):
            if (number >> channel) & 1:
                pixels[:, 6 * channel : 6 * channel + 6, 2 - channel] += 130
                labels.append(name)
        _write(root / f"{number:02}.png", pixels)
        rows.append((f"{number:02}.png", ";".join(labels)))
    frame = pd.DataFrame(rows, columns=["name", "tags"])
    return ImageDataBunch.from_df(root, frame, label_delim=";", valid_pct=0.4, seed=1, size=size, bs=4).normalize()


def numbers_data(root: Path, n: int = 14, size: int = SIZE) -> ImageDataBunch:
    """How bright a picture is, in [0, 1]."""
    values = {}
    for number in range(n):
        pixels = (_noise(number) // 2 + 10 * number).astype(np.uint8)
        values[_write(root / f"{number:02}.png", pixels).name] = float(pixels.mean() / 255)
    blocks = ImageList.from_folder(root).split_by_idx(range(0, n, 2))
    labelled = blocks.label_from_func(lambda path: values[path.name], label_cls=LabelKind.FLOAT)
    return labelled.transform(size=size).databunch(bs=4).normalize()


def masks_data(root: Path, n: int = 12, tfms: TransformSpec | None = None, size: int = SIZE) -> ImageDataBunch:
    """A bright house before a dark sky, with a margin of Void."""
    for number in range(n):
        pixels, mask = _noise(number) // 2, np.zeros((18, 20), dtype=np.uint8)
        left = 2 + number % 8
        pixels[6:, left : left + 8] += 150
        mask[6:, left : left + 8] = 1
        mask[:, :1] = 2
        _write(root / "pictures" / f"{number:02}.png", pixels.astype(np.uint8))
        _write(root / "masks" / f"{number:02}.png", mask)
    pictures = SegmentationItemList.from_folder(root).filter_by_func(lambda path: path.parent.name == "pictures")
    blocks = pictures.split_by_idx(range(0, n, 3))
    labelled = blocks.label_from_func(lambda path: root / "masks" / path.name, classes=CODES)
    return labelled.transform(tfms, size=(size, size), tfm_y=True).databunch(bs=3).normalize()


def body_and_head(outputs: int, *, dropout: float = 0.0) -> nn.Sequential:
    """A model as `cnn_learner` makes it, from a fixed seed: its body halves the sides."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
        return nn.Sequential(
            body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(8, outputs))
        )


def pixel_model(outputs: int = len(CODES)) -> nn.Module:
    """Scores of classes for each pixel."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, outputs, 1))


def quiet(data: ImageDataBunch, model: nn.Module, **options: object) -> Learner:
    """A learner that prints nothing."""
    return Learner(data, model, silent=True, **options)  # type: ignore[arg-type]
