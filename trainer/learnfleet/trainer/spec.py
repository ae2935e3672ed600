"""What a learner is and what is done with it, as values: plain dataclasses that import no torch.

The control server stores these as JSON, workers build learners from them, and an export carries one,
so every field is JSON-able and every default is the fastai v1 default unless the comment says otherwise.
`to_json` / `from_json` round-trip exactly; `from_json` refuses unknown fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from learnfleet.trainer.data_spec import BadImagePolicy as BadImagePolicy
from learnfleet.trainer.data_spec import DataSpec as DataSpec
from learnfleet.trainer.data_spec import LabelKind as LabelKind
from learnfleet.trainer.data_spec import ListedItem as ListedItem
from learnfleet.trainer.data_spec import MaskSpec as MaskSpec
from learnfleet.trainer.data_spec import Normalization as Normalization
from learnfleet.trainer.data_spec import ResizeMethod as ResizeMethod
from learnfleet.trainer.data_spec import TableSpec as TableSpec
from learnfleet.trainer.data_spec import TransformSpec as TransformSpec
from learnfleet.trainer.spec_base import Component as Component
from learnfleet.trainer.spec_base import Json as Json
from learnfleet.trainer.spec_base import Spec as Spec

# fastai: each kind of label has its loss.
LOSS_OF_LABELS = {
    LabelKind.CATEGORY: Component("cross_entropy"),
    LabelKind.MULTI_CATEGORY: Component("bce_with_logits"),
    LabelKind.FLOAT: Component("mse"),
    LabelKind.MASK: Component("cross_entropy", {"axis": 1}),
    LabelKind.NONE: Component("cross_entropy"),
}


@dataclass(frozen=True)
class WeightsSpec(Spec):
    """Where the body's weights come from: nowhere, the library's own API (a download), or a local file."""

    kind: Literal["none", "pretrained", "file"] = "none"
    path: str | None = None  # absolute, resolved beneath a declared root; .safetensors, .pth or .pt of plain tensors


@dataclass(frozen=True)
class HeadSpec(Spec):
    """`create_head` arguments (fastai v1)."""

    lin_ftrs: tuple[int, ...] | None = None  # None: (512,)
    ps: tuple[float, ...] = (0.5,)  # one value: the last dropout, hidden ones get half of it
    concat_pool: bool = True
    bn_final: bool = False
    init: str | None = "kaiming_normal"  # of the weights; None leaves torch's


@dataclass(frozen=True)
class UnetSpec(Spec):
    """`unet_learner` arguments (fastai v1)."""

    blur_final: bool = True
    norm_type: str | None = None  # a name of `NormType`; None: no normalisation, convolutions with biases
    blur: bool = False
    self_attention: bool = False
    y_range: tuple[float, ...] | None = None  # low, high
    last_cross: bool = True
    bottle: bool = False


@dataclass(frozen=True)
class OptimizerSpec(Spec):
    """fastai v1: Adam(betas=(0.9, 0.99)) with decoupled weight decay on every trainable parameter."""

    name: Literal["adam", "sgd"] = "adam"
    wd: float = 1e-2
    true_wd: bool = True
    bn_wd: bool = True


@dataclass(frozen=True)
class LearnerSpec(Spec):
    """Everything `cnn_learner` or `unet_learner` needs."""

    data: DataSpec
    architecture: str  # a torchvision name ("resnet18"), "timm/<name>" or "pytorchcv/<name>"
    weights: WeightsSpec = field(default_factory=WeightsSpec)
    head: HeadSpec = field(default_factory=HeadSpec)
    metrics: tuple[Component, ...] = ()
    loss: Component | None = None  # None: what suits the labels
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    train_bn: bool = True
    seed: int = 0
    kind: Literal["cnn", "unet"] = "cnn"
    cut: int | None = None  # the body is `children()[:cut]`. None: the family's rule
    split: tuple[str, ...] | None = None  # names of the modules that layer groups begin at. None: the family's
    unet: UnetSpec = field(default_factory=UnetSpec)  # for kind "unet", which has no use for `head`

    def loss_component(self) -> Component:
        """The loss, by its registered name."""
        return self.loss or LOSS_OF_LABELS[self.data.labels]


@dataclass(frozen=True)
class LearningRate(Spec):
    """One value for all layer groups, a slice (`slice(stop)` or `slice(start, stop)`), or one value a group.

    Exactly one of the forms is set. slice(stop): the last group `stop`, the others `stop / 10`;
    slice(start, stop): geometric from start to stop (fastai `lr_range`).
    """

    value: float | None = None
    start: float | None = None
    stop: float | None = None
    values: tuple[float, ...] | None = None


@dataclass(frozen=True)
class FitStage(Spec):
    """`Learner.fit`."""

    epochs: int
    lr: LearningRate = field(default_factory=lambda: LearningRate(stop=3e-3))
    wd: float | None = None


@dataclass(frozen=True)
class FitOneCycleStage(Spec):
    """`Learner.fit_one_cycle` (fastai v1 defaults)."""

    epochs: int
    max_lr: LearningRate = field(default_factory=lambda: LearningRate(stop=3e-3))
    moms: tuple[float, ...] = (0.95, 0.85)
    div_factor: float = 25.0
    pct_start: float = 0.3
    final_div: float | None = None  # None: div_factor * 1e4
    wd: float | None = None


@dataclass(frozen=True)
class FreezeStage(Spec):
    """`Learner.freeze_to(n)`: layer groups [0, n) are frozen. -1 is `freeze()`, 0 is `unfreeze()`."""

    n: int


Stage: TypeAlias = FitStage | FitOneCycleStage | FreezeStage

_STAGES: dict[str, type[FitStage] | type[FitOneCycleStage] | type[FreezeStage]] = {
    "fit": FitStage,
    "fit_one_cycle": FitOneCycleStage,
    "freeze_to": FreezeStage,
}


def stage_to_json(stage: Stage) -> Json:
    """{"kind": ..., plus the stage's fields}."""
    kind = next(name for name, cls in _STAGES.items() if isinstance(stage, cls))
    return {"kind": kind, **stage.to_json()}


def stage_from_json(value: Json) -> Stage:
    """Inverse of `stage_to_json`. Raises ValueError for an unknown kind or field."""
    fields = dict(value)
    kind = fields.pop("kind", None)
    if kind not in _STAGES:
        raise ValueError(f"unknown stage kind {kind!r}; known: {', '.join(_STAGES)}")
    return _STAGES[kind].from_json(fields)
