"""Persistence: what a Learner writes and reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from learnfleet.trainer import export, learner_files
from learnfleet.trainer.learner_core import LearnerCore

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class LearnerPersistence(LearnerCore):
    """The part of `Learner` that saves, loads and exports."""

    def save(self, name: str, with_opt: bool = True) -> Path:
        """Write weights, optimiser and counters to `path/model_dir/name`, replacing what is there. Returns the folder.

        Every rank must call; rank 0 writes.
        """
        return learner_files.save(self.whole, name, with_opt=with_opt)

    def load(
        self, name: str, device: torch.device | str | None = None, strict: bool = True, with_opt: bool | None = None
    ) -> Learner:
        """Take over what `save` wrote under this name. Raises CorruptCheckpoint or LearnerError.

        Args:
            device: where the model goes. Default: the data's device.
            strict: False ignores weights that are missing or unknown, but never another shape.
            with_opt: None takes the optimiser where it is saved and fits, and warns where it does not fit; True
                raises when it cannot be restored; False leaves it.
        """
        learner_files.load(self.whole, name, strict=strict, with_opt=with_opt)
        self.model.to(device or self.device)
        return self.whole

    def export(self, path: Path | str = "export") -> Path:
        """Write a self-describing folder for `load_learner`, below `self.path` unless absolute. Returns it."""
        return learner_files.export(self.whole, self.path / path)

    def eval_transform_json(self) -> dict[str, Any] | None:
        """How a picture becomes the model's input in validation. None for data that are no pictures."""
        return export.eval_transform_json(self.data)
