"""What a replica is to be."""

from __future__ import annotations

from dataclasses import dataclass

from learnfleet.server.telemetry.logs import LogSettings


@dataclass(frozen=True)
class ReplicaSettings:
    """How a replica computes."""

    token: str  # that callers must know
    threads: int = 1  # of one forward pass
    decoders: int = 2  # threads that decode pictures, beside those that compute
    on_gpu: bool = False
    logs: LogSettings | None = None  # of its process; None: the process, with its log and its heap, is somebody else's


@dataclass(frozen=True)
class ReplicaPlan:
    """A replica to be started.

    `cpus` and `gpus` are what Ray sets aside for it, fractions of a GPU too; 0 CPUs: it shares them with the jobs.
    """

    id: str
    settings: ReplicaSettings
    socket: str = ""  # "": TCP, on the machine that it comes to be on
    cpus: float = 0.0
    gpus: float = 0.0
    timeout_s: float = 60.0  # for a place, and for coming up
