"""What is predicted, measured and suggested, as values that read like the trainer's."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from dataclasses import dataclass, replace
from typing import TypeAlias, overload

from learnfleet.client.arrays import Array
from learnfleet.v1 import job_pb2, learner_pb2, prediction_service_pb2

NO_INDEX = -1


class Category(str):
    """The name of a class: text, with fastai's `obj` (the name) and `data` (its number)."""

    data: int

    def __new__(cls, name: str, data: int) -> Category:
        made = super().__new__(cls, name)
        made.data = data
        return made

    @property
    def obj(self) -> str:
        return str(self)


@dataclass(frozen=True)
class MultiCategory:
    """Any number of classes; as text joined by ";"."""

    obj: tuple[str, ...]
    data: Array  # a zero or one for each class

    def __str__(self) -> str:
        return ";".join(self.obj)


@dataclass(frozen=True)
class FloatItem:
    """One or several numbers."""

    data: Array

    @property
    def obj(self) -> float | list[float]:
        values: list[float] = self.data.tolist()
        return values[0] if len(values) == 1 else values

    def __str__(self) -> str:
        return " ".join(f"{value:.4g}" for value in self.data.tolist())


@dataclass(frozen=True)
class ImageSegment:
    """A class for each pixel, as a grey PNG whose values are the classes."""

    png: bytes

    def _repr_png_(self) -> bytes:
        return self.png

    def __str__(self) -> str:
        return f"ImageSegment (PNG of {len(self.png)} bytes)"


@dataclass(frozen=True)
class ImageItem:
    """A picture as a PNG."""

    png: bytes

    def _repr_png_(self) -> bytes:
        return self.png

    def __str__(self) -> str:
        return f"ImageItem (PNG of {len(self.png)} bytes)"


@dataclass(frozen=True)
class ImagePoints:
    """Places in a picture: (row, column) of each from -1 to 1."""

    data: tuple[tuple[float, float], ...]

    def __str__(self) -> str:
        return " ".join(f"({row:.3g}, {column:.3g})" for row, column in self.data)


Item: TypeAlias = Category | MultiCategory | FloatItem | ImageSegment | ImageItem | ImagePoints


def label_kind(number: int) -> str:
    """ "category" for LABEL_KIND_CATEGORY."""
    known = learner_pb2.LabelKind.values()
    name = learner_pb2.LabelKind.Name(number) if number in known else str(number)
    return "category" if number == 0 else name.removeprefix("LABEL_KIND_").lower()


@dataclass(frozen=True)
class Timings:
    """Where the time of a prediction went."""

    queue_s: float  # waiting, and loading the model
    decode_s: float
    infer_s: float  # the model, for the whole batch
    batch_size: int  # pictures that were computed together, of whichever calls

    @classmethod
    def from_proto(cls, message: prediction_service_pb2.Timings) -> Timings:
        queue, decode, infer = (
            part.seconds + part.nanos * 1e-9 for part in (message.queue, message.decode, message.infer)
        )
        return cls(queue, decode, infer, message.batch_size)


@dataclass(frozen=True)
class Prediction:
    """fastai's triple: `category, index, probabilities = learn.predict(...)`."""

    class_name: str
    index: int
    probabilities: tuple[float, ...]
    top: tuple[tuple[str, float], ...]  # likeliest classes, best first
    model_used: str
    kind: str = "category"  # or "multi_category", "float", "mask", "points", "image"
    labels: tuple[str, ...] = ()  # of "multi_category"
    values: tuple[float, ...] = ()  # of "float"; of "points" row and column of each in [-1, 1]
    mask_png: bytes = b""  # of "mask": a grey PNG of class indices
    picture_png: bytes = b""  # of "image"
    logits: Array | None = None  # raw outputs, where asked for
    embedding: Array | None = None  # the body's output, pooled, where asked for
    activated: Array | None = None  # activated outputs in full, where asked for
    timings: Timings | None = None
    samples: tuple[Prediction, ...] = ()  # with dropout on, where asked for

    @property
    def probability(self) -> float:
        """Of the predicted class."""
        return self.probabilities[self.index]

    @property
    def item(self) -> Item:
        """What is predicted, by the kind."""
        if self.kind == "multi_category":
            return MultiCategory(self.labels, self._chosen())
        if self.kind == "float":
            return FloatItem(Array.of(self.values))
        if self.kind == "points":
            return ImagePoints(tuple(zip(self.values[::2], self.values[1::2], strict=True)))
        if self.kind == "image":
            return ImageItem(self.picture_png)
        return ImageSegment(self.mask_png) if self.kind == "mask" else Category(self.class_name, self.index)

    def _chosen(self) -> Array:
        """A one for each predicted label: those are the likeliest."""
        order = sorted(range(len(self.probabilities)), key=lambda place: -self.probabilities[place])
        chosen = set(order[: len(self.labels)])
        return Array.of([float(place in chosen) for place in range(len(self.probabilities))])

    def __iter__(self) -> Iterator[Item | int | Array]:
        """The item; its index (of several labels zeros and ones, of numbers the numbers); probabilities, or numbers."""
        has_numbers = self.kind in ("float", "points")
        numbers = Array.of(self.values if has_numbers else self.probabilities)
        second: int | Array = self.index
        if self.kind == "multi_category":
            second = self._chosen()
        return iter((self.item, numbers if has_numbers else second, numbers))

    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> Item | int | Array:
        return tuple(self)[number]

    @classmethod
    def from_proto(
        cls, message: prediction_service_pb2.PredictResponse | prediction_service_pb2.ItemResult
    ) -> Prediction:
        timings = Timings.from_proto(message.timings)
        made = [_of(part, message.model_used, timings) for part in (message.prediction, *message.prediction.samples)]
        return replace(made[0], samples=tuple(made[1:]))


