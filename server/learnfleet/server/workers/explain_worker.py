"""The process that explains predictions: a plain class that ray_host.py makes a Ray actor of."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from learnfleet.server.telemetry.logs import LogSettings, log_uncaught, set_up

if TYPE_CHECKING:
    from learnfleet.trainer.predictor import Predictor

_MOST_TOLD = 300  # characters of an error


@dataclass(frozen=True)
class Explained:
    """Where in a picture a score comes from, or what of the request is wrong."""

    overlay_png: bytes = b""
    map: bytes = b""  # float32, little-endian, row after row
    shape: tuple[int, int] = (0, 0)
    class_name: str = ""
    probability: float = 0.0
    predicted: str = ""
    bad_field: str = ""  # image, class_name, method or model
    why: str = ""


class ExplainWorker:
    """Holds the models that were asked last. One call at a time: gradients take memory."""

    def __init__(self, max_models: int = 2, threads: int = 1, logs: LogSettings | None = None) -> None:
        """`logs`: how the process writes its log, which then is this worker's alone."""
        if logs is not None:
            set_up(logs)
            log_uncaught()
        self._models: OrderedDict[str, Predictor] = OrderedDict()
        self._max_models, self._threads = max_models, threads

    def explain(self, export: str, image: bytes, method: str, class_name: str | None) -> Explained:
        """Ask the model of an export folder where its score of a class comes from. None: the predicted class."""
        from learnfleet.trainer.errors import LearnerError
        from learnfleet.trainer.explain import explain
        from learnfleet.trainer.images import BadImage
        from learnfleet.trainer.manifest import CorruptCheckpoint

        try:
            model = self._model(export)
        except (LearnerError, CorruptCheckpoint, OSError) as error:
            return Explained(bad_field="model", why=f"cannot be loaded: {error}")
        try:
            found = explain(model, image, method, class_name)
        except BadImage as error:
            return Explained(bad_field="image", why=f"is no picture that can be read: {error.reason}")
        except LearnerError as error:
            return Explained(bad_field=error.field, why=error.message)
        except (RuntimeError, MemoryError) as error:  # the network's own: too few pixels for its layers, or too many
            told = " ".join(str(error).split())[:_MOST_TOLD]
            return Explained(bad_field="image", why=f"cannot be computed by this model: {told}")
        rows, columns = found.map.shape
        return Explained(
            found.overlay,
            found.map.astype("<f4").tobytes(),
            (int(rows), int(columns)),
            found.class_name,
            found.probability,
            found.predicted,
        )

    def _model(self, export: str) -> Predictor:
        from learnfleet.trainer.predictor import load_predictor
        from learnfleet.trainer.threads import use_threads

        if export not in self._models:
            use_threads(self._threads)
            self._models[export] = load_predictor(Path(export))
            if len(self._models) > self._max_models:
                self._models.popitem(last=False)
        self._models.move_to_end(export)
        return self._models[export]
