"""The Learner: data, model, loss, metrics and optimiser, and what is done with them (fastai v1's names)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from learnfleet.trainer import export, fitting, learner_files
from learnfleet.trainer.batch import Loader, Shard
from learnfleet.trainer.callback import Callback, Events
from learnfleet.trainer.data import DatasetType
from learnfleet.trainer.distributed import World, current_world
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import Category, predict_loader, run_without_grad
from learnfleet.trainer.layer_groups import LayerGroup, SplitOn, split_model
from learnfleet.trainer.losses import Activation, CrossEntropyFlat, Loss, activation_of
from learnfleet.trainer.metrics import as_metrics
from learnfleet.trainer.optimizer import DEFAULT_LR, OPT_FUNCS, Adam, LayerOptimizer, Lr, OptFunc
from learnfleet.trainer.recorder import Recorder
from learnfleet.trainer.schedules import OneCycle
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.interpret import ClassificationInterpretation
    from learnfleet.trainer.spec import LearnerSpec


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


class Learner:
    """Trains, examines and uses a model.

    Attributes beside the arguments:
        opt: the optimiser; None until the first fit.
        recorder: of the last fit.
        frozen_to: layer groups [0, frozen_to) are frozen.
        global_step, lifetime_epoch: optimiser steps and epochs since the learner was made, over all fits. They feed
            the shuffling and every other random choice, so that one fit does not repeat the one before.
        world: the processes that train together.
    """

    def __init__(
        self,
        data: LearnerData,
        model: nn.Module,
        opt_func: OptFunc | str = Adam,
        loss_func: Loss | None = None,
        metrics: object = None,
        true_wd: bool = True,
        bn_wd: bool = True,
        wd: float | Sequence[float] = 1e-2,
        train_bn: bool = True,
        path: Path | str | None = None,
        model_dir: str = "models",
        callback_fns: Sequence[Callable[[Learner], Callback]] = (),
        callbacks: Sequence[Callback] = (),
        layer_groups: Sequence[LayerGroup] | None = None,
        add_time: bool = True,
        silent: bool = False,
        seed: int = 0,
    ) -> None:
        self.data, self.model = data, model.to(data.device)
        self.opt_func = OPT_FUNCS[opt_func] if isinstance(opt_func, str) else opt_func
        self.loss_func: Loss = loss_func or getattr(data, "loss_func", None) or CrossEntropyFlat()
        self.metrics = as_metrics(metrics)
        self.true_wd, self.bn_wd, self.wd, self.train_bn = true_wd, bn_wd, wd, train_bn
        self.path, self.model_dir = Path(path if path is not None else data.path), model_dir
        self.callback_fns, self.callbacks = list(callback_fns), list(callbacks)
        self.layer_groups = tuple(layer_groups) if layer_groups is not None else split_model(model)
        self.add_time, self.silent, self.seed = add_time, silent, seed
        self.world: World = current_world()
        self.opt: LayerOptimizer | None = None
        self.recorder = Recorder(add_time)
        self.frozen_to = self.global_step = self.lifetime_epoch = 0
        self.spec: LearnerSpec | None = None

    @property
    def device(self) -> torch.device:
        return self.data.device

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
        """Freeze layer groups [0, n); a negative n counts from the end. The optimiser starts anew, without moments."""
        count = len(self.layer_groups)
        if not -count <= n < count:
            raise LearnerError(
                "freeze_to", f"{n} is not possible with {count} layer groups; give -{count} to {count - 1}"
            )
        self.frozen_to = n % count
        for index, group in enumerate(self.layer_groups):
            group.set_trainable(index >= self.frozen_to, train_bn=self.train_bn)
        self.opt = None

    def hold_frozen_statistics(self) -> None:
        """Without `train_bn`, frozen BatchNorm layers are frozen whole: their statistics too (fastai's BnFreeze).

        A small data set would otherwise replace the statistics that the pretrained weights were made with.
        """
        if not self.train_bn:
            for group in self.layer_groups[: self.frozen_to]:
                group.hold_statistics()

    def create_opt(self) -> LayerOptimizer:
        """A new optimiser over what is trainable now."""
        self.opt = LayerOptimizer(self.layer_groups, self.opt_func, true_wd=self.true_wd, bn_wd=self.bn_wd)
        self.opt.set_wd(self.wd)
        return self.opt

    def require_optimizer(self) -> LayerOptimizer:
        assert self.opt is not None, "a fit has made it"
        return self.opt

    # --- training

    def fit(
        self,
        epochs: int,
        lr: Lr = DEFAULT_LR,
        wd: float | Sequence[float] | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        """Train for `epochs` with constant learning rates. Moments of an earlier fit go on."""
        fitting.run_fit(self, fitting.Fit(epochs, lr, wd, callbacks=callbacks))

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
        fitting.run_fit(self, fitting.Fit(cyc_len, max_lr, wd, shape, tot_epochs, start_epoch, callbacks=callbacks))

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
        state = TrainState(self, self.model, 0, 0, chosen, train=False)
        return validate(state, Events([*self.callbacks, *callbacks]), loader, chosen)

    # --- predictions

    def get_preds(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        activ: Activation | None = None,
        with_loss: bool = False,
        n_batch: int | None = None,
    ) -> list[Tensor]:
        """[predictions [N, C], targets [N]], and losses [N] if asked for: in the dataset's order, on the CPU.

        Train is shuffled, augmented and without its last partial batch; Fix is the same pictures whole and plain.

        Args:
            activ: replaces the activation that suits the loss (softmax for cross entropy).
            n_batch: run only so many batches.
        """
        found = predict_loader(self, self.data.dl(ds_type), with_loss=with_loss, n_batch=n_batch, activ=activ)
        losses = [found.losses] if found.losses is not None else []
        return [found.outputs, found.targets, *losses]

    def pred_batch(self, ds_type: DatasetType = DatasetType.Valid, batch: Tensor | None = None) -> Tensor:
        """Probabilities [N, C] for inputs given, or for the first batch of a loader."""
        x = batch if batch is not None else next(iter(self.data.dl(ds_type).epoch(0))).x
        return run_without_grad(self.model, x.to(self.device), activation_of(self.loss_func))

    def predict(self, item: object) -> tuple[Category, Tensor, Tensor]:
        """(class, its index as 0-d int64, probabilities [C]) of a picture: a path, bytes, or a tensor [C, H, W].

        Files and bytes get the validation transforms; a tensor is taken as it is.
        """
        x = item.unsqueeze(0) if isinstance(item, Tensor) else learner_files.single_batch(self, item)
        probabilities = self.pred_batch(batch=x)[0]
        index = int(probabilities.argmax())
        return Category(index, str(self.data.classes[index])), torch.tensor(index), probabilities

    def interpret(self, ds_type: DatasetType = DatasetType.Valid) -> ClassificationInterpretation:
        """What the model gets wrong. Every rank must call."""
        from learnfleet.trainer.interpret import ClassificationInterpretation

        return ClassificationInterpretation.from_learner(self, ds_type)

    # --- files

    def save(self, name: str, with_opt: bool = True) -> Path:
        """Write weights, optimiser and counters to `path/model_dir/name`, replacing what is there. Returns the folder.

        Every rank must call; rank 0 writes.
        """
        return learner_files.save(self, name, with_opt=with_opt)

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
        learner_files.load(self, name, strict=strict, with_opt=with_opt)
        self.model.to(device or self.device)
        return self

    def export(self, path: Path | str = "export") -> Path:
        """Write a self-describing folder for `load_learner`, below `self.path` unless absolute. Returns it."""
        return learner_files.export(self, self.path / path)

    def eval_transform_json(self) -> dict[str, Any] | None:
        """How a picture becomes the model's input in validation. None for data that are no pictures."""
        return export.eval_transform_json(self.data)
