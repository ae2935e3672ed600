"""An export's model as ONNX, checked against itself. What can go wrong is told as a reason and never raised."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.eval_transform import EvalTransform
from learnfleet.trainer.export import ONNX_FILE, ExportSpec, read_export
from learnfleet.trainer.losses import Activation, activation_of, build_loss
from learnfleet.trainer.manifest import MODEL_FILE
from learnfleet.trainer.model_build import build_model
from learnfleet.trainer.model_card import OnnxFacts
from learnfleet.trainer.onnx_same_padding import same_padding_by_onnx
from learnfleet.trainer.pixels import Stats, normalizing

INPUT = "pixels"
_NEEDS = ("onnx", "onnxscript", "onnxruntime")
_TRACED_ITEMS = 2
_CHECKED_BATCHES = (1, 5)  # others than the traced one, so that the batch is seen to be free
_ANY_SIZES = ((224, 256), (192, 160))  # of a model that takes every size: traced with the first, checked with both
_TOLERANCE = 1e-3  # of the outputs, relative to the largest of them or to 1
_REASON_CHARS = 500

_log = logging.getLogger(__name__)


class WholeModel(nn.Module):
    """From uint8 pixels to raw and activated outputs: normalisation, model and activation in one graph."""

    scale: Tensor
    shift: Tensor

    def __init__(self, model: nn.Module, activation: Activation, stats: Stats) -> None:
        super().__init__()
        self.model, self.activation = model, activation
        scale, shift = normalizing(stats)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 3, rows, columns], not normalised."""
        raw = self.model(pixels.float() * self.scale + self.shift)
        if not isinstance(raw, Tensor):
            raise TypeError(f"the model gives {type(raw).__name__}, not one tensor")
        activated = self.activation(raw)
        return raw, activated.clone() if activated is raw else activated


def output_names(kind: LabelKind) -> tuple[str, str]:
    """Of the raw outputs and of what the activation makes of them."""
    if kind in (LabelKind.CATEGORY, LabelKind.MULTI_CATEGORY, LabelKind.MASK):
        return "logits", "probabilities"
    return "raw", "values"


def write_onnx(export: Path, folder: Path) -> OnnxFacts:
    """Write `folder`/model.onnx of the export's model, in float32, and say how far it is from the original."""
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        names = ", ".join(missing)
        return OnnxFacts(reason=f"{names} not installed where the model was exported: pip install 'learnfleet[onnx]'")
    target = folder / ONNX_FILE
    try:
        return _write(read_export(export), load_file(export / MODEL_FILE), target)
    except Exception as error:  # the exporter raises whatever it meets in a model
        _log.warning("the model cannot be had as ONNX", exc_info=True)
        target.unlink(missing_ok=True)
        return OnnxFacts(reason=_short(error))


def _write(content: ExportSpec, weights: dict[str, Tensor], target: Path) -> OnnxFacts:
    import onnxruntime

    transform = EvalTransform.from_json(content.eval_transform)
    whole = _whole(content, weights, transform)
    opset = _convert(whole, content, transform.size, target)
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    difference, largest, items = _compare(whole, session, transform.size)
    if not difference <= _TOLERANCE * max(1.0, largest):
        raise ValueError(f"its outputs differ from the model's by {difference:.3g}, and the largest is {largest:.3g}")
    return OnnxFacts(ONNX_FILE, opset, difference, items, f"onnxruntime {onnxruntime.__version__}")


def _whole(content: ExportSpec, weights: dict[str, Tensor], transform: EvalTransform) -> WholeModel:
    with torch.random.fork_rng(devices=[]):
        model = build_model(content.learner, len(content.classes))
    model.load_state_dict(weights)
    loss = content.learner.loss_component()
    activation = activation_of(build_loss(loss.name, loss.arguments))
    whole = WholeModel(model, activation, (transform.mean, transform.std))
    return whole.eval().requires_grad_(False)


def _convert(whole: WholeModel, content: ExportSpec, size: tuple[int, ...], target: Path) -> int:
    """Write the file; its opset."""
    free = [0] if size else [0, 2, 3]
    shapes = dict.fromkeys(free, torch.export.Dim.DYNAMIC)
    pixels = _pixels(_TRACED_ITEMS, *(size or _ANY_SIZES[0]))
    with warnings.catch_warnings(), nullcontext() if size else same_padding_by_onnx(whole):
        warnings.simplefilter("ignore")  # of torch's own making
        program: Any = torch.onnx.export(
            whole,
            (pixels,),
            dynamo=True,
            dynamic_shapes=(shapes,),
            input_names=[INPUT],
            output_names=list(output_names(content.learner.data.labels)),
            external_data=False,
            verbose=False,
        )
    _describe(program.model, content)
    program.save(target, external_data=False)
    return int(program.model.opset_imports[""])


def _describe(model: Any, content: ExportSpec) -> None:
    """What whoever has the file alone needs to know; and no source lines of the machine where it was made."""
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
    model.metadata_props.update(
        {
            "learnfleet_version": content.learnfleet_version,
            "kind": str(content.learner.data.labels),
            "classes": json.dumps(list(content.classes)),
            "eval_transform": json.dumps(content.eval_transform),
        }
    )


def _compare(whole: WholeModel, session: Any, size: tuple[int, ...]) -> tuple[float, float, int]:
    """(greatest difference of activated outputs, the largest of these, items looked at)."""
    difference = largest = 0.0
    batches = list(_batches(size))
    for pixels in batches:
        with torch.no_grad():
            expected = whole(pixels)[1].numpy()
        found = session.run(None, {INPUT: pixels.numpy()})[1]
        if found.shape != expected.shape:
            raise ValueError(f"its outputs have the shape {found.shape}, not {expected.shape}")
        difference = max(difference, float(np.abs(found - expected).max(initial=0.0)))
        largest = max(largest, float(np.abs(expected).max(initial=0.0)))
    return difference, largest, sum(len(pixels) for pixels in batches)


def _batches(size: tuple[int, ...]) -> Iterator[Tensor]:
    for sides in [size] if size else _ANY_SIZES:
        for items in _CHECKED_BATCHES:
            yield _pixels(items, *sides)


def _pixels(items: int, rows: int, columns: int) -> Tensor:
    """Noise, the same every time."""
    random = torch.Generator().manual_seed(items)
    return torch.randint(0, 256, (items, 3, rows, columns), dtype=torch.uint8, generator=random)


def _short(error: Exception) -> str:
    """The first lines of an exporter's message, which may have thousands."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= _REASON_CHARS else f"{text[:_REASON_CHARS]}..."
