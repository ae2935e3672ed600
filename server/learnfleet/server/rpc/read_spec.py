"""Learner specifications from protobuf, with everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from learnfleet.server.rpc.read_component import (
    Names,
    check_known,
    read_arguments,
    read_component,
    read_components,
    read_metrics,
)
from learnfleet.server.rpc.read_data import read_data
from learnfleet.server.rpc.source_places import SourcePlaces
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.spec import HeadSpec, LearnerSpec, OptimizerSpec, UnetSpec, WeightsSpec
from learnfleet.v1 import learner_pb2 as pb

PRECISIONS: dict[int, Literal["fp32", "fp16", "bf16"]] = {
    pb.PRECISION_UNSPECIFIED: "fp32",
    pb.PRECISION_FP32: "fp32",
    pb.PRECISION_FP16: "fp16",
    pb.PRECISION_BF16: "bf16",
}
_INITS = ("kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform", "orthogonal", "none")
_MAX_GROUPS = 1000
_MAX_BATCHES = 65536
_WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")
_MAX_WIDTH = 65536
_MAX_LAYERS = 20


def read_learner_spec(
    message: pb.LearnerSpec, field: str, found: Violations, names: Names, places: SourcePlaces
) -> LearnerSpec | None:
    """The specification, or None if `found` has got violations that leave none."""
    check_known(message.architecture, f"{field}.architecture", found, names.architectures, "architecture")
    data = read_data(message.data, f"{field}.data", found, places, names)
    weights = _read_weights(message.weights, f"{field}.weights", found, places)
    head = _read_head(message.head, f"{field}.head", found)
    metrics = read_metrics(message.metrics, f"{field}.metrics", found, names.metrics)
    loss = None
    if message.HasField("loss"):
        loss = read_component(message.loss, f"{field}.loss", found, names.losses, "loss")
    optimizer = _read_optimizer(message.optimizer, f"{field}.optimizer", found, names)
    callbacks = read_components(message.callbacks, f"{field}.callbacks", found, names.callbacks, "callback")
    unet = _read_unet(message.unet, f"{field}.unet", found)
    precision = PRECISIONS.get(message.precision)
    found.check(precision is not None, f"{field}.precision", f"{message.precision} is no Precision")
    found.length(f"{field}.split", len(message.split), _MAX_GROUPS)
    if message.HasField("clip_grad"):
        found.number(f"{field}.clip_grad", message.clip_grad, 0, 1e6, open_ends=True)
    found.number(f"{field}.accumulate", message.accumulate, 0, _MAX_BATCHES)
    if data is None or weights is None:
        return None
    return LearnerSpec(
        data=data,
        architecture=message.architecture,
        weights=weights,
        head=head,
        metrics=metrics,
        loss=loss,
        optimizer=optimizer,
        train_bn=message.train_bn if message.HasField("train_bn") else True,
        seed=message.seed,
        kind="unet" if message.HasField("unet") else "cnn",
        cut=message.cut if message.HasField("cut") else None,
        split=tuple(message.split) or None,
        unet=unet,
        callbacks=callbacks,
        precision=precision or "fp32",
        channels_last=message.channels_last,
        compiled=message.compiled,
        clip_grad=message.clip_grad if message.HasField("clip_grad") else None,
        accumulate=message.accumulate or 1,
    )


def _read_unet(message: pb.Unet, field: str, found: Violations) -> UnetSpec:
    bounds = tuple(message.y_range)
    fits = len(bounds) in (0, 2) and (not bounds or bounds[0] < bounds[1])
    found.check(fits, f"{field}.y_range", "must be empty, or a lower and an upper bound")
    return UnetSpec(
        blur_final=message.blur_final if message.HasField("blur_final") else True,
        norm_type=message.norm_type or None,
        blur=message.blur,
        self_attention=message.self_attention,
        y_range=bounds or None,
        last_cross=message.last_cross if message.HasField("last_cross") else True,
        bottle=message.bottle,
    )


def _read_weights(message: pb.Weights, field: str, found: Violations, places: SourcePlaces) -> WeightsSpec | None:
    source = message.WhichOneof("source")
    if source == "pretrained":
        return WeightsSpec("pretrained" if message.pretrained else "none")
    if source is None:
        return WeightsSpec()
    path = found.attempt(lambda: places.resolve(message.file, f"{field}.file"))
    if path is None:
        return None
    return WeightsSpec("file", str(path)) if _check_weights_file(path, f"{field}.file", found) else None


def _check_weights_file(path: Path, field: str, found: Violations) -> bool:
    suffixes = ", ".join(_WEIGHT_SUFFIXES)
    return found.check(path.suffix in _WEIGHT_SUFFIXES, field, f"'{path.name}' is not a {suffixes} file") and (
        found.check(path.is_file(), field, f"'{path}' is not a file")
    )


def _read_head(message: pb.Head, field: str, found: Violations) -> HeadSpec:
    if not found.length(f"{field}.lin_ftrs", len(message.lin_ftrs), _MAX_LAYERS):
        return HeadSpec()
    for index, width in enumerate(message.lin_ftrs):
        found.number(f"{field}.lin_ftrs[{index}]", width, 1, _MAX_WIDTH)
    for index, share in enumerate(message.ps[: _MAX_LAYERS + 1]):
        found.check(0 <= share < 1, f"{field}.ps[{index}]", f"is {share:g}; must be at least 0 and less than 1")
    if message.linear_only:
        found.check(not message.lin_ftrs, f"{field}.lin_ftrs", "must be empty where linear_only is set")
    hidden = len(message.lin_ftrs) or (0 if message.linear_only else 1)
    fits = len(message.ps) in (0, 1, hidden + 1)
    found.check(fits, f"{field}.ps", f"has {len(message.ps)} values; must have 1, or one a linear layer: {hidden + 1}")
    init = message.init or "kaiming_normal"
    found.check(init in _INITS, f"{field}.init", f"'{init[:40]}' must be one of {', '.join(_INITS)}")
    return HeadSpec(
        lin_ftrs=() if message.linear_only else tuple(message.lin_ftrs) or None,
        ps=tuple(message.ps) or (0.5,),
        concat_pool=message.concat_pool if message.HasField("concat_pool") else True,
        bn_final=message.bn_final,
        init=None if init == "none" else init,
    )


def _read_optimizer(message: pb.Optimizer, field: str, found: Violations, names: Names) -> OptimizerSpec:
    name = message.name or "adam"
    arguments = {}
    if check_known(name, f"{field}.name", found, names.optimizers, "optimiser"):
        arguments = read_arguments(message.arguments, f"{field}.arguments", found, names.optimizers[name])
    wd = message.wd if message.HasField("wd") else 1e-2
    return OptimizerSpec(
        name=name,
        wd=read_wd(wd, message.wd_per_group, field, found),
        true_wd=message.true_wd if message.HasField("true_wd") else True,
        bn_wd=message.bn_wd if message.HasField("bn_wd") else True,
        arguments=arguments,
    )


def read_wd(wd: float, per_group: Sequence[float], field: str, found: Violations) -> float | tuple[float, ...]:
    """One weight decay, or one a layer group where these are given."""
    found.number(f"{field}.wd", wd, 0, 10)
    if found.length(f"{field}.wd_per_group", len(per_group), _MAX_GROUPS):
        for index, value in enumerate(per_group):
            found.number(f"{field}.wd_per_group[{index}]", value, 0, 10)
    return tuple(per_group) or wd
