"""What clients asked of a server that was disturbed, what they were told, and how everything ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock


@dataclass(frozen=True)
class Submit:
    """One try to make a job. A request that was never answered may or may not have made one."""

    request_id: str
    job: str | None  # its name, where the server answered


@dataclass(frozen=True)
class Cancel:
    """One acknowledged request to stop a job."""

    job: str


@dataclass(frozen=True)
class Seen:
    """An event as somebody saw it. Of equal events the content is equal byte for byte."""

    sequence: int
    kind: str
    content: bytes
    state: str = ""  # of `state` events, in lower case
    attempt: int = 0
    epoch: int = -1  # of `epoch` events


@dataclass(frozen=True)
class Watched:
    """What one watcher saw of a job over all its connections, in the order in which it came."""

    job: str
    watcher: int
    events: tuple[Seen, ...]
    connections: int = 1


@dataclass(frozen=True)
class Told:
    """What the journals of a job's workers have: who told what, when (seconds by their machine's clock)."""

    attempt: int
    rank: int
    first_s: float
    last_s: float


@dataclass(frozen=True)
class Ended:
    """A job at the end of the run, read again from a server that nothing disturbs."""

    job: str
    request_id: str
    state: str
    attempt: int
    events: tuple[Seen, ...]
    digests: tuple[str, str] = ("", "")  # SHA-256 of model and optimiser, of a TRAIN job that SUCCEEDED
    journals: tuple[Told, ...] = ()
    points: tuple[tuple[str, int, float], ...] | None = None  # in MLflow: (metric, step, value); None: not looked at


@dataclass
class History:
    """Everything of one run. Safe to add to from several threads."""

    submits: list[Submit] = field(default_factory=list)
    cancels: list[Cancel] = field(default_factory=list)
    watched: list[Watched] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)  # names of all jobs there are at the end
    deleted: set[str] = field(default_factory=set)  # jobs that a caller had the server forget
    lock: Lock = field(default_factory=Lock)

    def add(self, item: Submit | Cancel | Watched) -> None:
        with self.lock:
            if isinstance(item, Submit):
                self.submits.append(item)
            elif isinstance(item, Cancel):
                self.cancels.append(item)
            else:
                self.watched.append(item)

    def acknowledged(self) -> set[str]:
        return {submit.job for submit in self.submits if submit.job is not None}

    def of(self, jobs: Iterable[str]) -> list[Ended]:
        wanted = set(jobs)
        return [ended for ended in self.ended if ended.job in wanted]
