"""Jobs that leave a learner as it is: validation, predictions of a data set, pictures. Every rank calls the same.

All raise Interrupted on all ranks when they are asked to stop while they run over data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from learnfleet.trainer.metrics import build_metric
from learnfleet.trainer.recorder import distinct
from learnfleet.trainer.run_context import RunContext, report_picture
from learnfleet.trainer.run_data import DataReporter
from learnfleet.trainer.tta import predict_tta

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
) -> dict[str, Any]:
    """Predict a data set in its order. Rank 0 writes `predictions.safetensors` to `output_dir`: `predictions` [N, ...],
    `targets` [N, ...], `indices` [N], and `losses` [N] under `with_loss`.

    Returns {"metrics": {}, "predictions": N, "skipped_images": count}.
    """
    ds_type = dataset_type(dataset)
    ds_type = DatasetType.Fix if ds_type is DatasetType.Train else ds_type

    def predict() -> Predictions:
        if tta_beta is None:
            return predict_loader(learner, learner.data.dl(ds_type), with_loss=with_loss, n_batch=n_batch)
        return predict_tta(learner, ds_type, beta=tta_beta, scale=tta_scale, with_loss=with_loss)

    found, skipped = _reported(learner, context, predict)
    if learner.world.is_main:
        _write(found, output_dir)
    learner.world.any(False)  # nobody says that it is there before it is
    return {"metrics": {}, "predictions": len(found.indices), "skipped_images": skipped}


def _write(found: Predictions, folder: Path) -> None:
    tensors: dict[str, Tensor] = {"predictions": found.outputs, "targets": found.targets, "indices": found.indices}
    if found.losses is not None:
        tensors["losses"] = found.losses
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
