"""A model from an export, ready to predict pictures. No data folder is needed."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from learnfleet.trainer.build import build_model
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.decoding import checked_thresh, decode, thresh_of
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.eval_transform import EvalTransform
from learnfleet.trainer.export import SPEC_FILE, read_export
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.inference import run_without_grad
from learnfleet.trainer.inputs import as_source
from learnfleet.trainer.label_items import Category, ImageItem, Item
from learnfleet.trainer.losses import activation_of, build_loss
from learnfleet.trainer.manifest import MODEL_FILE
from learnfleet.trainer.pixels import NO_STATS, normalized
from learnfleet.trainer.precision import Precision
from learnfleet.trainer.spec import Component, DataSpec
from learnfleet.trainer.tta import NO_TRANSFORMS, AugmentSettings, VariantMean, variant_augments

_NO_INDEX = -1
_NUMBERS = (LabelKind.FLOAT, LabelKind.POINTS)
_NO_PROBABILITIES = (*_NUMBERS, LabelKind.IMAGE)
_FLOAT32 = Precision()


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


class Predictor:
    """Predicts pictures as the learner did when it was exported. Safe to call from several threads.

    It computes in the learner's own precision and memory format, as its validation did; probabilities are float32.
    Pictures are paths, bytes of files, PIL images, or uint8 pixels (tensors [C, H, W], arrays [H, W, C]).
    """

    def __init__(
        self,
        model: nn.Module,
        classes: Sequence[str],
        transform: EvalTransform,
        loss: Component,
        device: torch.device,
        data: DataSpec | None = None,
        seed: int = 0,
        precision: Precision = _FLOAT32,
        channels_last: bool = False,
    ) -> None:
        """`data` (with the training transforms, for `tta`), `seed`, `precision`, `channels_last`: of the learner."""
        self._model = model.eval().to(device).requires_grad_(False)
        if channels_last:
            self._model.to(memory_format=torch.channels_last)
        self.precision = precision
        self.classes = tuple(classes)
        self.transform, self.device = transform, device
        built = build_loss(loss.name, loss.arguments)
        self._activation, self.thresh = activation_of(built), thresh_of(built)
        self.kind = data.labels if data is not None else LabelKind.CATEGORY
        is_normalized = data is not None and data.normalizes_targets
        self._target_stats = (transform.mean, transform.std) if is_normalized else NO_STATS
        spec = (data.transforms if data is not None else None) or NO_TRANSFORMS
        aspect = transform.size[0] / transform.size[1] if transform.size else 1.0
        self._augments = AugmentSettings(spec, seed, aspect, transform.padding)

    @property
    def model(self) -> nn.Module:
        """The module that gives raw outputs, in evaluation mode and without gradients of its own."""
        return self._model

    def predict(self, item: object, thresh: float | None = None, tta: bool = False) -> tuple[Item, Tensor, Tensor]:
        """(what is predicted, the same as a tensor, probabilities) of one picture, see `Learner.predict`.

        Raises BadImage, or LearnerError for what is no picture.

        Args:
            thresh: of several labels, those at least so probable. None: the loss's own.
            tta: average over the eight variants of `Learner.TTA`.
        """
        answer = self.predict_sources([item], thresh, tta)[0]
        if isinstance(answer, BadImage):
            raise answer
        return answer.item, answer.prediction, answer.activated

    def predict_bytes(self, pictures: Sequence[bytes]) -> list[Prediction | BadImage]:
        """One answer a picture, in their order. A picture that cannot be read has its error in its place."""
        return self.predict_sources(pictures)

    def predict_sources(
        self, sources: Sequence[object], thresh: float | None = None, tta: bool = False
    ) -> list[Prediction | BadImage]:
        """As `predict_bytes`, for pictures of any form; pictures of one size are asked about in one batch."""
        answers: list[Prediction | BadImage | Tensor] = [self._pixels(source) for source in sources]
        good = [answer for answer in answers if isinstance(answer, Tensor)]
        alike = len({tuple(pixels.shape) for pixels in good}) <= 1
        batches = [good] if alike else [[pixels] for pixels in good]
        found = iter([item for batch in batches if batch for item in self._ask(torch.stack(batch), thresh, tta)])
        return [next(found) if isinstance(answer, Tensor) else answer for answer in answers]

    def _pixels(self, source: object) -> Tensor | BadImage:
        try:
            return self.transform.pixels(as_source(source))
        except BadImage as error:
            return error

    def predict_pixels(self, pixels: Tensor, thresh: float | None = None, tta: bool = False) -> Prediction:
        """What the model says of one picture uint8 [3, H, W] that `transform.pixels` has made."""
        return self._ask(pixels.unsqueeze(0), thresh, tta)[0]

    def _ask(self, pixels: Tensor, thresh: float | None, tta: bool) -> list[Prediction]:
        return self._decoded(self._averaged(pixels) if tta else self._outputs(self._plain(pixels)), thresh)

    def classify(self, x: Tensor, thresh: float | None = None) -> list[Prediction]:
        """What the model says of a batch [N, 3, H, W] that `transform` has made."""
        return self._decoded(self._outputs(x), thresh)

    def _decoded(self, activated: Tensor, thresh: float | None) -> list[Prediction]:
        limit = self.thresh if thresh is None else checked_thresh(thresh)
        rows = ((row, *decode(self.kind, row, self.classes, limit, self._target_stats)) for row in activated)
        return [Prediction(self.kind, item, prediction, row) for row, item, prediction in rows]

    def _plain(self, pixels: Tensor) -> Tensor:
        return normalized(pixels, (self.transform.mean, self.transform.std))

    def _outputs(self, x: Tensor) -> Tensor:
        return run_without_grad(self._model, x.to(self.device), self._activation, self.precision)

    def _averaged(self, pixels: Tensor, beta: float = 0.4, scale: float = 1.35) -> Tensor:
        """`Learner.TTA` of uint8 [N, 3, H, W]. Every picture gets the variants of item 0, whatever its company."""
        plain, mean = self._outputs(self._plain(pixels)), VariantMean(self.kind)
        first = torch.zeros(len(pixels), dtype=torch.int64)
        for augment in variant_augments(self._augments, scale):
            parameters = augment.parameters(0, first)
            x = augment.apply(pixels, parameters, (self.transform.mean, self.transform.std))
            mean.add(self._outputs(x), parameters.matrices)
        return plain * beta + mean.result(plain) * (1 - beta)

    def logits(self, sources: Sequence[object]) -> Tensor:
        """Raw outputs [N, ...], on the CPU. Raises BadImage for the first picture that cannot be read."""
        x = self.transform([as_source(source) for source in sources])
        return run_without_grad(self._model, x.to(self.device), lambda output: output, self.precision)


def load_predictor(path: Path | str, device: str | torch.device = "cpu", precision: str | None = None) -> Predictor:
    """The model of an export folder, every file checked. Raises CorruptCheckpoint or LearnerError.

    Args:
        precision: fp32, bf16 or fp16 to compute in. None: that of the learner, whose predictions are then met to
            1e-6; those of float32 differ from bfloat16's by a few hundredths at most where training was in bfloat16.
    """
    folder = Path(path)
    content = read_export(folder)
    with torch.random.fork_rng(devices=[]):
        model = build_model(content.learner, len(content.classes))
    try:
        model.load_state_dict(load_file(folder / MODEL_FILE))
    except RuntimeError as error:
        raise LearnerError("export", f"{folder} has weights of another model than its {SPEC_FILE}: {error}") from error
    transform = EvalTransform.from_json(content.eval_transform)
    learner = content.learner
    loss = learner.loss_component()
    where = torch.device(device)
    chosen = Precision.named(precision or learner.precision, where.type)
    return Predictor(
        model,
        content.classes,
        transform,
        loss,
        where,
        learner.data,
        learner.seed,
        chosen,
        learner.channels_last,
    )
