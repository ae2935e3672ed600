"""What a remote learner is made of, as values that read like fastai; and their protobuf form."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from learnfleet.client.components import Component as Component
from learnfleet.client.components import component_to_proto as component_to_proto
from learnfleet.client.data_bunch import DataBunch
from learnfleet.client.data_specs import ImageDataBunch as ImageDataBunch
from learnfleet.client.data_specs import Transforms as Transforms
from learnfleet.client.data_specs import get_transforms as get_transforms
from learnfleet.client.dataset_types import DatasetType as DatasetType
from learnfleet.client.stage_specs import Fit as Fit
from learnfleet.client.stage_specs import FitFlatCos as FitFlatCos
from learnfleet.client.stage_specs import FitOneCycle as FitOneCycle
from learnfleet.client.stage_specs import FitSgdr as FitSgdr
from learnfleet.client.stage_specs import FreezeTo as FreezeTo
from learnfleet.client.stage_specs import LrFind as LrFind
from learnfleet.client.stage_specs import Stage as Stage
from learnfleet.client.stage_specs import Wd, put_wd
from learnfleet.client.stage_specs import lr_to_proto as lr_to_proto
from learnfleet.v1 import learner_pb2

Metric = Component

_PRECISIONS = {
    "fp32": learner_pb2.PRECISION_FP32,
    "fp16": learner_pb2.PRECISION_FP16,
    "bf16": learner_pb2.PRECISION_BF16,
}


class NormType(StrEnum):
    """How convolutions of a U-Net's decoder are normalised: by a layer after them, or in their weights."""

    Batch = "batch"
    BatchZero = "batch_zero"  # starts at zero, so that a residual block starts as the identity
    Weight = "weight"
    Spectral = "spectral"
    Group = "group"
    Instance = "instance"
    SpectralGN = "spectral_gn"  # spectral in the weights, groups after


@dataclass(frozen=True)
class UnetOptions:
    """`unet_learner`'s own arguments (fastai v1)."""

    blur_final: bool = True
    norm_type: str = ""
    blur: bool = False
    self_attention: bool = False
    y_range: tuple[float, float] | None = None
    last_cross: bool = True
    bottle: bool = False

    def to_proto(self) -> learner_pb2.Unet:
        return learner_pb2.Unet(
            blur_final=self.blur_final,
            norm_type=self.norm_type,
            blur=self.blur,
            self_attention=self.self_attention,
            y_range=self.y_range or (),
            last_cross=self.last_cross,
            bottle=self.bottle,
        )


@dataclass(frozen=True)
class LearnerSpec:
    """What `Client.cnn_learner` and `Client.unet_learner` describe."""

    data: DataBunch
    architecture: str
    metrics: tuple[Component, ...] = ()
    pretrained: bool | str | Path = False  # a string or path: a weights file on the server
    lin_ftrs: tuple[int, ...] | None = None
    ps: float | tuple[float, ...] = 0.5
    concat_pool: bool = True
    bn_final: bool = False
    init: str = "kaiming_normal"
    opt_func: str = "adam"
    opt_arguments: dict[str, Any] = field(default_factory=dict)
    wd: Wd = 1e-2
    true_wd: bool = True
    bn_wd: bool = True
    train_bn: bool = True
    seed: int = 0
    loss_func: Component | None = None  # None: what suits the labels
    callbacks: tuple[Component, ...] = ()
    unet: UnetOptions | None = None
    cut: int | None = None
    split_on: tuple[str, ...] = ()  # names of modules
    precision: str = "fp32"  # or "fp16", "bf16"
    channels_last: bool = False
    compiled: bool = False
    clip_grad: float | None = None
    accumulate: int = 1

    def to_proto(self) -> learner_pb2.LearnerSpec:
        if self.precision not in _PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}; must be one of {', '.join(_PRECISIONS)}")
        message = learner_pb2.LearnerSpec(
            data=self.data.to_proto(),
            architecture=self.architecture,
            weights=_weights(self.pretrained),
            head=learner_pb2.Head(
                lin_ftrs=self.lin_ftrs or (),
                ps=(self.ps,) if isinstance(self.ps, int | float) else self.ps,
                concat_pool=self.concat_pool,
                bn_final=self.bn_final,
                linear_only=self.lin_ftrs == (),
                init=self.init,
            ),
            metrics=[component_to_proto(metric) for metric in self.metrics],
            loss=None if self.loss_func is None else component_to_proto(self.loss_func),
            optimizer=learner_pb2.Optimizer(name=self.opt_func, true_wd=self.true_wd, bn_wd=self.bn_wd),
            train_bn=self.train_bn,
            seed=self.seed,
            callbacks=[component_to_proto(callback) for callback in self.callbacks],
            unet=self.unet.to_proto() if self.unet else None,
            cut=self.cut,
            split=self.split_on,
            precision=_PRECISIONS[self.precision],
            channels_last=self.channels_last,
            compiled=self.compiled,
            clip_grad=self.clip_grad,
            accumulate=self.accumulate,
        )
        if self.opt_arguments:
            message.optimizer.arguments.update(self.opt_arguments)
        put_wd(message.optimizer, self.wd)
        return message


def _weights(pretrained: bool | str | Path) -> learner_pb2.Weights:
    if isinstance(pretrained, bool):
        return learner_pb2.Weights(pretrained=True) if pretrained else learner_pb2.Weights()
    return learner_pb2.Weights(file=str(pretrained))
