"""Training: the fits of a Learner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from learnfleet.trainer import fitting
from learnfleet.trainer.batch import Loader, Shard
from learnfleet.trainer.callback import Callbacks, Events, as_callbacks
from learnfleet.trainer.dataset_loader import loader_of
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.interruption import Interrupted
from learnfleet.trainer.learner_core import LearnerCore
from learnfleet.trainer.lr_find import ALL_RULES, LrSearch, run_search
from learnfleet.trainer.lr_suggest import Rule, SuggestedLRs
from learnfleet.trainer.metrics import as_metrics
from learnfleet.trainer.optimizer import DEFAULT_LR, Lr, PerGroup, lr_range
from learnfleet.trainer.schedules import FlatCosAnnealScheduler, OneCycleScheduler, SgdrScheduler
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class LearnerTraining(LearnerCore):
    """The part of `Learner` that trains and validates."""

    def lr_range(self, lr: Lr) -> list[float]:
        """The learning rate of each layer group that a fit makes of `lr`. See `optimizer.lr_range`."""
        return lr_range(lr, len(self.layer_groups))

    def fit(
        self,
        epochs: int,
        lr: Lr = DEFAULT_LR,
        wd: PerGroup | None = None,
        callbacks: Callbacks = None,
    ) -> None:
        """Train for `epochs` with constant learning rates. Moments of an earlier fit go on.

        Args:
            lr: a number, slice(stop), slice(start, stop), or one value a layer group. A scheduler among the callbacks
                sets its own.
            wd: weight decay of this fit, one value or one a layer group. Default: the learner's.
        """
        fitting.run_fit(self.whole, fitting.Fit(epochs, lr, wd, as_callbacks(callbacks)))

    def fit_one_cycle(
        self,
        cyc_len: int,
        max_lr: Lr = DEFAULT_LR,
        moms: Sequence[float] = (0.95, 0.85),
        div_factor: float = 25.0,
        pct_start: float = 0.3,
        final_div: float | None = None,
        wd: PerGroup | None = None,
        callbacks: Callbacks = None,
        tot_epochs: int | None = None,
        start_epoch: int | None = None,
    ) -> None:
        """Train for `cyc_len` epochs of one cycle of learning rate and momentum. See `OneCycleScheduler`."""
        cycle = OneCycleScheduler(self.whole, max_lr, moms, div_factor, pct_start, final_div, tot_epochs, start_epoch)
        fitting.run_fit(self.whole, fitting.Fit(cyc_len, max_lr, wd, [*as_callbacks(callbacks), cycle]))

    def fit_fc(
        self,
        tot_epochs: int = 1,
        lr: Lr = DEFAULT_LR,
        moms: Sequence[float] = (0.95, 0.85),
        start_pct: float = 0.72,
        wd: PerGroup | None = None,
        callbacks: Callbacks = None,
        curve: str = "cosine",
    ) -> None:
        """Train with a constant learning rate, then anneal it. See `FlatCosAnnealScheduler`."""
        flat_cos = FlatCosAnnealScheduler(self.whole, lr, tot_epochs, moms, start_pct, curve)
        fitting.run_fit(self.whole, fitting.Fit(tot_epochs, lr, wd, [*as_callbacks(callbacks), flat_cos]))

    def fit_sgdr(
        self,
        n_cycles: int,
        cycle_len: int,
        lr_max: Lr = DEFAULT_LR,
        cycle_mult: int = 2,
        wd: PerGroup | None = None,
        callbacks: Callbacks = None,
    ) -> None:
        """Train for cycles that anneal the learning rate to 0, each longer than the one before (fastai v2)."""
        sgdr = SgdrScheduler(self.whole, n_cycles, cycle_len, lr_max, cycle_mult)
        fitting.run_fit(self.whole, fitting.Fit(sgdr.epochs, lr_max, wd, [*as_callbacks(callbacks), sgdr]))

    def fine_tune(
        self,
        epochs: int,
        base_lr: float = 2e-3,
        freeze_epochs: int = 1,
        lr_mult: float = 100.0,
        pct_start: float = 0.3,
        div: float = 5.0,
        wd: PerGroup | None = None,
        callbacks: Callbacks = None,
    ) -> None:
        """Train the last layer group, then all of them with discriminative rates at half the rate (fastai v2)."""
        half = base_lr / 2
        self.freeze_to(-1)
        self.fit_one_cycle(freeze_epochs, slice(base_lr), pct_start=0.99, final_div=1e5, wd=wd, callbacks=callbacks)
        self.unfreeze()
        rates = slice(half / lr_mult, half)
        self.fit_one_cycle(
            epochs, rates, div_factor=div, pct_start=pct_start, final_div=1e5, wd=wd, callbacks=callbacks
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

    def lr_find(
        self,
        start_lr: Lr = 1e-7,
        end_lr: Lr = 10.0,
        num_it: int = 100,
        stop_div: bool = True,
        wd: PerGroup | None = None,
        suggest_funcs: Rule | str | Sequence[Rule | str] = ALL_RULES,
    ) -> SuggestedLRs:
        """Train with a rising learning rate, put everything back, and say which rates look good.

        `recorder.plot()` then draws the losses. See `LRFinder`; the learner's own callbacks take part only where they
        change what a step computes (`Callback.in_lr_find`).

        Args:
            suggest_funcs: rules of `lr_suggest`, or functions like them, or their names.
        """
        found, _ = run_search(self.whole, LrSearch(start_lr, end_lr, num_it, stop_div, wd, suggest_funcs))
        return found

    def validate(
        self,
        dl: Loader | DataLoader[Any] | None = None,
        callbacks: Callbacks = None,
        metrics: object = None,
    ) -> list[float]:
        """Loss and metrics over a loader (default: validation), [loss, *metrics], equal on all ranks.

        Args:
            dl: a loader of the data, such as `learn.dl(DatasetType.Fix)`, or a torch DataLoader, whose items are taken
                in their order.
            callbacks: for this call: they are begun and ended (fastai v1 begins them only, and the learner's own too).
                The learner's own see the batches, as they do when a fit validates.
            metrics: instead of the learner's.
        """
        from learnfleet.trainer.loop import validate

        loader = self.data.valid_dl if dl is None else loader_of(dl, self.device)
        if loader is None:
            raise LearnerError("validate", "there is no validation data: give `dl`")
        shard = Shard(self.world.rank, self.world.size)
        self.data.shard(shard)
        loader.shard(shard)
        chosen = self.metrics if metrics is None else as_metrics(metrics)
        state = TrainState(self.whole, self.model, 0, 0, chosen, train=False, stop_requested=self.stop_requested)
        given = as_callbacks(callbacks)
        own = Events(given)
        try:
            own("on_train_begin", state)
            own("on_epoch_begin", state)
            values = validate(state, Events([*self.callbacks, *given]), loader, chosen)
            if state.interrupted:
                raise Interrupted
            state.last_metrics = list(values)
            own("on_epoch_end", state)
        finally:
            own("on_train_end", state)
        return values
