"""A Learner from an export: without pictures, or with test pictures."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from safetensors.torch import load_file

from learnfleet.trainer import build, learner_state
from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.data_options import check_tfm_y
from learnfleet.trainer.data_spec import DataSpec
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.eval_transform import EvalTransform
from learnfleet.trainer.export import SPEC_FILE, ExportSpec, read_export
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.learner_files import Device, device_of
from learnfleet.trainer.listing import Item, assemble
from learnfleet.trainer.manifest import MODEL_FILE
from learnfleet.trainer.metrics import build_metric
from learnfleet.trainer.model_build import body_of
from learnfleet.trainer.pixels import NO_STATS

TestPictures: TypeAlias = "Path | str | Iterable[Path | str | Item] | None"
_NAMES_SHOWN = 10


def load_learner(
    path: Path | str,
    file: Path | str = "export",
    test: TestPictures = None,
    tfm_y: bool | None = None,
    *,
    bs: int = 64,
    device: Device = None,
) -> Learner:
    """The learner that `export` wrote to `path/<file>`, to predict with (fastai v1 `load_learner`).

    Its data is empty but for classes, transforms and normalisation, so that it predicts what it predicted before; it
    has its loss, metrics and optimiser, and its layer groups (v1: one). Give it `learn.data` to train on.

    Args:
        test: a folder of pictures, or picture files or items, for `get_preds(DatasetType.Test)`.
        tfm_y: as in the factories: masks always follow their pictures.
        bs: pictures a batch of `test`.
        device: default: the CPU; an int is a CUDA device.

    Raises FileNotFoundError, CorruptCheckpoint (every file is checked), or LearnerError, also for an `export.pkl` of
    fastai: that is a pickle, and reading it runs whatever it says.
    """
    folder = Path(path) / file
    _check_folder(folder)
    content, where = read_export(folder), device_of(device, torch.device("cpu"))
    check_tfm_y(tfm_y, content.learner.data.labels)
    with torch.random.fork_rng(devices=[]):
        learner = build.assemble(
            content.learner,
            body_of(content.learner),
            _data(content, Path(path), test, bs, where),
            [build_metric(item.name, item.arguments) for item in content.learner.metrics],
        )
    learner_state.restore_model(learner, load_file(folder / MODEL_FILE, str(where)))
    learner.path, learner.spec, learner.silent = Path(path), content.learner, False
    return learner


def _check_folder(folder: Path) -> None:
    if folder.is_file():
        raise LearnerError(
            "file",
            f"{folder} is a file, and an export is a folder. If fastai wrote it, it is a pickle, which is never read."
            " Save its weights there with learn.save(..., with_opt=False), and take them over with"
            " load_fastai_weights",
        )
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no export {folder}{_others(folder)}")


def _others(folder: Path) -> str:
    """The exports that are beside a missing one."""
    there = sorted(file.parent.name for file in folder.parent.glob(f"*/{SPEC_FILE}"))[:_NAMES_SHOWN]
    return f"; there are {', '.join(there)}" if there else ""


def _data(content: ExportSpec, path: Path, test: TestPictures, bs: int, device: torch.device) -> ImageDataBunch:
    """Classes, transforms and normalisation, and no pictures but those to test."""
    root, files = _test_files(test)
    spec = dataclasses.replace(
        content.learner.data,
        path=str((root or path).resolve()),
        source="list",
        items=(),
        classes=content.classes,
        bs=bs,
        val_bs=None,
    )
    return _with_test(_empty(spec, content, device), files)


def _empty(spec: DataSpec, content: ExportSpec, device: torch.device) -> ImageDataBunch:
    transform = EvalTransform.from_json(content.eval_transform)
    stats = (transform.mean, transform.std)
    seed = content.learner.seed
    listing = assemble(spec, (), ())
    return ImageDataBunch(spec, listing, seed=seed, device=device, stats=None if stats == NO_STATS else stats)


def _test_files(test: TestPictures) -> tuple[Path | None, Sequence[Path] | None]:
    """The folder of the test pictures, and which of it they are; None: all."""
    if test is None:
        return None, ()
    if isinstance(test, Path | str):
        if not Path(test).is_file():
            return Path(test), None
        test = [test]
    files = [Path(item.path if isinstance(item, Item) else item).resolve() for item in test]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise LearnerError("test", f"there is no file {missing[0]}{more}")
    return Path(os.path.commonpath([file.parent for file in files])) if files else None, files


def _with_test(data: ImageDataBunch, files: Sequence[Path] | None) -> ImageDataBunch:
    if files is None:
        data.add_test_folder(".")
    elif files:
        data.add_test(files)
    return data
