"""One process or many: everything the trainer asks of torch.distributed.

All functions work without an initialised process group, where they are the identity.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from learnfleet.trainer.checksum import checksum
from learnfleet.trainer.errors import LearnerError, describe_error, error_described

T = TypeVar("T")

_control_groups: WeakKeyDictionary[dist.ProcessGroup, dist.ProcessGroup] = WeakKeyDictionary()


@dataclass(frozen=True)
class World:
    """The processes that train one model together."""

    rank: int = 0
    size: int = 1
    control: dist.ProcessGroup | None = None  # gloo: small CPU tensors, never the gradients

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Sum a CPU tensor over all ranks, in place. Every rank must call."""
        if self.size > 1:
            dist.all_reduce(values, group=self.control)
        return values

    def max(self, values: Tensor) -> Tensor:
        """The greatest of each value of a CPU tensor over all ranks, in place. Every rank must call."""
        if self.size > 1:
            dist.all_reduce(values, op=dist.ReduceOp.MAX, group=self.control)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank. Every rank must call."""
        return bool(self.sum(torch.tensor([float(flag)])).item() > 0)

    def broadcast_json(self, value: Any, source: int = 0) -> Any:
        """One rank's JSON-able value on every rank. Every rank must call."""
        if self.size == 1:
            return value
        content = json.dumps(value).encode() if self.rank == source else b""
        length = self.sum(torch.tensor([len(content)]))
        buffer = torch.frombuffer(bytearray(content.ljust(int(length), b" ")), dtype=torch.uint8)
        dist.broadcast(buffer, src=source, group=self.control)
        return json.loads(bytes(buffer.tolist()))

    def on_main(self, action: Callable[[], None]) -> None:
        """Rank 0 does it while the others wait. Its error is raised on all ranks. Every rank must call."""
        failure: Exception | None = None
        if self.is_main:
            try:
                action()
            except Exception as error:
                failure = error
        told = self.broadcast_json(describe_error(failure) if failure else None)
        if failure is not None:
            raise failure
        if told is not None:
            raise error_described(told)

    def on_each(self, action: Callable[[], T]) -> T:
        """What every rank does for itself. An error of any rank is raised on all: nobody goes on alone.

        The ranks that did not fail raise the error of the first that did. Every rank must call.
        """
        failure: Exception | None = None
        try:
            answer = action()
        except Exception as error:
            failure = error
        first = self._first_failed(failure is not None)
        if first is None:
            return answer
        told = self.broadcast_json(describe_error(failure) if failure else None, source=first)
        raise failure or error_described(told)

    def _first_failed(self, failed: bool) -> int | None:
        flags = torch.zeros(self.size)
        flags[self.rank] = float(failed)
        self.sum(flags)
        return int(flags.argmax()) if flags.any() else None

    def gather_rows(self, rows: Tensor) -> Tensor:
        """The rows of all ranks, rank by rank, on every rank. CPU; ranks may hold different numbers of rows."""
        if self.size == 1:
            return rows
        counts = torch.zeros(self.size, dtype=torch.int64)
        counts[self.rank] = len(rows)
        self.sum(counts)
        padded = rows.new_zeros((int(counts.max()), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded.contiguous(), group=self.control)
        return torch.cat([part[:count] for part, count in zip(parts, counts.tolist(), strict=True)])

    def gather_bytes(self, content: bytes) -> list[bytes]:
        """What every rank gives, rank by rank, on every rank. Every rank must call, with at least one byte."""
        if self.size == 1:
            return [content]
        sizes = self.gather_rows(torch.tensor([len(content)])).tolist()
        joined = self.gather_rows(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        return [part.numpy().tobytes() for part in torch.split(joined, sizes)]

    def share_buffers(self, model: nn.Module) -> None:
        """Give every rank the buffers (BatchNorm statistics) of rank 0, so that all evaluate one and the same model.

        Those of a type go together: a resnet18 has 60, and each exchange costs the same however small it is.
        """
        if self.size == 1:
            return
        alike = defaultdict[tuple[torch.dtype, torch.device], list[Tensor]](list)
        for buffer in model.buffers():
            alike[buffer.dtype, buffer.device].append(buffer.detach())
        for buffers in alike.values():
            joined = torch.cat([buffer.reshape(-1) for buffer in buffers])
            dist.broadcast(joined, src=0)
            parts = torch.split(joined, [buffer.numel() for buffer in buffers])
            for buffer, part in zip(buffers, parts, strict=True):
                buffer.copy_(part.view_as(buffer))

    def without_exchange(self, wrapped: nn.Module) -> AbstractContextManager[object]:
        """Gradients of a model from `wrap` stay each rank's own here, and are added to those of the next exchange."""
        return wrapped.no_sync() if isinstance(wrapped, DistributedDataParallel) else nullcontext()

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over the ranks. All ranks start from rank 0's weights and buffers."""
        if self.size == 1:
            return model
        device = next(model.parameters()).device
        # DDP re-packs its buckets after its first iteration, so the first iteration after a resume would have
        # other bucket borders than the same step of a run never interrupted. With two ranks a sum has one order and
        # nothing changes; with more, the ring adds in an order that depends on the place in the bucket and the last
        # bits differ. find_unused_parameters is what keeps DDP from re-packing.
        return DistributedDataParallel(
            model,
            device_ids=[device.index] if device.type == "cuda" else None,
            find_unused_parameters=self.size > 2,
            gradient_as_bucket_view=True,
            init_sync=not self._is_alike(model, device),
        )

    def _is_alike(self, model: nn.Module, device: torch.device) -> bool:
        """Whether all ranks have the same bits in all weights and buffers. Every rank must call.

        From job to job they have, and on a CPU it takes a tenth of the time to find out that it takes to send them all:
        most of what passed until a warm learner's first step. A GPU sends them faster than it could show them.
        """
        if device.type == "cuda":
            return False
        own = checksum({**dict(model.named_parameters()), **dict(model.named_buffers())})
        greatest = self.max(torch.tensor([*own, *(-part for part in own)]))
        most, least = greatest[: len(own)], -greatest[len(own) :]
        return torch.equal(most, least)


def setup_distrib(gpu: int | None = None) -> int | None:
    """Join the processes that were started together, unless that is done already (fastai v1). Returns `gpu`.

    Raises LearnerError where this process is not one of several.
    """
    if gpu is not None:
        if gpu >= torch.cuda.device_count():
            told = f"there is no GPU {gpu} here ({torch.cuda.device_count()} found): without, leave `cuda_id` out"
            raise LearnerError("to_distributed", told)
        torch.cuda.set_device(gpu)
    if dist.is_initialized():
        return gpu
    missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise LearnerError(
            "to_distributed",
            f"this process is not one of several: {', '.join(missing)} are not in the environment. Start the script"
            " with `torchrun --nproc_per_node=2 script.py`",
        )
    dist.init_process_group("gloo" if gpu is None else "nccl", init_method="env://")
    return gpu


def current_world() -> World:
    """The world of the default process group, or a world of one. Every rank of the group must call."""
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return World()
    return World(dist.get_rank(), dist.get_world_size(), _control_group())


def _control_group() -> dist.ProcessGroup:
    """A gloo group over all ranks, made once for each default group."""
    default = dist.distributed_c10d._get_default_group()
    if dist.get_backend() == "gloo":
        return default
    if default not in _control_groups:
        group = dist.new_group(backend="gloo")
        assert isinstance(group, dist.ProcessGroup)  # this rank is in it: it is over all ranks
        _control_groups[default] = group
    return _control_groups[default]
