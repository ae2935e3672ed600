"""Jobs that leave a learner as it is: validation, predictions of a data set, pictures. Every rank calls the same.

All raise Interrupted on all ranks when they are asked to stop while they run over data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure
from safetensors.torch import save
from torch import Tensor

from learnfleet.trainer import manifest, plots
from learnfleet.trainer.data import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import Predictions, predict_loader
from learnfleet.trainer.interruption import heeding
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.losses import chosen_activation
from learnfleet.trainer.metrics import build_metric
from learnfleet.trainer.recorder import distinct
from learnfleet.trainer.run_context import RunContext, report_picture
from learnfleet.trainer.run_data import DataReporter
from learnfleet.trainer.summary import summary
from learnfleet.trainer.tta import plain_and_mean, predict_augmented, predict_tta

PREDICTIONS_FILE = "predictions.safetensors"

_T = TypeVar("_T")


def dataset_type(name: str) -> DatasetType:
    """`DatasetType.Valid` of "valid". Raises LearnerError for a name that is none."""
    for member in DatasetType:
        if member.name.lower() == name:
            return member
    raise LearnerError("dataset", f"{name!r} is not one of {', '.join(member.name.lower() for member in DatasetType)}")


def run_validate(
    learner: Learner, context: RunContext, *, dataset: str, metrics: Sequence[dict[str, Any]] | None
) -> dict[str, Any]:
    """Loss and metrics over a data set: {"metrics": {name: value}, "skipped_images": count}.

    Args:
        metrics: {"name": ..., "arguments": ...} of each. None: the learner's own.
    """
    chosen = learner.metrics if metrics is None else [build_metric(m["name"], m.get("arguments")) for m in metrics]
    loader = learner.data.dl(dataset_type(dataset))
    values, skipped = _reported(learner, context, lambda: learner.validate(loader, metrics=chosen))
    if not values:
        raise LearnerError("dataset", f"the {dataset} data has no item that can be read")
    names = [f"{dataset}_loss", *distinct([metric.name for metric in chosen])]
    return {"metrics": dict(zip(names, values, strict=True)), "skipped_images": skipped}


def run_get_preds(
    learner: Learner,
    context: RunContext,
    *,
    dataset: str,
    with_loss: bool,
    n_batch: int | None,
    tta_beta: float | None,
    tta_scale: float,
    output_dir: Path,
    tta_passes: int = 0,
    tta_use_max: bool = False,
    tta_apart: bool = False,
    activ: str | None = None,
) -> dict[str, Any]:
    """Predict a data set in its order. Rank 0 writes `predictions.safetensors` to `output_dir`: `predictions` [N, ...],
    `targets` [N, ...], `indices` [N], `losses` [N] under `with_loss`, and `variants` [N, ...] under `tta_apart`.

    Returns {"metrics": {}, "predictions": N, "skipped_images": count}.

    Args:
        tta_beta: None: no test-time augmentation, unless it is `tta_apart`.
        tta_passes: so many passes with the whole training augmentation instead of the eight variants.
        activ: see `chosen_activation`.
    """
    ds_type = dataset_type(dataset)
    ds_type = DatasetType.Fix if ds_type is DatasetType.Train else ds_type
    activation = chosen_activation(activ)

    def predict() -> tuple[Predictions, Tensor | None]:
        if tta_apart:
            return plain_and_mean(learner, ds_type, tta_scale, activation)
        if tta_beta is None:
            loader = learner.data.dl(ds_type)
            return predict_loader(learner, loader, with_loss=with_loss, n_batch=n_batch, activ=activation), None
        if tta_passes:
            several: dict[str, Any] = {"n": tta_passes, "beta": tta_beta, "use_max": tta_use_max}
            return predict_augmented(learner, ds_type, **several, activ=activation), None
        weighed: dict[str, Any] = {"beta": tta_beta, "scale": tta_scale, "with_loss": with_loss}
        return predict_tta(learner, ds_type, **weighed, activ=activation), None

    (found, variants), skipped = _reported(learner, context, predict)
    if learner.world.is_main:
        _write(found, variants, output_dir)
    learner.world.any(False)  # nobody says that it is there before it is
    return {"metrics": {}, "predictions": len(found.indices), "skipped_images": skipped}


def _write(found: Predictions, variants: Tensor | None, folder: Path) -> None:
    tensors: dict[str, Tensor] = {"predictions": found.outputs, "targets": found.targets, "indices": found.indices}
    if found.losses is not None:
        tensors["losses"] = found.losses
    if variants is not None:
        tensors["variants"] = variants
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{PREDICTIONS_FILE}"
    manifest.write_synced(temporary, save({name: value.contiguous() for name, value in tensors.items()}))
    temporary.replace(folder / PREDICTIONS_FILE)


def run_show(learner: Learner, context: RunContext, *, what: str, dataset: str, rows: int) -> dict[str, Any]:
    """Draw `rows` x `rows` items of a data set, as a picture of the job.

    Args:
        what: "batch" shows the items as the model sees them, "results" with their predictions.
    """
    ds_type = dataset_type(dataset)

    def draw() -> Figure:
        if what == "results":
            return _drawn(learner, "show_results", rows, ds_type)
        return _drawn(learner.data, "show_batch", rows, ds_type)

    figure, skipped = _reported(learner, context, draw)
    if learner.world.is_main:
        assert context.picture_dir is not None, "a job that draws has a place for it"
        report_picture(context, what, plots.save_png(figure, context.picture_dir / f"{what}.png"))
    return {"metrics": {}, "skipped_images": skipped}


def run_describe(learner: Learner, context: RunContext, *, freeze_to: int | None = None) -> dict[str, Any]:
    """Say what a learner is made of: {"description": {"network": a table, "channel_means": [...], "channel_stds":
    [...]}}; the channels of data that is no pictures are not there.

    Args:
        freeze_to: tell what would be trained after such a freeze. The learner, and its optimiser, stay as they are.
    """

    def describe() -> dict[str, Any]:
        with _as_if_frozen(learner, freeze_to):
            return _described(learner) if learner.world.is_main else {}

    described, skipped = _reported(learner, context, describe)
    return {"metrics": {}, "skipped_images": skipped, "description": described}


def _described(learner: Learner) -> dict[str, Any]:
    measure: Callable[[], tuple[Sequence[float], Sequence[float]]] | None = getattr(learner.data, "batch_stats", None)
    means, stds = measure() if measure is not None else ((), ())
    return {"network": summary(learner), "channel_means": list(means), "channel_stds": list(stds)}


@contextmanager
def _as_if_frozen(learner: Learner, freeze_to: int | None) -> Iterator[None]:
    trained = [parameter.requires_grad for parameter in learner.model.parameters()]
    try:
        if freeze_to is not None:
            first = learner.first_trained_group(freeze_to)
            for index, group in enumerate(learner.layer_groups):
                group.set_trainable(index >= first, train_bn=learner.train_bn)
        yield
    finally:
        for parameter, was_trained in zip(learner.model.parameters(), trained, strict=True):
            parameter.requires_grad_(was_trained)


def _drawn(source: object, method: str, rows: int, ds_type: DatasetType) -> Figure:
    draw: Callable[..., Figure] | None = getattr(source, method, None)
    if draw is None:
        raise LearnerError("what", f"{method} is not possible: this data is no data bunch of pictures")
    return draw(rows=rows, ds_type=ds_type)


def _reported(learner: Learner, context: RunContext, act: Callable[[], _T]) -> tuple[_T, int]:
    """What `act` gives, and how many pictures were skipped meanwhile over all ranks; each is told of in an event.

    Raises Interrupted.
    """
    data = DataReporter(learner.data, context.emit, is_main=learner.world.is_main)
    data.report()
    try:
        with heeding(learner, context.stop_requested):
            found = act()
    finally:
        data.close()
    skipped = learner.world.sum(data.skipped_tensor())
    return found, int(skipped.item())
