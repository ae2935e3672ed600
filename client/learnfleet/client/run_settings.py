"""How a remote learner's jobs run, as values."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from learnfleet.v1 import job_pb2


@dataclass(frozen=True)
class KeepBest:
    """The checkpoints at the ends of the epochs with the best values are kept."""

    monitor: str = "valid_loss"  # train_loss, valid_loss or the name of a metric
    mode: str = "auto"  # or "min", "max"; auto: less is better where the name says loss or error
    count: int = 1

    def to_proto(self) -> job_pb2.KeepBest:
        return job_pb2.KeepBest(monitor=self.monitor, mode=self.mode, count=self.count)


@dataclass(frozen=True)
class RunSettings:
    """How a learner's jobs run. None: the server's default, or what the learner's last job had."""

    num_workers: int | None = None
    gpus_per_worker: int = 0
    checkpoint_every_s: float | None = None
    checkpoint_every_steps: int | None = None
    silent: bool = False  # no live table
    keep_last: int | None = None  # checkpoints of a running job
    keep_best: KeepBest | None = None  # these stay when the job is over: `JobResult.kept_checkpoints`
    keep_every: int | None = None  # epochs; these stay, too
    priority: int = 0  # of trainings, from -100 to 100: the greater go first, and others give way to them
    min_workers: int | None = None  # a job may run on as few as this when there is no room for more
    max_workers: int | None = None  # and on as many as this when there is

    def resources(self) -> job_pb2.Resources | None:
        if self.num_workers is None and self.min_workers is None and self.max_workers is None:
            return None
        return job_pb2.Resources(
            num_workers=self.num_workers or 0,
            gpus_per_worker=self.gpus_per_worker,
            min_workers=self.min_workers or 0,
            max_workers=self.max_workers or 0,
        )

    def checkpoint_policy(self) -> job_pb2.CheckpointPolicy:
        policy = job_pb2.CheckpointPolicy(
            every_steps=self.checkpoint_every_steps or 0,
            keep_last=self.keep_last or 0,
            keep_best=self.keep_best.to_proto() if self.keep_best else None,
            keep_every=self.keep_every or 0,
        )
        if self.checkpoint_every_s is not None:
            every = Duration()
            every.FromNanoseconds(round(self.checkpoint_every_s * 1e9))
            policy.every.CopyFrom(every)
        return policy
