"""Body weights from a local file: read as plain tensors only, and matched strictly."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from learnfleet.trainer.body_info import BodyTensors
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.network import Network
from learnfleet.trainer.tensor_names import shapes_of

_NESTED = ("state_dict", "model")  # what training scripts wrap a state dict in


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors, .pth or .pt file. Raises LearnerError. No code in a file is ever run."""
    if not path.is_file():
        raise LearnerError("weights.path", f"there is no file {path}")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _read_torch(path)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise LearnerError(
            "weights.path", f"{path.name} is not a file of plain tensors ({str(error).splitlines()[0]})"
        ) from error
    for key in _NESTED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise LearnerError("weights.path", f"{path.name} holds something other than tensors by name")
    return content


def _read_torch(path: Path) -> object:
    if path.suffix not in (".pth", ".pt"):
        raise LearnerError("weights.path", f"{path.name}: the file must end in .safetensors, .pth or .pt")
    return torch.load(path, map_location="cpu", weights_only=True)


def load_body_weights(network: Network, body: nn.Module, path: Path) -> None:
    """Load a file into `network`, of which `body` is the part that is kept.

    Keys of the classifier are dropped, on both sides. Raises LearnerError naming the keys for every other difference.
    """
    found, wanted = read_weights(path), tensors_of(network, body)
    wanted.check(path.name, shapes_of(found))
    network.module.load_state_dict({name: found[name] for name in wanted.relevant(found)}, strict=False)


def tensors_of(network: Network, body: nn.Module) -> BodyTensors:
    """What a file of weights must hold for `body`, the part of `network` that is kept."""
    shapes = shapes_of(network.module.state_dict())
    kept = _kept_names(network.module, body)
    classifier = {_first(name) for name in shapes if name not in kept} - {_first(name) for name in kept}
    return BodyTensors(
        network.name,
        {name: shape for name, shape in shapes.items() if name in kept},
        frozenset(name for name in shapes if name not in kept),
        frozenset(classifier | set(network.classifier)),
    )


def _first(name: str) -> str:
    return name.split(".", 1)[0]


def _kept_names(module: nn.Module, body: nn.Module) -> set[str]:
    kept = {id(tensor) for tensor in (*body.parameters(), *body.buffers())}
    tensors = (*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False))
    return {name for name, tensor in tensors if id(tensor) in kept}
