"""Predictions of whole data sets on the disk: what was computed once need not be computed again.

A folder for each, named by what the predictions follow from: `predictions.safetensors`, `about.json`, which says what
that is, and `manifest.json` with the SHA-256 of both. One that is damaged is none.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from learnfleet.trainer import manifest
from learnfleet.trainer.dataset import DatasetType, ImageDataset
from learnfleet.trainer.inference import Predictions
from learnfleet.trainer.spec_of_learner import describe_loss

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

FILE, ABOUT = "predictions.safetensors", "about.json"
KEPT = 8  # of one learner; those that were used longest ago go
_TENSORS = ("outputs", "targets", "indices", "losses", "embeddings")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """What predictions follow from, as SHA-256 of each."""

    model: str  # its structure, weights and buffers, precision and activation
    data: str  # its items: names, sizes, times and labels, in their order
    transforms: str  # what is done to each picture

    @property
    def key(self) -> str:
        return hashlib.sha256("".join(asdict(self).values()).encode()).hexdigest()[:32]


def origin_of(learner: Learner, ds_type: DatasetType, *, tta: bool) -> Origin | None:
    """None where it cannot be told: of data that are no picture files, or a loss without a name."""
    dataset, loss = getattr(learner.data.dl(ds_type), "dataset", None), describe_loss(learner.loss_func)
    transforms = learner.eval_transform_json()
    if not isinstance(dataset, ImageDataset) or loss is None or transforms is None:
        return None
    told = [repr(learner.model), learner.precision.name, json.dumps(loss.to_json()), str(learner.seed if tta else "")]
    spec = getattr(learner.data, "spec", None)
    way = [json.dumps(transforms, sort_keys=True), str(tta), repr(spec.transforms) if spec is not None and tta else ""]
    return Origin(_of_model(learner, told), _of_data(dataset), _digest(way))


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _of_model(learner: Learner, told: list[str]) -> str:
    digest = hashlib.sha256("\0".join(told).encode())
    for name, value in sorted(learner.model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _of_data(dataset: ImageDataset) -> str:
    return _digest(f"{_file(item.path)} {_label(item.label)}" for item in dataset.items)


def _file(path: Path) -> str:
    """ctime is the one time that no user can set back."""
    try:
        found = path.stat()
    except OSError:
        return f"{path} none"
    return f"{path} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _label(label: object) -> str:
    return _file(label) if isinstance(label, Path) else repr(label)


class KeptPredictions:
    """Those in a folder, which all ranks see. Every rank must call the same."""

    def __init__(self, root: Path, kept: int = KEPT) -> None:
        self._root, self._kept = root, kept

    def get(self, learner: Learner, origin: Origin | None, needs: tuple[str, ...]) -> Predictions | None:
        """None where there are none, or none with all that is needed."""
        found = None if origin is None else self._read(self._root / origin.key)
        lacks = found is None or any(getattr(found, name) is None for name in needs)
        return None if learner.world.any(lacks) else found

    def _read(self, folder: Path) -> Predictions | None:
        try:
            for name, entry in manifest.read_manifest(folder).files.items():
                if manifest.describe_file(folder / Path(name).name) != entry:
                    raise manifest.CorruptCheckpoint(folder, f"{name} was changed")
            tensors = load_file(folder / FILE)
            os.utime(folder)  # used just now
        except manifest.CorruptCheckpoint as error:
            if folder.exists():
                _log.warning("kept predictions are not used: %s", error)
            return None
        except (OSError, SafetensorError) as error:
            _log.warning("kept predictions are not used: %s", error)
            return None
        outputs, targets, indices = (tensors[name] for name in _TENSORS[:3])
        return Predictions(outputs, targets, indices, tensors.get("losses"), embeddings=tensors.get("embeddings"))

    def put(self, learner: Learner, origin: Origin | None, found: Predictions, count: int) -> None:
        """Keep predictions of all `count` items; those with gaps are not kept, as what could not be read may be soon.

        A disk that is full or slow is no reason to fail: the predictions are there.
        """
        if origin is not None and len(found.indices) == count and not found.more_outputs:
            learner.world.on_main(lambda: self._try(lambda: self._write(self._root / origin.key, origin, found)))

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as error:
            _log.warning("predictions could not be kept: %s", error)

    def _write(self, folder: Path, origin: Origin, found: Predictions) -> None:
        temporary = manifest.temporary_for(folder)
        try:
            values: dict[str, Tensor | None] = {name: getattr(found, name) for name in _TENSORS}
            tensors = {name: value.contiguous() for name, value in values.items() if value is not None}
            manifest.write_synced(temporary / FILE, save(tensors))
            manifest.write_synced(temporary / ABOUT, json.dumps(asdict(origin)).encode())
            manifest.write_manifest(temporary, job_id="", attempt=0, step=0, epoch=0)
            manifest.publish(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        self._forget()

    def _forget(self) -> None:
        folders = [path for path in self._root.iterdir() if (path / ABOUT).is_file()]
        folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in folders[self._kept :]:
            shutil.rmtree(path, ignore_errors=True)
