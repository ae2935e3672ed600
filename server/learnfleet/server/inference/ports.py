"""What the prediction RPCs ask of inference. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from learnfleet.trainer.data_spec import LabelKind


@dataclass(frozen=True)
class PictureFile:
    """The bytes of a picture file, decoded and resized as the model's own evaluation does."""

    content: bytes


@dataclass(frozen=True)
class TensorInput:
    """One item as numbers, little-endian: uint8 pixels [3, H, W], not normalised, or float32 as the model takes it."""

    dtype: str  # uint8 or float32
    shape: tuple[int, ...]
    content: bytes


Input = PictureFile | TensorInput


class Output(StrEnum):
    """What may be asked for beside the prediction."""

    LOGITS = "logits"  # raw outputs
    EMBEDDING = "embedding"  # the body's output, pooled
    ACTIVATED = "activated"  # the activated outputs in full, also of masks and pictures


@dataclass(frozen=True)
class InferOptions:
    """How items are to be predicted. Items of equal options may share a batch."""

    thresh: float | None = None  # of several labels; None: the loss's own
    tta: bool = False
    outputs: frozenset[Output] = frozenset()
    dropout_samples: int = 0  # further predictions of each item, with dropout on


@dataclass(frozen=True)
class Array:
    """Float32 numbers, little-endian, row after row."""

    shape: tuple[int, ...]
    content: bytes


@dataclass(frozen=True)
class Answered:
    """What a model says of one item, or why the item cannot be predicted."""

    error: str = ""  # of this item alone: a picture that cannot be read, a tensor that does not fit
    is_lost: bool = False  # two replicas were lost over it, which may or may not be its fault
    kind: LabelKind = LabelKind.CATEGORY
    index: int = -1  # of the likeliest class; -1 where there is no one class
    probabilities: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()  # MULTI_CATEGORY: those predicted
    values: tuple[float, ...] = ()  # FLOAT, POINTS
    mask_png: bytes = b""  # MASK
    picture_png: bytes = b""  # IMAGE
    arrays: dict[Output, Array] = field(default_factory=dict)  # what was asked for
    samples: tuple[Answered, ...] = ()  # with dropout on, where asked for
    queue_s: float = 0.0  # from its arrival until its batch began, the loading of the model with it
    decode_s: float = 0.0
    infer_s: float = 0.0  # of the whole batch
    batch_size: int = 0  # items that were computed together


@dataclass(frozen=True)
class ModelInfo:
    """A model that can be asked."""

    name: str  # the version or checkpoint that a reference means at present
    kind: LabelKind
    classes: tuple[str, ...]
    size: tuple[int, int] | None  # height and width that the model sees; None: each picture keeps its own
    output_shape: tuple[int, ...]  # of one item; -1 where it depends on the picture


@dataclass(frozen=True)
class Reply:
    """The answers to one call, in the order of its items."""

    model: ModelInfo
    items: tuple[Answered, ...]


@dataclass(frozen=True)
class Loaded:
    """A model in the replicas' memory."""

    name: str
    bytes: int
    pinned: bool
    replicas: int


@dataclass(frozen=True)
class EngineFigures:
    """How an engine stands at a moment."""

    replicas: int
    starting: int
    busy: int
    waiting_items: int
    models: int
    model_bytes: int


class Inference(Protocol):
    """Warm replicas that answer for exported models and for learners as they are.

    A model is `models/{m}/versions/{v}`, `models/{m}@{alias}` or `learners/{l}`. All methods raise NotFound for one
    that does not exist, FailedPrecondition for an untrained learner, and Unavailable while there is no cluster.
    """

    async def infer(
        self, model: str, inputs: Sequence[Input], options: InferOptions, timeout_s: float | None = None
    ) -> Reply:
        """Predict items; they share batches with those of other calls.

        An item that is not begun after `timeout_s` (the caller's deadline) is dropped. Raises ResourceExhausted, with
        when to try again, where the model's queue has no room for all of them, and Unavailable.
        """
        ...

    async def describe(self, model: str) -> ModelInfo: ...

    async def is_ready(self, model: str) -> bool:
        """Whether it is loaded and warmed up. False for an unknown one, too."""
        ...

    async def load(self, model: str, *, pin: bool = False) -> ModelInfo:
        """Have it in memory and warm; pinned it stays there."""
        ...

    async def unload(self, model: str) -> None: ...

    async def loaded(self) -> Sequence[Loaded]: ...

    async def owner(self, model: str) -> str | None:
        """The tenant of a registered model; None: nobody's. Whether it has the version or alias is not looked at."""
        ...
