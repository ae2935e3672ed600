"""Which checkpoints of a job are kept, as values. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.spec_base import Spec

LEAST_KEPT = 2  # one may be found corrupt
LOSSES = ("train_loss", "valid_loss")


@dataclass(frozen=True)
class KeepBest(Spec):
    """The checkpoints at the ends of the epochs with the best values.

    The checkpoint at the end of a stage counts by the metrics of its last epoch, also where a callback has then put
    other weights in place.
    """

    monitor: str = "valid_loss"  # train_loss, valid_loss or the name of a metric
    mode: Literal["auto", "min", "max"] = "auto"  # auto: less is better where the name says loss or error
    count: int = 1

    def rank(self, metrics: Mapping[str, float]) -> float | None:
        """Less is better; None where it was not measured, or is no number."""
        value = metrics.get(self.monitor)
        if value is None or math.isnan(value):
            return None
        is_less_better = self.mode == "min" or (
            self.mode == "auto" and ("loss" in self.monitor or "error" in self.monitor)
        )
        return value if is_less_better else -value


@dataclass(frozen=True)
class KeepPolicy(Spec):
    """Checkpoints that are kept; the others of the job are removed when a new one is written.

    Args:
        last: the newest, at least 2.
        best: these too. None: none because of its metrics.
        every: and those at the end of every so many epochs of the learner's life. None: none because of its epoch.
    """

    last: int = LEAST_KEPT
    best: KeepBest | None = None
    every: int | None = None

    def check(self, metric_names: Sequence[str]) -> None:
        """Raises LearnerError for what cannot be, given the metrics that are measured."""
        if self.last < 1 or (self.every is not None and self.every < 1) or (self.best and self.best.count < 1):
            raise LearnerError("checkpoints.keep", "last, every and best.count must be at least 1")
        if self.best and self.best.monitor not in (*LOSSES, *metric_names):
            known = ", ".join((*LOSSES, *metric_names))
            raise LearnerError("checkpoints.keep.best", f"{self.best.monitor!r} is not measured; there are {known}")


@dataclass(frozen=True)
class Candidate:
    """What the policy looks at of one good checkpoint."""

    name: str
    step: int
    epoch: int
    metrics: Mapping[str, float]  # empty inside an epoch


def kept(policy: KeepPolicy, candidates: Sequence[Candidate]) -> set[str]:
    """The names of those to keep, of candidates newest first. One that was written again by a later attempt, at the
    same step, counts once.
    """
    return {candidate.name for candidate in candidates[: max(policy.last, LEAST_KEPT)]} | chosen(policy, candidates)


def chosen(policy: KeepPolicy, candidates: Sequence[Candidate]) -> set[str]:
    """As `kept`, of `best` and `every` alone: they stay when the job is over."""
    by_step: dict[int, Candidate] = {}
    for candidate in candidates:
        by_step.setdefault(candidate.step, candidate)
    distinct = list(by_step.values())
    names: set[str] = set()
    if policy.best is not None:
        ranked = [(rank, c.step, c.name) for c in distinct if (rank := policy.best.rank(c.metrics)) is not None]
        names |= {name for _, _, name in sorted(ranked)[: policy.best.count]}
    if policy.every is not None:
        names |= {c.name for c in distinct if c.metrics and c.epoch % policy.every == 0}
    return names
