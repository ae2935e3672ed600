"""What a recurrent model carries from batch to batch, and no `state_dict` tells of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_KINDS: dict[str, type[list[Any]] | type[tuple[Any, ...]]] = {"list": list, "tuple": tuple}


def carried_state(model: nn.Module) -> dict[str, Tensor]:
    """Tensors by their place in the model, live: all that its modules hold beside what `state_dict` gives.

    Those are attributes that are tensors, or lists and tuples of tensors however nested, and buffers that are not
    persistent. An attribute that holds anything else beside, or a parameter, is left out.
    """
    saved = model.state_dict(keep_vars=True)
    found = {name: buffer for name, buffer in model.named_buffers() if name not in saved}
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            if _is_state(value):
                found.update(_leaves(value, f"{name}:{attribute}"))
    return found


@torch.no_grad()
def load_carried_state(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a model of the same kind what `carried_state` gave. Raises KeyError or AttributeError for another kind."""
    buffers, modules = dict(model.named_buffers()), dict(model.named_modules())
    attributes: dict[str, dict[str, Tensor]] = {}
    for place, tensor in tensors.items():
        if ":" not in place:
            buffers[place].copy_(tensor)
            continue
        attribute, _, inside = place.partition("/")
        attributes.setdefault(attribute, {})[inside] = tensor.to(next(model.parameters()).device)
    for place, leaves in attributes.items():
        name, _, attribute = place.rpartition(":")
        setattr(modules[name], attribute, _joined(leaves))


def _is_state(value: object) -> bool:
    if type(value) in _KINDS.values():
        return bool(value) and all(_is_state(item) for item in value)  # type: ignore[attr-defined]
    return isinstance(value, Tensor) and not isinstance(value, nn.Parameter)


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Tensor]]:
    """Each tensor, with the kind and the index of what it lies in: `:hidden/list.0/tuple.1`."""
    if isinstance(value, Tensor):
        yield place, value.detach()
        return
    for index, item in enumerate(value):
        yield from _leaves(item, f"{place}/{type(value).__name__}.{index}")


def _joined(leaves: dict[str, Tensor]) -> Any:
    """The opposite of `_leaves`."""
    if "" in leaves:
        return leaves[""]
    items: dict[int, dict[str, Tensor]] = {}
    for place, tensor in leaves.items():
        head, _, inside = place.partition("/")
        kind, _, index = head.partition(".")
        items.setdefault(int(index), {})[inside] = tensor
    return _KINDS[kind](_joined(items[index]) for index in sorted(items))
