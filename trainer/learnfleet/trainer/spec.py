"""What a learner is and what is done with it, as values: plain dataclasses that import no torch.

The control server stores these as JSON, workers build learners from them, and an export carries one,
so every field is JSON-able and every default is the fastai v1 default unless the comment says otherwise.
`to_json` / `from_json` round-trip exactly; `from_json` refuses unknown fields.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self, TypeAlias

Json: TypeAlias = dict[str, Any]


class ResizeMethod(StrEnum):
    """How a picture of any shape becomes `size` (fastai ResizeMethod)."""

    CROP = "crop"
    PAD = "pad"
    SQUISH = "squish"


class BadImagePolicy(StrEnum):
    """What happens when a picture cannot be decoded in mid-epoch."""

    SKIP = "skip"
    FAIL = "fail"


class _Spec:
    """JSON round trip for the frozen dataclasses below."""

    def to_json(self) -> Json:
        return {f.name: _dump(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_json(cls, value: Json) -> Self:
        hints = typing.get_type_hints(cls)
        names = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(value) - names)
        if unknown:
            raise ValueError(f"{cls.__name__} has no field {', '.join(unknown)}; known: {', '.join(sorted(names))}")
        return cls(**{name: _load(hints[name], item) for name, item in value.items()})


def _dump(value: object) -> Any:
    if isinstance(value, _Spec):
        return value.to_json()
    if isinstance(value, tuple | list):
        return [_dump(item) for item in value]
    if isinstance(value, StrEnum):
        return str(value)
    return value


def _load(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return _load(inner[0], value) if len(inner) == 1 else value
    if origin is tuple:
        args = typing.get_args(hint)
        return tuple(_load(args[0], item) for item in value)
    if isinstance(hint, type) and issubclass(hint, _Spec):
        return hint.from_json(value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    if hint is float:
        return float(value)
    return value


@dataclass(frozen=True)
class TransformSpec(_Spec):
    """Arguments of `get_transforms` (fastai v1). A maximum of 0 (zoom: 1) leaves that transform out."""

    do_flip: bool = True
    flip_vert: bool = False
    max_rotate: float = 10.0  # degrees
    max_zoom: float = 1.1
    max_lighting: float = 0.2
    max_warp: float = 0.2
    p_affine: float = 0.75
    p_lighting: float = 0.75


@dataclass(frozen=True)
class Normalization(_Spec):
    """Per-channel mean and std. `auto` takes those the pretrained weights were made with, else ImageNet's."""

    kind: Literal["auto", "imagenet", "cifar", "mnist", "none", "explicit"] = "auto"
    mean: tuple[float, ...] | None = None  # three values in [0, 1], for kind "explicit" only
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class DataSpec(_Spec):
    """An image folder and how it becomes batches.

    With `valid_pct` None the folder holds `train` and `valid` folders of class folders; otherwise it holds class
    folders and a `valid_pct` share, drawn with `split_seed`, validates.
    """

    path: str  # absolute, already resolved beneath a declared root by whoever made this value
    train: str = "train"
    valid: str = "valid"
    valid_pct: float | None = None
    split_seed: int = 42
    size: tuple[int, ...] = (224, 224)  # rows, columns in pixels
    resize_method: ResizeMethod = ResizeMethod.CROP
    bs: int = 64  # pictures per optimiser step over ALL workers, so that num_workers changes speed, not meaning
    val_bs: int | None = None  # None: bs
    transforms: TransformSpec | None = None  # None: no augmentation (a centre crop)
    normalization: Normalization = field(default_factory=Normalization)
    bad_image: BadImagePolicy = BadImagePolicy.SKIP


@dataclass(frozen=True)
class WeightsSpec(_Spec):
    """Where the body's weights come from: nowhere, the library's own API (a download), or a local file."""

    kind: Literal["none", "pretrained", "file"] = "none"
    path: str | None = None  # absolute, resolved beneath a declared root; .safetensors, .pth or .pt of plain tensors


@dataclass(frozen=True)
class HeadSpec(_Spec):
    """`create_head` arguments (fastai v1)."""

    lin_ftrs: tuple[int, ...] | None = None  # None: (512,)
    ps: tuple[float, ...] = (0.5,)  # one value: the last dropout, hidden ones get half of it
    concat_pool: bool = True
    bn_final: bool = False
    init: str | None = "kaiming_normal"  # of the weights; None leaves torch's


@dataclass(frozen=True)
class UnetSpec(_Spec):
    """`unet_learner` arguments (fastai v1)."""

    blur_final: bool = True
    norm_type: str | None = None  # a name of `NormType`; None: no normalisation, convolutions with biases
    blur: bool = False
    self_attention: bool = False
    y_range: tuple[float, ...] | None = None  # low, high
    last_cross: bool = True
    bottle: bool = False


@dataclass(frozen=True)
class OptimizerSpec(_Spec):
    """fastai v1: Adam(betas=(0.9, 0.99)) with decoupled weight decay on every trainable parameter."""

    name: Literal["adam", "sgd"] = "adam"
    wd: float = 1e-2
    true_wd: bool = True
    bn_wd: bool = True


@dataclass(frozen=True)
class Component(_Spec):
    """A registered name and its arguments: a metric, later a callback or a loss."""

    name: str
    arguments: Json = field(default_factory=dict)


@dataclass(frozen=True)
class LearnerSpec(_Spec):
    """Everything `cnn_learner` or `unet_learner` needs."""

    data: DataSpec
    architecture: str  # a torchvision name ("resnet18"), "timm/<name>" or "pytorchcv/<name>"
    weights: WeightsSpec = field(default_factory=WeightsSpec)
    head: HeadSpec = field(default_factory=HeadSpec)
    metrics: tuple[Component, ...] = ()
    loss: Component = field(default_factory=lambda: Component("cross_entropy"))
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    train_bn: bool = True
    seed: int = 0
    kind: Literal["cnn", "unet"] = "cnn"
    cut: int | None = None  # the body is `children()[:cut]`. None: the family's rule
    split: tuple[str, ...] | None = None  # names of the modules that layer groups begin at. None: the family's
    unet: UnetSpec = field(default_factory=UnetSpec)  # for kind "unet", which has no use for `head`


@dataclass(frozen=True)
class LearningRate(_Spec):
    """One value for all layer groups, a slice (`slice(stop)` or `slice(start, stop)`), or one value a group.

    Exactly one of the forms is set. slice(stop): the last group `stop`, the others `stop / 10`;
    slice(start, stop): geometric from start to stop (fastai `lr_range`).
    """

    value: float | None = None
    start: float | None = None
    stop: float | None = None
    values: tuple[float, ...] | None = None


@dataclass(frozen=True)
class FitStage(_Spec):
    """`Learner.fit`."""

    epochs: int
    lr: LearningRate = field(default_factory=lambda: LearningRate(stop=3e-3))
    wd: float | None = None


@dataclass(frozen=True)
class FitOneCycleStage(_Spec):
    """`Learner.fit_one_cycle` (fastai v1 defaults)."""

    epochs: int
    max_lr: LearningRate = field(default_factory=lambda: LearningRate(stop=3e-3))
    moms: tuple[float, ...] = (0.95, 0.85)
    div_factor: float = 25.0
    pct_start: float = 0.3
    final_div: float | None = None  # None: div_factor * 1e4
    wd: float | None = None


@dataclass(frozen=True)
class FreezeStage(_Spec):
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
