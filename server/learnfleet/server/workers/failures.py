"""What has gone wrong in a worker, or with it, as the server has to know it."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

from learnfleet.server.workers.protocol import ErrorKind, RunError, WorkerDied
from learnfleet.trainer.errors import LearnerError, NonFiniteLoss
from learnfleet.trainer.manifest import StaleAttempt

_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory|ALLOC_FAILED|low on memory",
    re.IGNORECASE,
)
_PEER_HANGS = re.compile(r"Timed out waiting|collective operation timeout|Timeout waiting for", re.IGNORECASE)
_VMSTAT = Path("/proc/vmstat")


def described(error: Exception) -> RunError:
    """What a run has raised."""
    if isinstance(error, StaleAttempt):
        return RunError(ErrorKind.STALE, str(error))
    from learnfleet.trainer.images import BadImage

    if isinstance(error, LearnerError | NonFiniteLoss | BadImage):
        return RunError(ErrorKind.USER, str(error))
    told = f"{type(error).__name__}: {error}"
    if any(_is_out_of_memory(each) for each in _with_causes(error)):
        return RunError(ErrorKind.OUT_OF_MEMORY, told.splitlines()[0])
    if isinstance(error, RuntimeError) and _PEER_HANGS.search(str(error)):
        return RunError(ErrorKind.HANG, f"a rank did not take part in an exchange: {told.splitlines()[0]}")
    return RunError(ErrorKind.INTERNAL, told)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _is_out_of_memory(error: BaseException) -> bool:
    """Torch has a class of its own for a device's memory only; its CPU allocator raises a RuntimeError."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)) is not None


def death_of(rank: int, error: Exception, *, oom_killed: bool) -> WorkerDied:
    """What Ray says of a worker that is gone.

    Args:
        oom_killed: whether the kernel has ended a process of this machine for want of memory since the group began.
    """
    from ray.exceptions import OutOfMemoryError, RayActorError

    first_line = str(error).strip().splitlines()[0]
    if isinstance(error, OutOfMemoryError) or oom_killed or _OUT_OF_MEMORY.search(str(error)):
        why = "Ray" if isinstance(error, OutOfMemoryError) else "the kernel"
        return WorkerDied(f"{why} ended the worker, as its machine had no memory left", ErrorKind.OUT_OF_MEMORY)
    if isinstance(error, RayActorError) and error.preempted:
        return WorkerDied(f"the machine of rank {rank} was taken away", ErrorKind.PREEMPTED)
    return WorkerDied(f"the worker process of rank {rank} died: {first_line}")


def oom_kills() -> int:
    """How many processes of this machine the kernel has ended for want of memory. 0 where it does not say."""
    try:
        lines = _VMSTAT.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
