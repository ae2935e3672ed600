"""A Learner as an export: which of its parts have names, and which have not."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Iterator, Sized
from pathlib import Path
from typing import TYPE_CHECKING

from learnfleet.trainer import checkpoint, learner_state
from learnfleet.trainer import export as exports
from learnfleet.trainer.data_spec import DataSpec
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner_files import SAVED_BY_HAND, make_room
from learnfleet.trainer.losses import available_losses
from learnfleet.trainer.metrics import describe_metric
from learnfleet.trainer.model_card import DataFacts, Facts
from learnfleet.trainer.opt_funcs import OPT_FUNCS
from learnfleet.trainer.spec import Component, LearnerSpec, OptimizerSpec
from learnfleet.trainer.spec_of_learner import describe_loss

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_log = logging.getLogger(__name__)


def export(learner: Learner, out: Path, *, onnx: bool = False) -> Path:
    """Write an export at `out`. Every rank must call. Raises LearnerError listing the parts without a name."""
    spec, transform = exported_spec(learner), learner.eval_transform_json()
    assert transform is not None, "own_parts has looked"
    facts = Facts(DataFacts(train_items=_items(learner, "train_ds"), valid_items=_items(learner, "valid_ds")))

    def write() -> None:
        from learnfleet.trainer import export_parts  # it builds learners

        make_room(out, "path")
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as scratch:
            snapshot = learner_state.take_snapshot(learner, with_opt=False)
            source = Path(scratch) / "checkpoint"
            checkpoint.write(snapshot, source, job_id=SAVED_BY_HAND, attempt=0)
            metrics = learner_state.last_metrics(learner)
            exports.export_from_checkpoint(source, out, spec, learner.data.classes, transform, metrics, facts)
        export_parts.complete(out, onnx=onnx)

    learner.world.on_main(write)
    return out


def _items(learner: Learner, part: str) -> int | None:
    dataset = getattr(learner.data, part, None)
    return len(dataset) if isinstance(dataset, Sized) else None


def exported_spec(learner: Learner) -> LearnerSpec:
    """What the learner can be made from again, as it is now. Raises LearnerError listing what has no name."""
    own = list(own_parts(learner))
    if own or learner.spec is None:
        raise LearnerError(
            "export",
            "an export is rebuilt from names, and this learner has parts of its own. "
            + " ".join(f"({number}) {part}." for number, part in enumerate(own, 1))
            + " `save` keeps the weights of any learner.",
        )
    data = getattr(learner.data, "spec", None)
    assert isinstance(data, DataSpec), "own_parts has looked"
    return dataclasses.replace(
        learner.spec,
        data=data,
        loss=describe_loss(learner.loss_func),
        metrics=tuple(_metrics(learner)),
        optimizer=_optimizer(learner),
        train_bn=learner.train_bn,
        seed=learner.seed,
        precision=learner.precision.name,
        channels_last=learner.channels_last,
    )


def own_parts(learner: Learner) -> Iterator[str]:
    """The parts of a learner that decide what it predicts and have no name, each with what to do about it."""
    yield from learner.own_parts
    if describe_loss(learner.loss_func) is None:
        name = getattr(learner.loss_func, "__name__", type(learner.loss_func).__name__)
        known = ", ".join(available_losses())
        yield (
            f"loss_func: {name} is none of {known}; register it in the entry-point group learnfleet.losses, or set"
            " learn.loss_func to one of these before the export"
        )
    if learner.eval_transform_json() is None or not isinstance(getattr(learner.data, "spec", None), DataSpec):
        yield (
            f"data: {type(learner.data).__name__} does not say how a picture becomes the model's input; make it an"
            " ImageDataBunch"
        )
    if functions := _batch_functions(learner):
        yield f"data.add_tfm: {', '.join(functions)} is a function on batches; use transforms with names instead"


def _batch_functions(learner: Learner) -> list[str]:
    """The names of what `add_tfm` put into the loaders of the data."""
    functions = getattr(getattr(learner.data, "fix_dl", None), "batch_fns", [])
    return [getattr(function, "__name__", type(function).__name__) for function in functions]


def _metrics(learner: Learner) -> Iterator[Component]:
    """Those with a name. The others do not change what is predicted, and are left out."""
    for metric in learner.metrics:
        component = describe_metric(metric)
        if component is not None:
            yield component
        else:
            _log.warning(
                "the metric %s is left out of the export: register it in the entry-point group learnfleet.metrics",
                metric.name,
            )


def _optimizer(learner: Learner) -> OptimizerSpec:
    """The optimiser by its name. One of the user's own does not change what is predicted, and is left out."""
    name, arguments, wd = learner.opt_func.name, learner.opt_func.arguments, learner.wd
    if arguments is None:
        _log.warning("opt_func %s is left out of the export, as it is none of %s", name, ", ".join(OPT_FUNCS))
        name, arguments = OptimizerSpec().name, {}
    decay = float(wd) if isinstance(wd, int | float) else tuple(float(value) for value in wd)
    return OptimizerSpec(name, decay, learner.true_wd, learner.bn_wd, dict(arguments))
