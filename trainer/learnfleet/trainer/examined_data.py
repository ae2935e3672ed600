"""Any model on any data: exports, and data that a learner was not made with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file

from learnfleet.trainer import learner_state
from learnfleet.trainer.build import build_learner
from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.data_spec import DataSpec, Normalization
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.eval_transform import EvalTransform
from learnfleet.trainer.export import ExportSpec, read_export
from learnfleet.trainer.manifest import MODEL_FILE
from learnfleet.trainer.pixels import NO_STATS
from learnfleet.trainer.spec import LearnerSpec

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

# Where pictures and labels come from; all else of a data specification is the model's.
_OF_SOURCE = (
    "path",
    "train",
    "valid",
    "valid_pct",
    "split_seed",
    "source",
    "test",
    "table",
    "masks",
    "pattern",
    "items",
    "dataset",
    "bad_image",
    "log",
)


def learner_of_export(
    folder: Path | str, data: DataSpec | Path | str, *, device: str = "cpu", threads: int | None = None
) -> Learner:
    """An exported model as a learner on data, to be examined. It sees pictures as it did when it was exported.

    Args:
        data: a folder of class folders, perhaps below `train` and `valid`; or where pictures and labels come from (of
            its other fields the model's are taken). Labels are matched by their names: items of classes that the model
            does not know are left out, with a warning that names them.

    Raises CorruptCheckpoint, or LearnerError.
    """
    content = read_export(Path(folder))
    spec = as_exported(content)
    own = dataclasses.replace(spec, data=_merged(spec.data, _as_spec(data)))
    learner = build_learner(own, device=device, threads=threads)
    learner_state.restore_model(learner, load_file(Path(folder) / MODEL_FILE, device))
    return learner


def on_data(learner: Learner, data: DataSpec | Path | str) -> ImageDataBunch:
    """Other data for a learner, with its classes and transforms: `learner.data = on_data(learner, folder)`.

    Raises LearnerError, also for a learner whose data are no pictures.
    """
    own = getattr(learner.data, "spec", None)
    if not isinstance(learner.data, ImageDataBunch) or not isinstance(own, DataSpec):
        told = f"{type(learner.data).__name__} does not say how a picture becomes the model's input"
        raise LearnerError("data", told)
    spec = dataclasses.replace(own, classes=tuple(learner.data.classes))
    spec = _normalized(spec, learner.data.eval_transform)
    return ImageDataBunch.from_spec(_merged(spec, _as_spec(data)), seed=learner.seed, device=learner.device)


def as_exported(content: ExportSpec) -> LearnerSpec:
    """The learner of an export with its classes, and the very normalisation: `auto` depended on weights it has not."""
    transform = EvalTransform.from_json(content.eval_transform)
    data = dataclasses.replace(content.learner.data, classes=content.classes)
    return dataclasses.replace(content.learner, data=_normalized(data, transform))


def _normalized(spec: DataSpec, transform: EvalTransform) -> DataSpec:
    stats = (transform.mean, transform.std)
    chosen = Normalization("none") if stats == NO_STATS else Normalization("explicit", *stats)
    return dataclasses.replace(spec, normalization=chosen)


def _merged(own: DataSpec, given: DataSpec) -> DataSpec:
    return dataclasses.replace(own, **{name: getattr(given, name) for name in _OF_SOURCE})


def _as_spec(data: DataSpec | Path | str) -> DataSpec:
    if isinstance(data, DataSpec):
        return data
    folder = Path(data).resolve()
    is_split = (folder / "train").is_dir() and (folder / "valid").is_dir()
    # Without parts of its own all of it is one, which `DatasetType.Fix` gives whole and in order.
    return DataSpec(str(folder), valid_pct=None if is_split else 0.0)
