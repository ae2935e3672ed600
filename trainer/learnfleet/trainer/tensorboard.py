"""What happens in a fit, for TensorBoard (fastai v1 `LearnerTensorboardWriter`)."""

from __future__ import annotations

import logging
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.state import TrainState
from learnfleet.trainer.threads import helping_threads

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_log = logging.getLogger(__name__)
_STATS = ("avg_norm", "median_norm", "max_norm", "min_norm", "num_zeros")
_GRADIENT_STATS = ("avg_gradient", "median_gradient", "max_gradient", "min_gradient")


class LearnerTensorboardWriter(LearnerCallback):
    """Writes losses, metrics, weights and gradients below base_dir / name, on rank 0.

    Args:
        base_dir: None: the folder `tensorboard` in the learner's path.
        loss_iters: steps between two points of the training loss (`metrics/train_loss`, not smoothed).
        hist_iters: between two histograms of the weights (`model/weights/<name>`).
        stats_iters: between two summaries of the gradients (`model_stats/gradients/<what>`).
        graph: also write the model's graph, traced with the first batch. A model that cannot be traced has none, and a
            warning says why.
    """

    order: ClassVar[int] = 5

    def __init__(
        self,
        learn: Learner,
        base_dir: Path | str | None,
        name: str,
        loss_iters: int = 25,
        hist_iters: int = 500,
        stats_iters: int = 100,
        graph: bool = True,
    ) -> None:
        super().__init__(learn)
        if min(loss_iters, hist_iters, stats_iters) < 1:
            raise LearnerError("tensorboard", "loss_iters, hist_iters and stats_iters must each be at least 1")
        self.base_dir, self.name = base_dir, name
        self.loss_iters, self.hist_iters, self.stats_iters, self.graph = loss_iters, hist_iters, stats_iters, graph
        self._writer: Any = None
        self._pool: ThreadPoolExecutor | None = None
        self._pending: list[Future[None]] = []

    @property
    def path(self) -> Path:
        """The folder that is written to. Below the learner's path it goes with the learner, whose path may change."""
        base = self.learn.path / "tensorboard" if self.base_dir is None else Path(self.base_dir)
        return base / self.name

    def on_train_begin(self, state: TrainState) -> None:
        if not state.learner.world.is_main:
            return
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(self.path))
        # Histograms take milliseconds: they are made beside the training, of copies.
        self._pool = helping_threads(1, "tensorboard")

    def on_batch_begin(self, state: TrainState) -> None:
        if self._writer is not None and self.graph and state.train and state.iteration == 0:
            self._write_graph(state)

    def _write_graph(self, state: TrainState) -> None:
        model = state.learner.model
        was_training = model.training
        try:
            with warnings.catch_warnings():  # of the tracer, which TensorBoard's format of graphs needs
                warnings.simplefilter("ignore")
                self._writer.add_graph(model.eval(), state.last_input)
        except Exception as error:  # whatever a model does that cannot be traced
            _log.warning("the model's graph is left out of TensorBoard: %s", error)
        finally:
            model.train(was_training)
            state.learner.hold_frozen_statistics()

    def on_backward_end(self, state: TrainState) -> None:
        if self._writer is not None and state.iteration % self.stats_iters == 0:
            gradients = [p.grad.detach() for p in state.learner.model.parameters() if p.grad is not None]
            for name, value in gradient_stats(gradients).items():
                self._writer.add_scalar(f"model_stats/gradients/{name}", value, state.iteration)

    def on_batch_end(self, state: TrainState) -> None:
        if self._writer is None or not state.train or state.iteration == 0:
            return
        if state.iteration % self.loss_iters == 0:
            self._writer.add_scalar("metrics/train_loss", state.last_loss, state.iteration)
        if state.iteration % self.hist_iters == 0:
            self._write_weights(state.learner.model, state.iteration)

    def _write_weights(self, model: nn.Module, step: int) -> None:
        copies = [(name, parameter.detach().cpu().clone()) for name, parameter in model.named_parameters()]
        assert self._pool is not None
        self._pending.append(self._pool.submit(self._write_histograms, copies, step))

    def _write_histograms(self, copies: list[tuple[str, Tensor]], step: int) -> None:
        for name, values in copies:
            self._writer.add_histogram(f"model/weights/{name}", values.numpy(), step)

    def on_epoch_end(self, state: TrainState) -> None:
        if self._writer is None:
            return
        names = ["valid_loss", *state.learner.recorder.metric_names]
        for name, value in zip(names, state.last_metrics, strict=False):
            if value is not None:
                self._writer.add_scalar(f"metrics/{name}", value, state.iteration)
        self._write_embeddings(state.learner.model, state.iteration)

    def _write_embeddings(self, model: nn.Module, step: int) -> None:
        for name, module in model.named_children():
            if isinstance(module, nn.Embedding):
                self._writer.add_embedding(module.weight.detach().cpu(), tag=name, global_step=step)

    def on_train_end(self, state: TrainState) -> None:
        if self._writer is None:
            return
        assert self._pool is not None
        self._pool.shutdown(wait=True)
        for pending in self._pending:
            pending.result()
        self._writer.close()
        self._writer, self._pending = None, []


def gradient_stats(gradients: list[Tensor]) -> dict[str, float]:
    """Of the norms of all gradients, and of all their values."""
    if not gradients:
        return {}
    norms = torch.stack([gradient.norm() for gradient in gradients]).float().cpu()
    values = torch.cat([gradient.flatten() for gradient in gradients]).float().cpu()
    zeros = float((values == 0).sum())
    of_norms = [norms.mean(), norms.median(), norms.max(), norms.min()]
    of_values = [values.mean(), values.median(), values.max(), values.min()]
    found = dict(zip(_STATS, [*map(float, of_norms), zeros], strict=True))
    return {**found, **dict(zip(_GRADIENT_STATS, map(float, of_values), strict=True))}
