"""Weights that fastai v1 or v2 (or plain torch) saved as `.pth`, for learners of the same layout.

Both save `{"model": state_dict, "opt": ...}`, or the state_dict alone. Only plain tensors are read, by torch's
restricted unpickler; what a v2 optimiser brings along is replaced by empty stand-ins and forgotten.

Names of a `cnn_learner` are those of v1 and v2 alike: `0.` the body's children, `1.` the head's layers; v2 has a timm
body under `0.model.`. The linear layers of a v2 head have no bias, which is a bias of zero. The names of a U-Net are
those of v1; one of v2 computes something else from the same shapes, so it is refused, as is a DenseNet, whose last ReLU
both versions lose.
"""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.tensor_names import list_names

_GLOBAL = re.compile(r"GLOBAL (\S+)")
_V2_TIMM = "0.model."
_V2_UNET = (".convpath.", ".shuf.0.")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WeightsFile:
    """What a file held."""

    tensors: dict[str, Tensor]
    has_optimizer: bool


class _Nothing:
    """Stands in for what a v2 optimiser is saved with: takes any state and keeps none."""

    def __setstate__(self, state: object) -> None:
        """Forget it."""


def _nothing(*_parts: object) -> _Nothing:
    return _Nothing()


# (stand-in, the name in the file). numpy's are those of hyper-parameters that a schedule computed.
_STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Nothing, "fastcore.foundation.L"),
    (_nothing, "numpy.core.multiarray.scalar"),
    (_nothing, "numpy._core.multiarray.scalar"),
    (_nothing, "numpy.dtype"),
    (_nothing, "_codecs.encode"),
]


def read(file: Path, device: torch.device) -> WeightsFile:
    """The tensors of a file. No code in it is ever run.

    Raises LearnerError for a file that holds anything but tensors by name, FileNotFoundError.
    """
    content: object = load_file(file, str(device)) if _is_safetensors(file) else _unpickle(file, device)
    has_optimizer = isinstance(content, dict) and "opt" in content and isinstance(content.get("model"), dict)
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    if not isinstance(content, dict) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise LearnerError("file", f"{file.name} holds something other than tensors by name")
    return WeightsFile({str(name): value for name, value in content.items()}, has_optimizer)


def _is_safetensors(file: Path) -> bool:
    return file.suffix == ".safetensors"


def _unpickle(file: Path, device: torch.device) -> object:
    try:
        with torch.serialization.safe_globals(_STAND_INS):
            return torch.load(file, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        named = _GLOBAL.search(str(error))
        what = f" ({named[1]})" if named else ""
        raise LearnerError(
            "file",
            f"{file.name} is refused: it holds Python objects{what}, and reading those would run whatever they say. "
            "Save the weights alone: torch.save(model.state_dict(), ...) or fastai's learn.save(..., with_opt=False)",
        ) from error
    except Exception as error:  # of damaged bytes the unpickler raises whatever comes
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise LearnerError("file", f"{file.name} is not a file of tensors ({first})") from error


def adapted(model: nn.Module, tensors: Mapping[str, Tensor], file_name: str) -> dict[str, Tensor]:
    """The tensors by the names of `model`. Raises LearnerError for those that it would compute something else from."""
    if any(part in name for name in tensors for part in _V2_UNET):
        raise LearnerError(
            "file",
            f"{file_name} is of a fastai v2 U-Net: its last block adds before its ReLU, this one (as in v1) after it,"
            " so the same weights would give other masks. Train it here, or convert the body alone",
        )
    if any(".denseblock" in name for name in tensors) and _ends_in(model, nn.ReLU):
        raise LearnerError(
            "file",
            f"{file_name} is of a DenseNet without its last ReLU, which fastai loses, and this model has it: make the"
            " learner with cut=-1, as fastai's is",
        )
    tensors = _unwrapped_timm(model, tensors)
    biases = _head_biases(model)
    weights = {name.removesuffix("bias") + "weight" for name in biases}
    if not biases or not weights <= set(tensors) or set(biases) & set(tensors):
        return dict(tensors)
    _log.info("%s has a head of fastai v2: %s", file_name, list_names("biases are zero", list(biases)))
    if _ends_in(model, nn.AdaptiveAvgPool2d):
        _log.warning("fastai v2 cuts this body before its pooling: make the learner with cut=-2 for the same outputs")
    return {**tensors, **biases}


def _ends_in(model: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether the body of a `cnn_learner` ends in such a layer."""
    body = model[0] if isinstance(model, nn.Sequential) else None
    return isinstance(body, nn.Sequential) and len(body) > 0 and isinstance(body[-1], kind)


def _unwrapped_timm(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names without the `model.` that v2 has before those of a timm body."""
    if any(name.startswith(_V2_TIMM) for name in model.state_dict()):
        return dict(tensors)
    return {"0." + name.removeprefix(_V2_TIMM) if name.startswith(_V2_TIMM) else name: t for name, t in tensors.items()}


def _head_biases(model: nn.Module) -> dict[str, Tensor]:
    """Zeros for each bias of a linear layer in the head of a `cnn_learner`."""
    if not isinstance(model, nn.Sequential) or len(model) != 2:
        return {}
    return {
        f"1.{name}.bias": torch.zeros_like(layer.bias)
        for name, layer in model[1].named_modules()
        if isinstance(layer, nn.Linear) and layer.bias is not None
    }
