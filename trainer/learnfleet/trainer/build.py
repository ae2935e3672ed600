"""From a LearnerSpec to a Learner, alike on every rank."""

from __future__ import annotations

import torch

from learnfleet.trainer.batch import Shard
from learnfleet.trainer.bodies import Body, build_body
from learnfleet.trainer.callback_registry import build_callback
from learnfleet.trainer.cnn import add_head, family_split
from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.gradients import AccumulateScheduler
from learnfleet.trainer.head import apply_init, init_named
from learnfleet.trainer.layer_groups import boundaries_named
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.losses import build_loss
from learnfleet.trainer.metrics import Metric, build_metric
from learnfleet.trainer.opt_funcs import build_opt_func
from learnfleet.trainer.spec import HeadSpec, LearnerSpec, UnetSpec
from learnfleet.trainer.unet import DynamicUnet


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
        torch.set_num_threads(threads)
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


def body_of(spec: LearnerSpec) -> Body:
    """The body that a spec asks for, with its weights."""
    return build_body(spec.architecture, spec.weights, spec.cut)


def build_model(spec: LearnerSpec, n_classes: int, body: Body | None = None) -> torch.nn.Module:
    """The model alone: body and head, the head with its own initialisation, or a U-Net."""
    _check_kind(spec)
    body = body or body_of(spec)
    if spec.kind == "unet":
        return _unet(spec.unet, n_classes, body)
    head = spec.head
    model = add_head(body, n_classes, head.lin_ftrs, head.ps, None, head.bn_final, head.concat_pool)
    apply_init(model[1], init_named(head.init))
    return model


def _check_kind(spec: LearnerSpec) -> None:
    if spec.kind == "unet" and spec.head != HeadSpec():
        raise LearnerError("head", "a U-Net has no head of that kind: leave it out, or choose kind `cnn`")
    if spec.kind == "cnn" and spec.unet != UnetSpec():
        raise LearnerError("unet", "these are options of kind `unet`: leave them out, or choose it")


def _unet(spec: UnetSpec, n_classes: int, body: Body) -> DynamicUnet:
    return DynamicUnet(
        body.module,
        n_classes,
        spec.blur,
        spec.blur_final,
        spec.self_attention,
        spec.y_range,
        spec.last_cross,
        spec.bottle,
        spec.norm_type,
    )


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
