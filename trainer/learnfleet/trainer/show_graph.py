"""A live graph of the losses (fastai v1 `ShowGraph`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from matplotlib.figure import Figure

from learnfleet.trainer import recorder_plots
from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.progress import in_notebook
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class ShowGraph(LearnerCallback):
    """Draws training and validation losses anew after each epoch, over the whole length of the fit.

    In a notebook the picture takes the place of the one before; elsewhere `figure` holds it.
    """

    order: ClassVar[int] = 5

    def __init__(self, learn: Learner) -> None:
        super().__init__(learn)
        self.figure: Figure | None = None
        self._handle: Any = None

    def on_train_begin(self, state: TrainState) -> None:
        self.figure = self._handle = None

    def on_epoch_end(self, state: TrainState) -> None:
        if not state.learner.world.is_main:
            return
        self.figure = recorder_plots.progress_figure(state.learner.recorder, state.n_epochs * state.n_batches)
        if not in_notebook():
            return
        from IPython.display import display

        if self._handle is None:
            self._handle = display(self.figure, display_id=True)
        else:
            self._handle.update(self.figure)
