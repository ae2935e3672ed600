"""One training process: how it joins the others, and what must be set before torch computes anything."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
import torch.distributed as dist

DEFAULT_TIMEOUT_S = 60.0


def join_group(init_method: str, rank: int, world_size: int, device: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
    """Join the process group of all ranks (gloo on CPU, NCCL on CUDA). A world of one needs none.

    Blocks until all ranks have joined. A collective that waits longer than `timeout_s` for a rank raises: torch's own
    limit is half an hour.
    """
    _make_deterministic(device)
    if world_size == 1 or dist.is_initialized():
        return
    backend = "nccl" if torch.device(device).type == "cuda" else "gloo"
    dist.init_process_group(
        backend, init_method=init_method, rank=rank, world_size=world_size, timeout=timedelta(seconds=timeout_s)
    )


def leave_group() -> None:
    """Leave it, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _make_deterministic(device: str) -> None:
    """Ask CUDA for algorithms that give the same bits every time. With one CPU thread there are no others."""
    if torch.device(device).type != "cuda":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
