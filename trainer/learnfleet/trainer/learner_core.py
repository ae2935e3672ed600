"""What a Learner holds: data, model, layer groups and optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import nn

from learnfleet.trainer.batch import Loader, Shard
from learnfleet.trainer.callback import Callback, CallbackFns, Callbacks, as_callback_fns, as_callbacks
from learnfleet.trainer.data import DatasetType
from learnfleet.trainer.distributed import World, current_world
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.head import BATCH_NORMS
from learnfleet.trainer.interruption import never
from learnfleet.trainer.layer_groups import LayerGroup, SplitOn, as_layer_groups, split_model
from learnfleet.trainer.learner_memory import DESTROYED
from learnfleet.trainer.loss_functions import CrossEntropyFlat
from learnfleet.trainer.losses import Loss
from learnfleet.trainer.metric_callbacks import MetricCallback, split_callbacks
from learnfleet.trainer.metrics import Metric, as_metrics
from learnfleet.trainer.opt_funcs import Adam, OptFunc, OptFuncLike, as_opt_func
from learnfleet.trainer.optimizer import LayerOptimizer, Lr, PerGroup, lr_range
from learnfleet.trainer.precision import Precision
from learnfleet.trainer.recorder import Recorder

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner
    from learnfleet.trainer.spec import LearnerSpec

OWN_MODEL = (
    "model: a module that was given to Learner itself; register a function that builds its body in the entry-point"
    " group learnfleet.architectures, and make the learner by cnn_learner or unet_learner"
)


class LearnerData(Protocol):
    """What a Learner asks of its data. `ImageDataBunch` is one; a pair of in-memory loaders can be another."""

    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def c(self) -> int: ...
    @property
    def path(self) -> Path: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def train_dl(self) -> Loader: ...
    @property
    def valid_dl(self) -> Loader | None: ...
    def dl(self, ds_type: DatasetType) -> Loader: ...
    def shard(self, shard: Shard) -> None: ...


class LearnerCore:
    """The fields of a Learner, and what decides which of its parameters are trained how. See `Learner`."""

    def __init__(
        self,
        data: LearnerData,
        model: nn.Module,
        opt_func: OptFuncLike = Adam,
        loss_func: Loss | None = None,
        metrics: object = None,
        true_wd: bool = True,
        bn_wd: bool = True,
        wd: float | Sequence[float] = 1e-2,
        train_bn: bool = True,
        path: Path | str | None = None,
        model_dir: str = "models",
        callback_fns: CallbackFns = None,
        callbacks: Callbacks = None,
        layer_groups: Sequence[LayerGroup | nn.Module] | None = None,
        add_time: bool = True,
        silent: bool = False,
        seed: int = 0,
    ) -> None:
        self.data, self.model = data, model.to(data.device)
        self.opt_func = opt_func
        self.loss_func: Loss = loss_func or getattr(data, "loss_func", None) or CrossEntropyFlat()
        if not callable(self.loss_func):
            raise LearnerError("loss_func", f"{self.loss_func!r} is no function of (output, target)")
        self.metrics = metrics
        self.true_wd, self.bn_wd, self.wd, self.train_bn = true_wd, bn_wd, wd, train_bn
        self.path, self.model_dir = Path(path if path is not None else data.path), model_dir
        self.callback_fns = as_callback_fns(callback_fns)
        self.callbacks = as_callbacks(callbacks)
        self.layer_groups = as_layer_groups(model, layer_groups)
        self.add_time, self.silent, self.seed = add_time, silent, seed
        self.world: World = current_world()
        self.opt: LayerOptimizer | None = None
        self.recorder = Recorder(add_time)
        self.precision = Precision()
        self.holds_frozen_bn = self.is_parallel = False
        self.channels_last = self.is_compiled = False
        self.frozen_to = self.global_step = self.lifetime_epoch = 0
        self.spec: LearnerSpec | None = None
        self.own_parts: tuple[str, ...] = (OWN_MODEL,)  # that no name leads to, see `learner_export`
        self.stop_requested: Callable[[], bool] = never  # see `heeding`
        self._named_callbacks: dict[str, Callback] = {}

    @property
    def whole(self) -> Learner:
        """This learner with the methods of all its parts: the classes below `Learner` each know only their own."""
        return cast("Learner", self)

    @property
    def device(self) -> torch.device:
        return self.data.device

    @property
    def opt_func(self) -> OptFunc:
        """What makes the next optimiser; set in any form that the constructor takes."""
        return self._opt_func

    @opt_func.setter
    def opt_func(self, given: OptFuncLike) -> None:
        self._opt_func = as_opt_func(given)

    @property
    def metrics(self) -> list[Metric]:
        """Set it, or add to the list, in any form that the constructor takes."""
        self._settle_metrics()
        return self._metrics

    @metrics.setter
    def metrics(self, given: object) -> None:
        plain, self._metric_callbacks = split_callbacks(given)
        self._metrics: list[Metric] = as_metrics(plain)

    @property
    def metric_callbacks(self) -> list[MetricCallback]:
        """Those metrics that are callbacks."""
        self._settle_metrics()
        return self._metric_callbacks

    def _settle_metrics(self) -> None:
        """Make metrics of what a user has added to the list."""
        if not all(isinstance(item, Metric) and not isinstance(item, type | Callback) for item in self._metrics):
            plain, callbacks = split_callbacks(self._metrics)
            self._metrics[:] = as_metrics(plain)
            self._metric_callbacks += callbacks

    def register_callback(self, name: str, callback: Callback) -> None:
        """Make a callback reachable as `learn.<name>`; a later one of that name takes its place."""
        self._named_callbacks[name] = callback

    if not TYPE_CHECKING:  # for the checkers there are no attributes but those they can see

        def __getattr__(self, name: str) -> Callback:
            """A registered callback; only called for what is not found otherwise."""
            if DESTROYED in self.__dict__:
                raise LearnerError("learner", f"it was destroyed, so there is no {name}: make or load another")
            named: dict[str, Callback] = self.__dict__.get("_named_callbacks", {})
            if name not in named:
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            return named[name]

    # --- layer groups and optimiser

    def split(self, split_on: SplitOn) -> None:
        """Cut the model into layer groups before each of the given modules. The optimiser starts anew."""
        self.layer_groups = split_model(self.model, split_on)
        self.opt = None

    def freeze(self) -> None:
        """Train the last layer group only (and BatchNorm under `train_bn`). The optimiser starts anew."""
        if len(self.layer_groups) < 2:
            raise LearnerError("freeze", "the model has one layer group, so nothing would be trained: `split` it first")
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Train all layer groups. The optimiser starts anew."""
        self.freeze_to(0)

    def freeze_to(self, n: int) -> None:
        """Freeze layer groups [0, n); a negative n counts from the end. The optimiser starts anew, without moments.

        A model that keeps a state between batches (it has `reset`, as recurrent ones do) starts anew, too.
        """
        self.frozen_to = self.first_trained_group(n)
        for index, group in enumerate(self.layer_groups):
            group.set_trainable(index >= self.frozen_to, train_bn=self.train_bn)
        reset = getattr(self.model, "reset", None)
        if callable(reset):
            reset()
        self.opt = None

    def first_trained_group(self, n: int) -> int:
        """Of `freeze_to(n)`. Raises LearnerError for a place that there is not."""
        count = len(self.layer_groups)
        if not isinstance(n, Integral) or not -count <= n < count:
            raise LearnerError(
                "freeze_to", f"{n} is not possible with {count} layer groups; give -{count} to {count - 1}"
            )
        return int(n) % count

    def hold_frozen_statistics(self) -> None:
        """Without `train_bn`, frozen BatchNorm layers are frozen whole: their statistics too (fastai's BnFreeze).

        A small data set would otherwise replace the statistics that the pretrained weights were made with.
        """
        if not self.train_bn:
            for group in self.layer_groups[: self.frozen_to]:
                group.hold_statistics()
        if self.holds_frozen_bn:
            for module in self.model.modules():
                own = list(module.parameters(recurse=False)) if isinstance(module, BATCH_NORMS) else []
                if own and not any(parameter.requires_grad for parameter in own):
                    module.eval()

    def create_opt(self, lr: Lr | None = None, wd: PerGroup | None = None) -> LayerOptimizer:
        """A new optimiser over what is trainable now, with the learner's decay unless given. Fits set their own."""
        self.opt = LayerOptimizer(self.layer_groups, self.opt_func, true_wd=self.true_wd, bn_wd=self.bn_wd)
        if lr is not None:
            self.opt.set_lr(lr_range(lr, len(self.layer_groups)))
        self.opt.set_wd(self.wd if wd is None else wd)
        return self.opt

    def require_optimizer(self) -> LayerOptimizer:
        assert self.opt is not None, "a fit has made it"
        return self.opt
