"""The process that predicts: a plain class that predictor.py makes a Ray actor of."""

from __future__ import annotations

import time
from base64 import b64decode
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from learnfleet.trainer.data_spec import LabelKind

if TYPE_CHECKING:
    from learnfleet.trainer.predictor import Predictor


@dataclass(frozen=True)
class Answer:
    """What a model says of one picture, or why the picture cannot be read."""

    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    load_s: float = 0.0
    decode_s: float = 0.0
    infer_s: float = 0.0
    bad_image: str | None = None
    kind: LabelKind = LabelKind.CATEGORY
    labels: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    mask_png: bytes = b""
    picture_png: bytes = b""


class PredictWorker:
    """Holds the models that were asked last."""

    def __init__(self, max_models: int = 8, threads: int = 1) -> None:
        self._models: OrderedDict[str, Predictor] = OrderedDict()
        self._max_models, self._threads = max_models, threads
        self._lock = Lock()

    def predict(self, export: str, image: bytes, thresh: float | None = None, tta: bool = False) -> Answer:
        """Ask the model of an export folder about the bytes of a picture file."""
        from learnfleet.trainer.images import BadImage

        began = time.perf_counter()
        model = self._model(export)
        loaded = time.perf_counter()
        try:
            pixels = model.transform.pixels(image)
        except BadImage as error:
            return Answer(bad_image=error.reason)
        decoded = time.perf_counter()
        prediction = model.predict_pixels(pixels, thresh, tta)
        done = time.perf_counter()
        is_multi = prediction.kind is LabelKind.MULTI_CATEGORY
        return Answer(
            model.classes,
            prediction.probabilities,
            loaded - began,
            decoded - loaded,
            done - decoded,
            kind=prediction.kind,
            labels=tuple(prediction.class_name.split(";")) if is_multi and prediction.class_name else (),
            values=prediction.values,
            mask_png=b64decode(prediction.mask_png()) if prediction.kind is LabelKind.MASK else b"",
            picture_png=b64decode(prediction.picture_png()) if prediction.kind is LabelKind.IMAGE else b"",
        )

    def _model(self, export: str) -> Predictor:
        """From memory, else loaded once however many ask at the same time."""
        with self._lock:
            if export not in self._models:
                from learnfleet.trainer.predictor import load_predictor
                from learnfleet.trainer.process import use_threads

                use_threads(self._threads)
                self._models[export] = load_predictor(Path(export))
            self._models.move_to_end(export)
            while len(self._models) > self._max_models:
                self._models.popitem(last=False)
            return self._models[export]
