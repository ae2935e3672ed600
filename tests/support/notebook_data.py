"""Small real data sets that the example notebooks run on."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from support.pictures import SHARED

from learnfleet.server.commands.digits import write_digits


def class_folders_in(folder: Path) -> Path:
    """One folder a class, 300 scanned digits."""
    split = folder.with_name(f".{folder.name}-split")
    write_digits(split, limit=300)
    for file in split.rglob("*.png"):
        _move(file, folder / file.parent.name / file.name)
    return folder


def scenes_in(folder: Path) -> Path:
    """40 street scenes of several drives: folders pictures and masks with files of the same names, and codes.txt."""
    unpacked = _unpacked("camvid_480x360.tar", folder)
    (codes,) = unpacked.rglob("codes.txt")
    for picture in sorted((codes.parent / "images" / "train").glob("*.jpg"))[::9][:40]:
        mask = codes.parent / "labels" / "train" / f"{picture.stem}.png"
        _move(picture, folder / "pictures" / picture.name)
        _move(mask, folder / "masks" / mask.name)
    _move(codes, folder / "codes.txt")
    return folder


def photos_in(folder: Path) -> Path:
    """Photos of ants and bees: 40 of each to train on, 20 of each to validate, 4 of each without a label."""
    unpacked = _unpacked("hymenoptera.tar", folder)
    for kind in ("ants", "bees"):
        (train,), (valid,) = (list(unpacked.rglob(f"{part}/{kind}")) for part in ("train", "val"))
        for file in sorted(train.glob("*.jpg"))[::3][:40]:
            _move(file, folder / "train" / kind / file.name)
        others = sorted(valid.glob("*.jpg"))[::2]
        for file in others[:20]:
            _move(file, folder / "valid" / kind / file.name)
        for file in others[20:24]:
            _move(file, folder / "test" / file.name)
    return folder


def weights_file() -> Path:
    """Of timm's tf_efficientnet_lite0, trained on ImageNet."""
    file = SHARED / "weights" / "tf_efficientnet_lite0_in1k_timm.pth"
    if not file.exists():
        pytest.skip(f"needs {file.name} of ../shared, which is not published")
    return file


def _unpacked(name: str, beside: Path) -> Path:
    archive = SHARED / "data" / name
    if not archive.exists():
        pytest.skip(f"needs {name} of ../shared, which is not published")
    folder = beside.with_name(f".{beside.name}-unpacked")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


def _move(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    file.rename(target)
