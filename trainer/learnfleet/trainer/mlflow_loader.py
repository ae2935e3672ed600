"""MLflow's pyfunc protocol for an export: `loader_module="learnfleet.trainer.mlflow_loader"`. Imports no mlflow."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learnfleet.trainer.images import BadImage

if TYPE_CHECKING:
    from learnfleet.trainer.predictor import Prediction, Predictor

_BATCH = 32
_NOT_BASE64 = "text that is not base64 of a picture"


class PyfuncModel:
    """Predicts pictures given as bytes or base64 text: in a list, an array, or the one column of a DataFrame."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """A row a picture: class_name, index, probability, probabilities by class, or `error` saying what is wrong.

        Several labels have `labels` too, numbers `values`, and masks `mask_png` (base64 of an 8-bit picture whose
        values are classes) and `classes`; what a kind does not have is None or empty.

        A DataFrame gives a DataFrame with the same index, anything else a list of dicts.

        Args:
            params: `top_k` limits `probabilities` to so many of the most probable classes (0: all); `tta` averages
                over zoomed and mirrored variants, as `Learner.TTA`.
        """
        asked = dict(params or {})
        top_k = int(asked.get("top_k") or len(self._predictor.classes))
        answers = self._answers(_pictures_in(model_input), tta=bool(asked.get("tta", False)))
        rows = [self._row(answer, top_k) for answer in answers]
        if hasattr(model_input, "iloc"):
            # As objects: pandas would make NaN of what is None, and JSON has none of those.
            return type(model_input.iloc[:, :0])(rows, index=model_input.index, dtype=object)
        return rows

    def _answers(self, values: Sequence[bytes | BadImage], *, tta: bool) -> Iterator[Prediction | BadImage]:
        """One a value, in their order, of batches."""
        for first in range(0, len(values), _BATCH):
            batch = values[first : first + _BATCH]
            files = [value for value in batch if not isinstance(value, BadImage)]
            found = iter(self._predictor.predict_sources(files, tta=tta))
            yield from (value if isinstance(value, BadImage) else next(found) for value in batch)

    def _row(self, answer: Prediction | BadImage, top_k: int) -> dict[str, Any]:
        if isinstance(answer, BadImage):
            return {"class_name": None, "index": None, "probability": None, "probabilities": {}, "error": answer.reason}
        has_class = answer.index >= 0
        return {
            "class_name": answer.class_name or None,
            "index": answer.index if has_class else None,
            "probability": answer.probabilities[answer.index] if has_class else None,
            "probabilities": self._best(answer.probabilities, top_k),
            **self._own(answer),
            "error": None,
        }

    def _best(self, probabilities: Sequence[float], top_k: int) -> dict[str, float]:
        named = zip(self._predictor.classes, probabilities, strict=False)  # numbers have classes and no probabilities
        return dict(sorted(named, key=lambda pair: -pair[1])[:top_k])

    def _own(self, answer: Prediction) -> dict[str, Any]:
        """What only this kind of label has."""
        from learnfleet.trainer.data_spec import LabelKind

        if answer.kind is LabelKind.MULTI_CATEGORY:
            return {"labels": list(getattr(answer.item, "obj", ()))}
        if answer.kind in (LabelKind.FLOAT, LabelKind.POINTS):
            return {"values": list(answer.values)}
        if answer.kind is LabelKind.IMAGE:
            return {"picture_png": answer.picture_png()}
        if answer.kind is LabelKind.MASK:
            return {"mask_png": answer.mask_png(), "classes": list(self._predictor.classes)}
        return {}


def _pictures_in(model_input: Any) -> list[bytes | BadImage]:
    if hasattr(model_input, "iloc"):
        if model_input.ndim == 2 and model_input.shape[1] != 1:
            raise ValueError(f"one column of pictures is wanted, not {model_input.shape[1]}")
        model_input = model_input.iloc[:, 0] if model_input.ndim == 2 else model_input
    values = [model_input] if isinstance(model_input, bytes | str) else model_input
    return [_as_bytes(value) for value in _flatten(values)]


def _flatten(values: Iterable[Any]) -> Iterable[Any]:
    return values.reshape(-1).tolist() if hasattr(values, "reshape") else values


def _as_bytes(value: Any) -> bytes | BadImage:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if not isinstance(value, str):
        raise ValueError(f"a picture must be bytes or base64 text, not {type(value).__name__}")
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        return BadImage("<input>", _NOT_BASE64)


def _load_pyfunc(data_path: str) -> PyfuncModel:
    """MLflow calls this with the folder of the export (or one that holds it as its only folder)."""
    from learnfleet.trainer.export import SPEC_FILE
    from learnfleet.trainer.predictor import load_predictor

    folder = Path(data_path)
    if not (folder / SPEC_FILE).exists():
        inner = [path.parent for path in folder.glob(f"*/{SPEC_FILE}")]
        folder = inner[0] if len(inner) == 1 else folder
    return PyfuncModel(load_predictor(folder))
