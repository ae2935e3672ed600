"""What an export says of itself, without a replica: questions about a model load none."""

from __future__ import annotations

from pathlib import Path

from learnfleet.server.errors import FailedPrecondition
from learnfleet.server.inference.ports import ModelInfo
from learnfleet.server.inference.references import Target
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.export import read_export
from learnfleet.trainer.manifest import CorruptCheckpoint

_PER_PIXEL = (LabelKind.MASK, LabelKind.IMAGE)
_ANY = -1


def describe_export(target: Target) -> ModelInfo:
    """The same as a replica says once it has loaded it. Reads every file, so blocks. Raises FailedPrecondition."""
    try:
        content = read_export(Path(target.folder))
    except (CorruptCheckpoint, LearnerError, OSError) as error:
        raise FailedPrecondition(
            target.name, f"{target.name} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    kind, channels = content.learner.data.labels, len(content.classes)
    sides = tuple(content.eval_transform["size"])
    size = (int(sides[0]), int(sides[1])) if sides else None
    shape = (channels, *(size or (_ANY, _ANY))) if kind in _PER_PIXEL else (channels,)
    return ModelInfo(target.name, kind, content.classes, size, shape)