def _of(prediction: prediction_service_pb2.Prediction, model_used: str, timings: Timings) -> Prediction:
    return Prediction(
        prediction.class_name,
        prediction.class_index,
        tuple(prediction.probabilities),
        tuple((item.class_name, item.probability) for item in prediction.top),
        model_used,
        label_kind(prediction.kind),
        tuple(prediction.labels),
        tuple(prediction.values),
        prediction.mask,
        prediction.picture,
        _array(prediction.logits),
        _array(prediction.embedding),
        _array(prediction.activated),
        timings,
    )


def _array(message: prediction_service_pb2.FloatArray) -> Array | None:
    return Array.little_endian(message.content, tuple(message.shape)) if message.shape else None


class Values(list[float]):
    """Loss and metrics: a list in their order, as the trainer gives it, which also knows them by name.

    `values[0]`, `values["accuracy"]`, `dict(values)`.
    """

    def __init__(self, named: Mapping[str, float]) -> None:
        super().__init__(named.values())
        self.names = tuple(named)

    @overload  # type: ignore[override]
    def __getitem__(self, key: int | str) -> float: ...
    @overload
    def __getitem__(self, key: slice) -> list[float]: ...
    def __getitem__(self, key: int | str | slice) -> float | list[float]:
        if isinstance(key, str):
            if key not in self.names:
                raise KeyError(f"{key!r}; there are {', '.join(self.names)}")
            key = self.names.index(key)
        return super().__getitem__(key)

    def keys(self) -> tuple[str, ...]:
        return self.names

    def values(self) -> ValuesView[float]:
        return self.by_name.values()

    def items(self) -> ItemsView[str, float]:
        return self.by_name.items()

    @property
    def by_name(self) -> dict[str, float]:
        return dict(zip(self.names, self, strict=True))

    def __repr__(self) -> str:
        return f"[{', '.join(f'{name}={value:.6f}' for name, value in self.items())}]"


@dataclass(frozen=True)
class LrFinding:
    """What a search for a learning rate found. `finding.valley` and `finding["valley"]` are the rule's suggestion."""

    stage: int
    lrs: tuple[float, ...]
    losses: tuple[float, ...]  # smoothed, at each rate
    suggestions: dict[str, float]  # by rule: valley, slide, steep, minimum, min_gradient
    asked_for: tuple[str, ...] = ("valley", "slide", "steep", "minimum", "min_gradient")

    @property
    def values(self) -> dict[str, float | None]:
        """The suggestions that were asked for, in that order; None where there were too few points for it."""
        return {rule: self.suggestions.get(rule) for rule in self.asked_for}

    @property
    def valley(self) -> float | None:
        return self.suggestions.get("valley")

    @property
    def slide(self) -> float | None:
        return self.suggestions.get("slide")

    @property
    def steep(self) -> float | None:
        return self.suggestions.get("steep")

    @property
    def minimum(self) -> float | None:
        return self.suggestions.get("minimum")

    @property
    def min_gradient(self) -> float | None:
        return self.suggestions.get("min_gradient")

    def __getitem__(self, rule: str) -> float | None:
        return self.values[rule]

    def __iter__(self) -> Iterator[float | None]:
        """For `lr_min, lr_steep = learn.lr_find(suggest_funcs=(minimum, steep))`."""
        return iter(self.values.values())

    @classmethod
    def from_proto(cls, message: job_pb2.LrFinding, asked_for: Iterable[str] | None = None) -> LrFinding:
        found = cls(message.stage, tuple(message.lrs), tuple(message.losses), dict(message.suggestions))
        return found if asked_for is None else found.only(asked_for)

    def only(self, rules: Iterable[str]) -> LrFinding:
        """With the suggestions of these rules, in their order."""
        return LrFinding(self.stage, self.lrs, self.losses, self.suggestions, tuple(rules))

    def __repr__(self) -> str:
        shown = ", ".join(f"{rule}={'None' if lr is None else f'{lr:.2e}'}" for rule, lr in self.values.items())
        return f"LrFinding({shown}; {len(self.lrs)} rates)"
