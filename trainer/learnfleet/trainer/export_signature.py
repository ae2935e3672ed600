"""What goes into an export's model and what comes out, in the JSON that MLflow has for signatures. Imports no torch."""

from __future__ import annotations

from typing import Any

from learnfleet.trainer.data_spec import LabelKind

SIGNATURE_FILE = "signature.json"
INPUT_COLUMN = "image"

_NUMBERS: dict[str, Any] = {"type": "array", "items": {"type": "double"}}
_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_BY_CLASS: dict[str, Any] = {"type": "map", "values": {"type": "double"}}
_OWN: dict[LabelKind, list[dict[str, Any]]] = {
    LabelKind.MULTI_CATEGORY: [{"name": "labels", **_TEXTS}],
    LabelKind.FLOAT: [{"name": "values", **_NUMBERS}],
    LabelKind.POINTS: [{"name": "values", **_NUMBERS}],
    LabelKind.IMAGE: [{"name": "picture_png", "type": "string"}],
    LabelKind.MASK: [{"name": "mask_png", "type": "string"}, {"name": "classes", **_TEXTS}],
}


def signature(kind: LabelKind) -> dict[str, list[dict[str, Any]]]:
    """`inputs`, `outputs` and `params` of the `PyfuncModel` (mlflow_loader.py) of such a model.

    Every output may be missing: a picture that cannot be read has an `error` and nothing else.
    """
    outputs = [
        {"name": "class_name", "type": "string"},
        {"name": "index", "type": "long"},
        {"name": "probability", "type": "double"},
        {"name": "probabilities", **_BY_CLASS},
        *_OWN.get(kind, []),
        {"name": "error", "type": "string"},
    ]
    return {
        "inputs": [{"name": INPUT_COLUMN, "type": "binary", "required": True}],
        "outputs": [{**column, "required": False} for column in outputs],
        "params": [
            {"name": "top_k", "type": "long", "default": 0, "shape": None},
            {"name": "tta", "type": "boolean", "default": False, "shape": None},
        ],
    }
