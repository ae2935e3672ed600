"""Picture files and folders for the tests of the data path."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[3] / "shared"


def picture(value: int, width: int = 20, height: int = 16) -> Image.Image:
    """A smooth picture that differs for every `value`."""
    across, down = np.linspace(0, 120, width), np.linspace(0, 80, height)
    plane = across[None, :] + down[:, None] + value % 50
    return Image.fromarray(np.stack((plane, plane[::-1], plane[:, ::-1]), axis=2).astype(np.uint8))


def encoded(image: Image.Image, fmt: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def a_class_folder(folder: Path, n: int, first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + n):
        picture(number).save(folder / f"{number:03}.png")
    return folder


def a_data_folder(root: Path, n_train: int = 6, n_valid: int = 3, classes: tuple[str, ...] = ("ant", "bee")) -> Path:
    """`n_train` and `n_valid` pictures of each class."""
    for number, name in enumerate(classes):
        a_class_folder(root / "train" / name, n_train, 100 * number)
        a_class_folder(root / "valid" / name, n_valid, 100 * number + 50)
    return root


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def unpack_shared(name: str, into: Path) -> Path:
    archive = SHARED / "data" / name
    if not archive.exists():
        pytest.skip(f"no {name}: the shared data sets are not beside this checkout")
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="fully_trusted")
    return into
