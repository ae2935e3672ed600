"""A model from an export, ready to classify pictures. No data folder is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from learnfleet.trainer.build import build_model
from learnfleet.trainer.data import EvalTransform
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.export import SPEC_FILE, read_export
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.inference import Category, run_without_grad
from learnfleet.trainer.losses import activation_of, build_loss
from learnfleet.trainer.manifest import MODEL_FILE
from learnfleet.trainer.spec import Component

Source = Path | bytes


@dataclass(frozen=True)
class Prediction:
    """What the model says of one picture."""

    class_name: str
    index: int
    probabilities: tuple[float, ...]  # one a class, in the order of `Predictor.classes`


class Predictor:
    """Classifies pictures as the learner did when it was exported. Safe to call from several threads."""

    def __init__(
        self, model: nn.Module, classes: Sequence[str], transform: EvalTransform, loss: Component, device: torch.device
    ) -> None:
        self._model = model.eval().to(device).requires_grad_(False)
        self.classes = tuple(classes)
        self.transform, self.device = transform, device
        self._activation = activation_of(build_loss(loss.name, loss.arguments))

    def predict_bytes(self, pictures: Sequence[bytes]) -> list[Prediction | BadImage]:
        """One answer a picture, in their order. A picture that cannot be read has its error in its place."""
        return self.predict_sources(pictures)

    def predict_sources(self, sources: Sequence[Source]) -> list[Prediction | BadImage]:
        """As `predict_bytes`, also for files."""
        answers: list[Prediction | BadImage | Tensor] = [self._prepare(source) for source in sources]
        good = [answer for answer in answers if isinstance(answer, Tensor)]
        predictions = iter(self.classify(torch.stack(good)) if good else ())
        return [next(predictions) if isinstance(answer, Tensor) else answer for answer in answers]

    def _prepare(self, source: Source) -> Tensor | BadImage:
        try:
            return self.transform([source])[0]
        except BadImage as error:
            return error

    def classify(self, x: Tensor) -> list[Prediction]:
        """What the model says of a batch [N, 3, H, W] that `transform` has made."""
        probabilities = run_without_grad(self._model, x.to(self.device), self._activation)
        rows = zip(probabilities.argmax(dim=1).tolist(), probabilities.tolist(), strict=True)
        return [Prediction(self.classes[index], index, tuple(row)) for index, row in rows]

    def predict(self, item: Path | str | bytes) -> tuple[Category, Tensor, Tensor]:
        """(class, its index as 0-d int64, probabilities [C]) of one picture. Raises BadImage."""
        answer = self.predict_sources([Path(item) if isinstance(item, str) else item])[0]
        if isinstance(answer, BadImage):
            raise answer
        probabilities = torch.tensor(answer.probabilities)
        return Category(answer.index, answer.class_name), torch.tensor(answer.index), probabilities

    def logits(self, sources: Sequence[Source]) -> Tensor:
        """Raw outputs [N, C], on the CPU. Raises BadImage for the first picture that cannot be read."""
        return run_without_grad(self._model, self.transform(list(sources)).to(self.device), lambda output: output)


def load_predictor(path: Path | str, device: str | torch.device = "cpu") -> Predictor:
    """The model of an export folder, every file checked. Raises CorruptCheckpoint or LearnerError."""
    folder = Path(path)
    content = read_export(folder)
    with torch.random.fork_rng(devices=[]):
        model = build_model(content.learner, len(content.classes))
    try:
        model.load_state_dict(load_file(folder / MODEL_FILE))
    except RuntimeError as error:
        raise LearnerError("export", f"{folder} has weights of another model than its {SPEC_FILE}: {error}") from error
    transform = EvalTransform.from_json(content.eval_transform)
    return Predictor(model, content.classes, transform, content.learner.loss_component(), torch.device(device))
