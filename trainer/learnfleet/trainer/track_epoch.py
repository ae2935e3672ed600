"""How far a fit has come, in a file, so that another run may go on from there (fastai v1 `TrackEpochCallback`)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch

from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.manifest import replace_synced
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_log = logging.getLogger(__name__)


class TrackEpochCallback(LearnerCallback):
    """Writes the number of the epoch that is finished to `path/model_dir/<name>`, and removes it when the fit is done.

    Where an earlier run has left the file, a fit begins with the epoch after that, unless its own `start_epoch` says
    another. The weights come with SaveModelCallback(every="epoch"). In a job, which is resumed from its checkpoints, a
    fit begins where they say.
    """

    order: ClassVar[int] = 20  # after what saves the weights of the epoch

    def __init__(self, learn: Learner, name: str = "epoch") -> None:
        super().__init__(learn)
        self.name = name

    @property
    def path(self) -> Path:
        """The file. It goes with the learner, whose path may change."""
        return self.learn.path / self.learn.model_dir / self.name

    def start_epoch(self) -> int | None:
        """Epochs that an earlier run has finished; None where none is recorded."""
        if not self.path.exists():
            return None
        text = self.path.read_text().strip()
        if not text.isdecimal():
            raise LearnerError("name", f"{self.path} does not hold the number of an epoch")
        return int(text) + 1

    def restart(self) -> None:
        """Forget how far an earlier run has come: the next fit begins with its first epoch."""
        self.path.unlink(missing_ok=True)

    def on_train_begin(self, state: TrainState) -> None:
        if state.epoch or state.job_stage is not None:
            return
        state.epoch = int(state.learner.world.max(torch.tensor([self.start_epoch() or 0])))
        if state.epoch:
            _log.warning("TrackEpochCallback: this fit begins with epoch %d, as %s says", state.epoch, self.path)

    def on_epoch_end(self, state: TrainState) -> None:
        if state.learner.world.is_main:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_synced(self.path, str(state.epoch).encode())

    def on_train_end(self, state: TrainState) -> None:
        is_done = state.epoch >= state.n_epochs or state.stop_training
        if is_done and state.exception is None and not state.interrupted and state.learner.world.is_main:
            self.path.unlink(missing_ok=True)
