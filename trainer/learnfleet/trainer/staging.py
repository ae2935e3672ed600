"""Memory that snapshots are copied into while training waits, and that the next one uses again.

Touching new memory for the first time costs more than the copy itself, so the first snapshot's is made beforehand, in
the background, and kept until training ends: one copy of weights, moments and what callbacks hold.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future

import torch
from torch import Tensor

from learnfleet.trainer.threads import helping_threads

_MOST_THREADS = 4  # more do not copy faster: memory is the limit
Named = dict[str, Tensor]
Pairs = list[tuple[Tensor, Tensor]]  # (to, from)


class Staging:
    """Copies of tensors on the CPU, the same memory each time. What it gave before is overwritten by the next copy."""

    def __init__(self) -> None:
        self._threads = min(_MOST_THREADS, os.cpu_count() or 1)
        self._pool = helping_threads(self._threads, "staging")
        self._parts: dict[str, Named] = {}
        self._preparing: list[Future[None]] = []

    def prepare(self, part: str, tensors: Named) -> None:
        """Make what memory these tensors want beside what there is, in the background. Returns at once."""
        kept = self._parts.get(part, {})
        self._parts[part] = buffers = self._memory(part, tensors)
        made = [buffer for name, buffer in buffers.items() if kept.get(name) is not buffer]
        self._preparing.append(self._pool.submit(_touch, made))

    def copy(self, part: str, tensors: Named) -> Named:
        """Copies of `tensors`, in memory that is used again by the next copy of this part."""
        self._settle()
        self._parts[part] = buffers = self._memory(part, tensors)
        shares = [
            [(buffers[name], tensors[name].detach()) for name in names] for names in _shares(tensors, self._threads)
        ]
        for job in [self._pool.submit(_copy, share) for share in shares]:
            job.result()
        return dict(buffers)

    def close(self) -> None:
        """Give the memory back."""
        self._settle()
        self._pool.shutdown(wait=True)
        self._parts.clear()

    def _settle(self) -> None:
        preparing, self._preparing = self._preparing, []
        for job in preparing:
            job.result()

    def _memory(self, part: str, tensors: Named) -> Named:
        """A buffer for each tensor: that of the last time where it fits."""
        kept = self._parts.get(part, {})
        return {name: _fitting(kept.get(name), tensor) for name, tensor in tensors.items()}


def _fitting(buffer: Tensor | None, tensor: Tensor) -> Tensor:
    if buffer is not None and buffer.shape == tensor.shape and buffer.dtype == tensor.dtype:
        return buffer
    # Pinned memory is what a GPU can copy to without a detour.
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.device.type == "cuda")


@torch.no_grad()
def _touch(buffers: Sequence[Tensor]) -> None:
    for buffer in buffers:
        buffer.zero_()


@torch.no_grad()
def _copy(pairs: Pairs) -> None:
    """Copy, with the interpreter free for other threads, and wait for the GPU where there is one."""
    for to, source in pairs:
        to.copy_(source, non_blocking=True)
    for device in {source.device for _, source in pairs if source.device.type == "cuda"}:
        torch.cuda.synchronize(device)


def _shares(tensors: Named, count: int) -> list[list[str]]:
    """The names in `count` lists of about equal bytes: the greatest first, each to the list that has least."""
    shares: list[list[str]] = [[] for _ in range(count)]
    loads = [0] * count
    for name in sorted(tensors, key=lambda name: -tensors[name].nbytes):
        least = loads.index(min(loads))
        shares[least].append(name)
        loads[least] += tensors[name].nbytes
    return shares
