"""Where in one picture the score of a class comes from, by captum: Grad-CAM, integrated gradients, occlusion.

Sources: Selvaraju et al., "Grad-CAM", 2017, arXiv:1610.02391; Sundararajan et al., "Axiomatic attribution for deep
networks", 2017, arXiv:1703.01365; Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014,
arXiv:1311.2901. Of masks: Vinogradova et al., "Towards interpretable semantic segmentation via gradient-weighted class
activation mapping", 2020, arXiv:2002.11434.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from captum.attr import IntegratedGradients, Occlusion
from PIL import Image
from torch import Tensor, nn

from learnfleet.trainer.batch import as_arguments
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.embeddings import body_of
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.eval_transform import EvalTransform
from learnfleet.trainer.grad_cam import grad_cam
from learnfleet.trainer.inputs import as_source
from learnfleet.trainer.pixels import normalized
from learnfleet.trainer.precision import Precision
from learnfleet.trainer.prediction import Prediction

Map = npt.NDArray[np.float32]

_STEPS, _AT_A_TIME = 32, 8  # of integrated gradients
_PATCHES = 7  # along a side; each half over the next, but of masks beside it: a U-Net takes ten times as long
_WARM, _COLD = (255, 112, 16), (40, 110, 255)  # what speaks for the class, and against it
_OPAQUE = 0.8
_CLASSES_SHOWN = 10
_EXPLAINED = (LabelKind.CATEGORY, LabelKind.MULTI_CATEGORY, LabelKind.MASK)


class Explainable(Protocol):
    """A model that answers for pictures: a `Predictor`, or a learner as one."""

    @property
    def model(self) -> nn.Module: ...
    @property
    def kind(self) -> LabelKind: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def transform(self) -> EvalTransform: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def precision(self) -> Precision: ...
    def predict_pixels(self, pixels: Tensor) -> Prediction: ...


@dataclass(frozen=True, eq=False)
class Explanation:
    """What speaks for a class in one picture. Notebooks show it over the picture."""

    map: Map  # [H, W] of the picture as the model sees it; Grad-CAM's is >= 0, the others' have both signs
    overlay: bytes  # the picture with the map over it, a PNG
    class_name: str  # whose score is explained
    probability: float  # that the model gives it
    predicted: str
    method: str

    def save(self, path: str | Path) -> Path:
        """Write the overlay, a PNG, and return the path."""
        Path(path).write_bytes(self.overlay)
        return Path(path)

    def __repr__(self) -> str:
        return f"Explanation({self.class_name!r}, {self.probability:.4f}, {self.method})"

    def _repr_png_(self) -> bytes:
        return self.overlay


def explain(
    predictor: Explainable, source: object, method: str = "grad_cam", class_name: str | None = None
) -> Explanation:
    """Explain the score that a model gives a class for one picture.

    Args:
        source: a path, the bytes of a picture file, a PIL image, or uint8 pixels.
        class_name: a name, or an index as text where no class is named so. None: the predicted one; of several labels
            the likeliest; of masks the one that covers most.

    Raises BadImage, or LearnerError naming what is wrong: `model`, `method` or `class_name`.
    """
    if method not in METHODS:
        raise LearnerError("method", f"{method!r} must be one of {', '.join(METHODS)}")
    if predictor.kind not in _EXPLAINED:
        told = f"predicts {predictor.kind}; only scores of classes, labels and masks are explained"
        raise LearnerError("model", told)
    pixels = predictor.transform.pixels(as_source(source))
    prediction = predictor.predict_pixels(pixels)
    target = _target(predictor, prediction, class_name)
    stats = (predictor.transform.mean, predictor.transform.std)
    x = normalized(pixels.unsqueeze(0), stats).to(predictor.device).requires_grad_()
    black = normalized(torch.zeros_like(pixels).unsqueeze(0), stats).to(predictor.device)
    found = METHODS[method](_Scores(predictor, prediction, target).eval(), x, black, target)
    return Explanation(
        found,
        _overlay(pixels, found),
        predictor.classes[target],
        float(prediction.probabilities[target]),
        _named(predictor, prediction),
        method,
    )


def _named(predictor: Explainable, prediction: Prediction) -> str:
    """What is predicted: of masks the class that covers most."""
    if predictor.kind is LabelKind.MASK:
        return predictor.classes[int(np.argmax(prediction.probabilities))]
    return prediction.class_name


class _Scores(nn.Module):
    """A model in its own precision, with one score a class and picture: of masks the mean over the pixels that it gives
    the class, or over all where it gives it none.
    """

    def __init__(self, predictor: Explainable, prediction: Prediction, target: int) -> None:
        super().__init__()
        self.model, self._precision = predictor.model, predictor.precision
        self.layer = body_of(predictor.model)
        self._pixels: Tensor | None = None
        self.is_of_masks = predictor.kind is LabelKind.MASK
        if self.is_of_masks:
            chosen = prediction.prediction[0] == target
            self._pixels = (chosen if chosen.any() else torch.ones_like(chosen)).float().to(predictor.device)

    def forward(self, x: Tensor) -> Tensor:
        """Raw scores [N, C]."""
        raw: Tensor = as_arguments(self._precision.run(self.model, x))[0].float()
        if self._pixels is None:
            return raw
        return (raw * self._pixels).sum(dim=(2, 3)) / self._pixels.sum()


def _target(predictor: Explainable, prediction: Prediction, class_name: str | None) -> int:
    if class_name is None:
        return int(np.argmax(prediction.probabilities))
    if class_name not in predictor.classes and class_name.isdecimal() and int(class_name) < len(predictor.classes):
        return int(class_name)
    if class_name not in predictor.classes:
        shown = ", ".join(predictor.classes[:_CLASSES_SHOWN])
        more = f" and {len(predictor.classes) - _CLASSES_SHOWN} more" if len(predictor.classes) > _CLASSES_SHOWN else ""
        raise LearnerError("class_name", f"{class_name[:80]!r} is no class of the model; there are {shown}{more}")
    return predictor.classes.index(class_name)


def _by_grad_cam(model: _Scores, x: Tensor, black: Tensor, target: int) -> Map:
    try:
        heat = grad_cam(model, x, torch.tensor([target]), model.layer)
    except LearnerError as error:
        raise LearnerError("method", f"{error.message}; take integrated_gradients or occlusion") from error
    size = (int(x.shape[2]), int(x.shape[3]))
    large = nn.functional.interpolate(heat.unsqueeze(1), size, mode="bilinear", align_corners=False)
    return _as_map(large[0, 0])


def _by_integrated_gradients(model: _Scores, x: Tensor, black: Tensor, target: int) -> Map:
    asked = IntegratedGradients(model)
    found = asked.attribute(x, black, target=target, n_steps=_STEPS, internal_batch_size=_AT_A_TIME)
    return _as_map(found[0].sum(dim=0))


def _by_occlusion(model: _Scores, x: Tensor, black: Tensor, target: int) -> Map:
    patch = tuple(-(-side // _PATCHES) for side in x.shape[2:])
    stride = patch if model.is_of_masks else tuple(max(1, side // 2) for side in patch)
    with torch.no_grad():
        found = Occlusion(model).attribute(
            x.detach(), (3, *patch), (3, *stride), baselines=0.0, target=target, perturbations_per_eval=_AT_A_TIME
        )
    return _as_map(found[0].mean(dim=0))


METHODS: dict[str, Callable[[_Scores, Tensor, Tensor, int], Map]] = {
    "grad_cam": _by_grad_cam,
    "integrated_gradients": _by_integrated_gradients,
    "occlusion": _by_occlusion,
}


def _as_map(values: Tensor) -> Map:
    found: Map = values.detach().cpu().numpy().astype(np.float32)
    return found


def _overlay(pixels: Tensor, found: Map) -> bytes:
    """The picture in grey with what speaks for the class in orange, and what speaks against it in blue."""
    plain = pixels.float().mean(dim=0).numpy()[..., None].repeat(3, axis=2)
    greatest = float(np.quantile(np.abs(found), 0.995)) or 1.0
    strength = np.clip(np.abs(found) / greatest, 0, 1)[..., None] * _OPAQUE
    color = np.where(found[..., None] >= 0, _WARM, _COLD)
    mixed = plain * (1 - strength) + color * strength
    buffer = io.BytesIO()
    Image.fromarray(mixed.round().astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
