"""What the tags of a model version say, and how they say it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from learnfleet.trainer.model_card import ModelCard, OnnxFacts

TENANT_TAG = "learnfleet.tenant"  # of the registered model
CHECKPOINT_TAG, SHA256_TAG = "learnfleet.checkpoint", "learnfleet.model_sha256"
METRICS_TAG = "learnfleet.metrics"
ONNX_OPSET_TAG, ONNX_DIFFERENCE_TAG = "learnfleet.onnx_opset", "learnfleet.onnx_max_abs_difference"
ONNX_NOT_MADE_TAG = "learnfleet.onnx_not_made"


def card_tags(card: ModelCard | None) -> dict[str, str]:
    """What a version's tags say of its metrics and of ONNX. None: an export of format 1."""
    if card is None:
        return {}
    tags = {METRICS_TAG: json.dumps(card.metrics)} if card.metrics else {}
    return tags | (_onnx_tags(card.onnx) if card.onnx is not None else {})


def _onnx_tags(onnx: OnnxFacts) -> dict[str, str]:
    if not onnx.file:
        return {ONNX_NOT_MADE_TAG: onnx.reason}
    return {ONNX_OPSET_TAG: str(onnx.opset), ONNX_DIFFERENCE_TAG: str(onnx.max_abs_difference)}


def metrics_in(tags: Mapping[str, str]) -> dict[str, float]:
    """Inverse of `card_tags`; empty where somebody has written something else there."""
    try:
        found = json.loads(tags.get(METRICS_TAG, "{}"))
        return {str(name): float(value) for name, value in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def onnx_in(tags: Mapping[str, str]) -> OnnxFacts | None:
    """Inverse of `card_tags`; None where the version was made without asking for ONNX."""
    if reason := tags.get(ONNX_NOT_MADE_TAG):
        return OnnxFacts(reason=reason)
    try:
        return OnnxFacts(opset=int(tags[ONNX_OPSET_TAG]), max_abs_difference=float(tags[ONNX_DIFFERENCE_TAG]))
    except (KeyError, ValueError):
        return None
