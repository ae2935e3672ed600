"""What a model says of one picture."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.label_items import Category, ImageItem, Item

_NO_INDEX = -1
_NUMBERS = (LabelKind.FLOAT, LabelKind.POINTS)
_NO_PROBABILITIES = (*_NUMBERS, LabelKind.IMAGE)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says of one picture."""

    kind: LabelKind
    item: Item
    prediction: Tensor  # as `Learner.predict` gives it, see `decode`
    activated: Tensor  # the activated outputs it was made of

    @property
    def class_name(self) -> str:
        """Of several labels "a;b"; empty for numbers and masks."""
        return str(self.item) if self.kind in (LabelKind.CATEGORY, LabelKind.MULTI_CATEGORY) else ""

    @property
    def index(self) -> int:
        """Of the class; -1 where there is no one class."""
        return self.item.data if isinstance(self.item, Category) else _NO_INDEX

    @property
    def probabilities(self) -> tuple[float, ...]:
        """One a class, in the order of `Predictor.classes`; of masks the mean over the pixels; of numbers none."""
        if self.kind in _NO_PROBABILITIES:
            return ()
        values = self.activated.flatten(1).mean(dim=1) if self.kind is LabelKind.MASK else self.activated
        return tuple(values.tolist())

    @property
    def values(self) -> tuple[float, ...]:
        """The predicted numbers, of points y and x of each in [-1, 1]; of other kinds none."""
        return tuple(self.activated.reshape(-1).tolist()) if self.kind in _NUMBERS else ()

    def picture_png(self) -> str:
        """The predicted picture, PNG in base64. Raises LearnerError for other kinds."""
        if not isinstance(self.item, ImageItem):
            raise LearnerError("picture_png", f"a prediction of the kind {self.kind} is no picture")
        pixels = (self.item.data * 255).round().to(torch.uint8).movedim(0, -1)
        return _png(Image.fromarray(pixels.numpy()))

    def mask_png(self) -> str:
        """The mask as a picture whose 8-bit values are classes, PNG in base64. Raises LearnerError for other kinds."""
        if self.kind is not LabelKind.MASK:
            raise LearnerError("mask_png", f"a prediction of the kind {self.kind} is no mask")
        return _png(Image.fromarray(self.prediction[0].to(torch.uint8).numpy()))


def _png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
