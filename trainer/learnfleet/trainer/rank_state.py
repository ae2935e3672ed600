"""What the callbacks of a fit keep on each rank for itself, brought together for a checkpoint, and given back."""

from __future__ import annotations

from collections.abc import Mapping

from safetensors.torch import load, save
from torch import Tensor

from learnfleet.trainer.callback import Callback, Events
from learnfleet.trainer.checkpoint import to_cpu
from learnfleet.trainer.distributed import World


def gather_rank_tensors(events: Events, world: World) -> dict[str, Tensor]:
    """The `rank_tensors` of every callback and rank, by `<callback>@<rank>/<name>`. Every rank must call.

    Where no callback keeps any nothing is exchanged.
    """
    named = {name: item for name, item in events.names().items() if _keeps_rank_tensors(item)}
    if not named:
        return {}
    own = {_key(name, world.rank, key): t for name, item in named.items() for key, t in item.rank_tensors().items()}
    if world.size == 1:
        return own
    parts = [load(content) for content in world.gather_bytes(save(to_cpu(own)))]
    return {key: tensor for part in parts for key, tensor in part.items()}


def restore_rank_tensors(events: Events, saved: Mapping[str, Tensor], rank: int) -> None:
    """Give each callback what it had on this rank."""
    for name, callback in events.names().items():
        prefix = _key(name, rank, "")
        tensors = {key.removeprefix(prefix): t for key, t in saved.items() if key.startswith(prefix)}
        if tensors:
            callback.load_rank_tensors(tensors)


def _key(callback: str, rank: int, name: str) -> str:
    return f"{callback}@{rank}/{name}"


def _keeps_rank_tensors(callback: Callback) -> bool:
    """Told by the class, so that all ranks agree on whether there is anything to exchange."""
    return type(callback).rank_tensors is not Callback.rank_tensors
