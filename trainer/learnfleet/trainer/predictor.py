"""A model from an export, ready to predict pictures. No data folder is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from learnfleet.trainer.batch import as_arguments
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.decoding import checked_thresh, decode, thresh_of
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.eval_transform import EvalTransform
from learnfleet.trainer.export import SPEC_FILE, read_export
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.inference import run_without_grad
from learnfleet.trainer.inputs import as_source
from learnfleet.trainer.label_items import Item
from learnfleet.trainer.losses import activation_of, build_loss
from learnfleet.trainer.manifest import MODEL_FILE
from learnfleet.trainer.model_build import build_model
from learnfleet.trainer.pixels import NO_STATS, normalized
from learnfleet.trainer.precision import Precision, to_float
from learnfleet.trainer.prediction import Prediction as Prediction
from learnfleet.trainer.spec import Component, DataSpec
from learnfleet.trainer.tta import NO_TRANSFORMS, AugmentSettings, VariantMean, variant_augments

_FLOAT32 = Precision()


@dataclass(frozen=True, eq=False)
class Answer:
    """A prediction and what else was asked for of it."""

    prediction: Prediction
    logits: Tensor | None = None  # float32, the raw outputs
    embedding: Tensor | None = None  # float32 [D]


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
        _cast_weights(self._model, precision)
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

    def size_bytes(self) -> int:
        """Of the weights and buffers."""
        parts = chain(self._model.parameters(), self._model.buffers())
        return sum(part.numel() * part.element_size() for part in parts)

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

    def answer(
        self,
        inputs: Sequence[Tensor],
        thresh: float | None = None,
        tta: bool = False,
        *,
        logits: bool = False,
        embedding: bool = False,
    ) -> list[Answer]:
        """What the model says of inputs of one type and shape, computed together.

        Args:
            inputs: pixels uint8 [3, H, W] that `transform.pixels` has made, or float32 as the model takes it.
            logits, embedding: also the raw outputs, or the body's pooled; under `tta` those of the plain picture.

        Raises LearnerError: `tta` of what are no pixels; an embedding of a model that is not a body and a head.
        """
        batch = torch.stack(list(inputs))
        is_pixels = batch.dtype is torch.uint8
        raw, pooled = self._raw(self._plain(batch) if is_pixels else batch, embedding)
        activated = self._activation(raw).float().cpu()
        if tta:
            if not is_pixels:
                raise LearnerError("tta", "needs pictures or uint8 pixels: float32 inputs cannot be augmented")
            activated = self._averaged(batch, plain=activated)
        found = self._decoded(activated, thresh)
        raw_rows = raw.float().cpu() if logits else [None] * len(found)
        pooled_rows = [None] * len(found) if pooled is None else pooled
        return [Answer(*row) for row in zip(found, raw_rows, pooled_rows, strict=True)]

    def dropout_samples(
        self, inputs: Sequence[Tensor], count: int, thresh: float | None = None
    ) -> list[list[Prediction]]:
        """For each input `count` predictions with dropout on. Not to be called while other threads predict.

        Args:
            inputs: as of `answer`.

        Source: Gal & Ghahramani, "Dropout as a Bayesian approximation", 2016, arXiv:1506.02142.
        """
        batch = torch.stack(list(inputs))
        x = (self._plain(batch) if batch.dtype is torch.uint8 else batch).to(self.device)
        several = [
            run_without_grad(self._model, x, self._activation, self.precision, with_dropout=True) for _ in range(count)
        ]
        decoded = [self._decoded(activated, thresh) for activated in several]
        return [[sample[place] for sample in decoded] for place in range(len(batch))]

    @torch.no_grad()
    def _raw(self, x: Tensor, embedding: bool) -> tuple[Tensor, Tensor | None]:
        """(raw outputs, the body's output pooled to [N, D] if asked for)."""
        model, x = self._model, x.to(self.device)
        if not embedding:
            return as_arguments(self.precision.run(model, x))[0], None
        if not (isinstance(model, nn.Sequential) and len(model) > 1):
            raise LearnerError("embedding", "this model is not made of a body and a head: it has no embedding to give")
        with self.precision.autocast():
            features = model[0](x)
            raw = model[1:](features)
        pooled = features.flatten(2).mean(2) if features.ndim > 2 else features
        return as_arguments(to_float(raw))[0], pooled.float().cpu()

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

    def _averaged(self, pixels: Tensor, beta: float = 0.4, scale: float = 1.35, plain: Tensor | None = None) -> Tensor:
        """`Learner.TTA` of uint8 [N, 3, H, W]. Every picture gets the variants of item 0, whatever its company.

        `plain`: the activated outputs of the pictures as they are, where they are known.
        """
        plain = self._outputs(self._plain(pixels)) if plain is None else plain
        mean = VariantMean(self.kind)
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


def _cast_weights(model: nn.Module, precision: Precision) -> None:
    """Have the weights in the format that autocast would make of them at every call."""
    if precision.dtype is None:
        return
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and type(module) in (nn.Conv2d, nn.Linear):
            module.to(precision.dtype)


def load_predictor(
    path: Path | str,
    device: str | torch.device = "cpu",
    precision: str | None = None,
    channels_last: bool | None = None,
) -> Predictor:
    """The model of an export folder, every file checked. Raises CorruptCheckpoint or LearnerError.

    Args:
        precision: fp32, bf16 or fp16 to compute in. None: that of the learner, whose predictions are then met to
            1e-6; those of float32 differ from bfloat16's by a few hundredths at most where training was in bfloat16.
        channels_last: memory format to compute in. None: that of the learner.
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
        learner.channels_last if channels_last is None else channels_last,
    )
