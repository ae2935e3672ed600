"""The callbacks that a spec may ask for by name. None of them writes outside the learner's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.csv_logger import CSVLogger
from learnfleet.trainer.ema import EMACallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.gradients import BnFreeze, GradientClipping
from learnfleet.trainer.hooks import ActivationStats
from learnfleet.trainer.mixup import CutMixCallback, MixUpCallback
from learnfleet.trainer.peak_memory import PeakMemMetric
from learnfleet.trainer.rnn_trainer import RNNTrainer
from learnfleet.trainer.sampling import OverSamplingCallback, UnderSamplingCallback
from learnfleet.trainer.tensorboard import LearnerTensorboardWriter
from learnfleet.trainer.track_epoch import TrackEpochCallback
from learnfleet.trainer.trackers import (
    EarlyStoppingCallback,
    Mode,
    ReduceLROnPlateauCallback,
    SaveModelCallback,
    StopAfterNBatches,
    TerminateOnNaNCallback,
)

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


def _plain(field: str, name: str) -> str:
    if not name or Path(name).name != name or name.startswith("."):
        raise LearnerError(
            field, f"{name!r} is not a plain name: it must not be empty, hold a folder or begin with a dot"
        )
    return name


def csv_logger(learn: Learner, filename: str = "history", append: bool = False) -> CSVLogger:
    """CSVLogger in the learner's folder."""
    return CSVLogger(learn, _plain("callbacks.csv_logger.filename", filename), append)


def save_model(
    learn: Learner,
    monitor: str = "valid_loss",
    mode: Mode = "auto",
    every: Literal["improvement", "epoch"] = "improvement",
    name: str = "bestmodel",
    with_opt: bool = True,
) -> SaveModelCallback:
    """SaveModelCallback in the learner's folder."""
    return SaveModelCallback(learn, monitor, mode, every, _plain("callbacks.save_model.name", name), with_opt)


def tensorboard(
    learn: Learner,
    name: str = "run",
    loss_iters: int = 25,
    hist_iters: int = 500,
    stats_iters: int = 100,
    graph: bool = False,
) -> LearnerTensorboardWriter:
    """LearnerTensorboardWriter below the learner's folder `tensorboard`."""
    plain = _plain("callbacks.tensorboard.name", name)
    return LearnerTensorboardWriter(learn, None, plain, loss_iters, hist_iters, stats_iters, graph)


def track_epoch(learn: Learner, name: str = "epoch") -> TrackEpochCallback:
    """TrackEpochCallback in the learner's folder."""
    return TrackEpochCallback(learn, _plain("callbacks.track_epoch.name", name))


NAMED: dict[str, Callable[..., Callback]] = {
    "activation_stats": ActivationStats,
    "bn_freeze": BnFreeze,
    "csv_logger": csv_logger,
    "cutmix": CutMixCallback,
    "early_stopping": EarlyStoppingCallback,
    "ema": EMACallback,
    "gradient_clipping": GradientClipping,
    "mixup": MixUpCallback,
    "over_sampling": OverSamplingCallback,
    "peak_mem": PeakMemMetric,
    "reduce_lr_on_plateau": ReduceLROnPlateauCallback,
    "rnn_trainer": RNNTrainer,
    "save_model": save_model,
    "stop_after_n_batches": StopAfterNBatches,
    "tensorboard": tensorboard,
    "terminate_on_nan": TerminateOnNaNCallback,
    "track_epoch": track_epoch,
    "under_sampling": UnderSamplingCallback,
}
