"""Training: the fits of a Learner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from learnfleet.trainer import fitting
from learnfleet.trainer.batch import Loader, Shard
from learnfleet.trainer.callback import Callback, Events
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner_core import LearnerCore
from learnfleet.trainer.metrics import as_metrics
from learnfleet.trainer.optimizer import DEFAULT_LR, Lr
from learnfleet.trainer.schedules import OneCycle
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class LearnerTraining(LearnerCore):
    """The part of `Learner` that trains and validates."""

    def fit(
        self,
        epochs: int,
        lr: Lr = DEFAULT_LR,
        wd: float | Sequence[float] | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        """Train for `epochs` with constant learning rates. Moments of an earlier fit go on."""
        fitting.run_fit(self.whole, fitting.Fit(epochs, lr, wd, callbacks=callbacks))

    def fit_one_cycle(
        self,
        cyc_len: int,
        max_lr: Lr = DEFAULT_LR,
        moms: tuple[float, float] = (0.95, 0.85),
        div_factor: float = 25.0,
        pct_start: float = 0.3,
        final_div: float | None = None,
        wd: float | Sequence[float] | None = None,
        callbacks: Sequence[Callback] = (),
        tot_epochs: int | None = None,
        start_epoch: int = 0,
    ) -> None:
        """Train for `cyc_len` epochs of one cycle of learning rate and momentum."""
        shape = OneCycle(moms, div_factor, pct_start, final_div)
        fitting.run_fit(
            self.whole, fitting.Fit(cyc_len, max_lr, wd, shape, tot_epochs, start_epoch, callbacks=callbacks)
        )

    def mixup(self, alpha: float = 0.4, stack_x: bool = False, stack_y: bool = True) -> Learner:
        """Train on mixed pictures from now on (`MixUpCallback`). Returns this learner."""
        from learnfleet.trainer.mixup import MixUpCallback

        self.callbacks.append(MixUpCallback(self.whole, alpha, stack_x, stack_y))
        return self.whole

    def cutmix(self, alpha: float = 1.0) -> Learner:
        """Train on pictures with boxes from others from now on (`CutMixCallback`). Returns this learner."""
        from learnfleet.trainer.mixup import CutMixCallback

        self.callbacks.append(CutMixCallback(self.whole, alpha))
        return self.whole

    def validate(
        self, dl: Loader | None = None, callbacks: Sequence[Callback] = (), metrics: object = None
    ) -> list[float]:
        """Loss and metrics over a loader (default: validation), [loss, *metrics], equal on all ranks."""
        from learnfleet.trainer.loop import validate

        loader = dl if dl is not None else self.data.valid_dl
        if loader is None:
            raise LearnerError("validate", "there is no validation data: give `dl`")
        self.data.shard(Shard(self.world.rank, self.world.size))
        chosen = self.metrics if metrics is None else as_metrics(metrics)
        state = TrainState(self.whole, self.model, 0, 0, chosen, train=False)
        return validate(state, Events([*self.callbacks, *callbacks]), loader, chosen)
