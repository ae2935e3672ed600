"""What a learner is and what is done with it, as values: plain dataclasses that import no torch.

The control server stores these as JSON, workers build learners from them, and an export carries one,
so every field is JSON-able and every default is the fastai v1 default unless the comment says otherwise.
`to_json` / `from_json` round-trip exactly; `from_json` refuses unknown fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from learnfleet.trainer.data_spec import BadImagePolicy as BadImagePolicy
from learnfleet.trainer.data_spec import DataSpec as DataSpec
from learnfleet.trainer.data_spec import LabelKind as LabelKind
from learnfleet.trainer.data_spec import ListedItem as ListedItem
from learnfleet.trainer.data_spec import MaskSpec as MaskSpec
from learnfleet.trainer.data_spec import Normalization as Normalization
from learnfleet.trainer.data_spec import ResizeMethod as ResizeMethod
from learnfleet.trainer.data_spec import TableSpec as TableSpec
from learnfleet.trainer.data_spec import TransformSpec as TransformSpec
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.spec_base import Component as Component
from learnfleet.trainer.spec_base import Json as Json
from learnfleet.trainer.spec_base import Spec as Spec
from learnfleet.trainer.stage_spec import FitFlatCosStage as FitFlatCosStage
from learnfleet.trainer.stage_spec import FitOneCycleStage as FitOneCycleStage
from learnfleet.trainer.stage_spec import FitSgdrStage as FitSgdrStage
from learnfleet.trainer.stage_spec import FitStage as FitStage
from learnfleet.trainer.stage_spec import FreezeStage as FreezeStage
from learnfleet.trainer.stage_spec import LearningRate as LearningRate
from learnfleet.trainer.stage_spec import LrFindStage as LrFindStage
from learnfleet.trainer.stage_spec import Stage as Stage
from learnfleet.trainer.stage_spec import fine_tune_stages as fine_tune_stages
from learnfleet.trainer.stage_spec import stage_from_json as stage_from_json
from learnfleet.trainer.stage_spec import stage_to_json as stage_to_json

# fastai: each kind of label has its loss.
LOSS_OF_LABELS = {
    LabelKind.CATEGORY: Component("cross_entropy"),
    LabelKind.MULTI_CATEGORY: Component("bce_with_logits"),
    LabelKind.FLOAT: Component("mse"),
    LabelKind.MASK: Component("cross_entropy", {"axis": 1}),
    LabelKind.POINTS: Component("mse"),
    LabelKind.IMAGE: Component("mse"),
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

    name: str = "adam"  # a name of `OPT_FUNCS`
    wd: float | tuple[float, ...] = 1e-2  # one value, or one a layer group
    true_wd: bool = True
    bn_wd: bool = True
    arguments: Json = field(default_factory=dict)  # of the named optimiser, as `describe_opt_funcs` lists them


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
    callbacks: tuple[Component, ...] = ()  # in every fit, by their registered names
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    channels_last: bool = False  # weights and activations as [N, H, W, C] in memory
    compiled: bool = False  # train on what torch.compile makes of the model
    clip_grad: float | None = None  # greatest norm of all gradients together. None: not clipped
    accumulate: int = 1  # batches whose gradients make one optimiser step

    def loss_component(self) -> Component:
        """The loss, by its registered name. Raises LearnerError where none suits the labels."""
        if self.loss is None and self.data.labels not in LOSS_OF_LABELS:
            raise LearnerError("loss", f"labels of the kind {self.data.labels} have no loss of their own: name one")
        return self.loss or LOSS_OF_LABELS[self.data.labels]
