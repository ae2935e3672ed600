"""From a LearnerSpec to a Learner, alike on every rank."""

from __future__ import annotations

import torch

from learnfleet.trainer.batch import Shard
from learnfleet.trainer.bodies import Body
from learnfleet.trainer.callback_registry import build_callback
from learnfleet.trainer.cnn import family_split
from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.gradients import AccumulateScheduler
from learnfleet.trainer.layer_groups import boundaries_named
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.losses import build_loss
from learnfleet.trainer.metrics import Metric, build_metric
from learnfleet.trainer.model_build import body_of, build_model
from learnfleet.trainer.opt_funcs import build_opt_func
from learnfleet.trainer.spec import LearnerSpec
from learnfleet.trainer.threads import use_threads


def build_learner(
    spec: LearnerSpec, *, device: str = "cpu", rank: int = 0, world_size: int = 1, threads: int | None = None
) -> Learner:
    """A learner ready for `run_train`, in its starting state. It joins the default process group if there is one.

    Args:
        rank, world_size: must be those of the process group.
        threads: CPU threads of torch in this process, part of what exact resume needs to be the same.

    Raises LearnerError naming the field, or what the data raises.
    """
    if threads is not None:
        use_threads(threads)
    build_opt_func(spec.optimizer.name, spec.optimizer.arguments)  # what is wrong is told before data are read
    metrics = [build_metric(item.name, item.arguments) for item in spec.metrics]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)  # all ranks start from the same weights
        body = body_of(spec)
        data = ImageDataBunch.from_spec(
            spec.data, seed=spec.seed, device=torch.device(device), stats=(body.stats.mean, body.stats.std)
        )
        data.shard(Shard(rank, world_size))
        learner = assemble(spec, body, data, metrics)
    _equip(learner, spec)
    here = learner.world
    if (here.rank, here.size) != (rank, world_size):
        raise LearnerError(
            "world_size",
            f"rank {rank} of {world_size} was asked for, but the process group says {here.rank} of {here.size}",
        )
    return learner


def assemble(spec: LearnerSpec, body: Body, data: ImageDataBunch, metrics: list[Metric]) -> Learner:
    """A learner of parts that are there. It knows its spec."""
    model = build_model(spec, data.c, body)
    optimizer, loss = spec.optimizer, spec.loss_component()
    learner = Learner(
        data,
        model,
        build_opt_func(optimizer.name, optimizer.arguments),
        build_loss(loss.name, loss.arguments),
        metrics,
        optimizer.true_wd,
        optimizer.bn_wd,
        optimizer.wd,
        spec.train_bn,
        silent=True,
        seed=spec.seed,
    )
    _split(learner, spec, body)
    if body.has_weights:
        learner.freeze()
    if spec.precision != "fp32":
        learner.to_fp16() if spec.precision == "fp16" else learner.to_bf16()
    if spec.channels_last:
        learner.to_channels_last()
    learner.spec, learner.own_parts = spec, ()
    return learner


def _equip(learner: Learner, spec: LearnerSpec) -> None:
    """What takes part in training alone."""
    learner.to_compiled(spec.compiled)
    if spec.clip_grad is not None:
        learner.clip_grad(spec.clip_grad)
    if spec.accumulate > 1:
        learner.add_callbacks(AccumulateScheduler(learner, spec.accumulate))
    learner.add_callbacks(*(build_callback(item.name, item.arguments, learner) for item in spec.callbacks))


def _split(learner: Learner, spec: LearnerSpec, body: Body) -> None:
    if spec.split is None:
        learner.split(family_split(body, learner.model))
        return
    try:
        learner.split(boundaries_named(spec.split))
    except ValueError as error:
        raise LearnerError("split", str(error)) from error
