"""The way in: `Client.connect`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from learnfleet.client.components import Component
from learnfleet.client.connection import Connection
from learnfleet.client.job import Job
from learnfleet.client.learner import RemoteLearner, RunSettings, predict
from learnfleet.client.remote import KeepBest
from learnfleet.client.results import JobInfo, LearnerInfo, Prediction
from learnfleet.client.specs import ImageDataBunch, LearnerSpec, UnetOptions
from learnfleet.v1 import job_pb2, job_service_pb2, training_service_pb2

DEFAULT_ADDRESS = "127.0.0.1:8470"
ADDRESS_VARIABLE = "LEARNFLEET_ADDRESS"


class Client:
    """A connection to a control server. Usable as a context manager; safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    def connect(cls, address: str | None = None, timeout_s: float = 60.0, retry_s: float = 60.0) -> Client:
        """A client of the server at `address` (host:port). The connection is made with the first call.

        Args:
            address: default: the variable LEARNFLEET_ADDRESS, else 127.0.0.1:8470.
            timeout_s: limit of each call.
            retry_s: how long a server that cannot be reached is tried again.
        """
        return cls(Connection(address or os.environ.get(ADDRESS_VARIABLE, DEFAULT_ADDRESS), timeout_s, retry_s))

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def cnn_learner(
        self,
        data: ImageDataBunch,
        base_arch: str,
        pretrained: bool | str | Path = True,
        lin_ftrs: Sequence[int] | None = None,
        ps: float | Sequence[float] = 0.5,
        bn_final: bool = False,
        concat_pool: bool = True,
        *,
        cut: int | None = None,
        split_on: Sequence[str] = (),
        init: str = "kaiming_normal",
        metrics: Sequence[Component] = (),
        opt_func: str = "adam",
        opt_arguments: Mapping[str, Any] | None = None,
        loss_func: Component | None = None,
        wd: float | Sequence[float] = 1e-2,
        true_wd: bool = True,
        bn_wd: bool = True,
        train_bn: bool = True,
        callbacks: Sequence[Component] = (),
        precision: str = "fp32",
        channels_last: bool = False,
        compiled: bool = False,
        clip_grad: float | None = None,
        accumulate: int = 1,
        seed: int = 0,
        num_workers: int = 1,
        gpus_per_worker: int = 0,
        name: str = "",
        checkpoint_every_s: float | None = None,
        checkpoint_every_steps: int | None = None,
        silent: bool = False,
        keep_last: int | None = None,
        keep_best: KeepBest | None = None,
        keep_every: int | None = None,
    ) -> RemoteLearner:
        """Describe a learner (fastai `cnn_learner`). It comes to be on the server with its first job.

        Args:
            base_arch: a torchvision name, `timm/<name>` or `pytorchcv/<name>`.
            pretrained: True takes the library's weights (a download on the workers), a path a weights file on the
                server; the body is then frozen.
            cut: the body is the network's first so many children.
            split_on: names of the modules that layer groups begin at.
            metrics, loss_func, callbacks: names, or (name, arguments).
            precision: "fp32", "fp16" or "bf16".
            channels_last: keep weights and activations as [N, H, W, C] in memory, mostly faster.
            compiled: train on what torch.compile makes of the model; needs a C++ compiler (GPUs: Triton) there.
            accumulate: batches whose gradients make one optimiser step.
            num_workers: DDP processes, each with `gpus_per_worker` (0 or 1) GPUs.
            name: last part of the learner's name on the server. Default: made up there.
            checkpoint_every_s, checkpoint_every_steps: how often state is saved beside every epoch's end.
            keep_last: checkpoints of a running job that are kept.
            keep_best, keep_every: checkpoints (the best; those of every so many epochs) that stay when a job is over,
                for `load`.
        """
        spec = LearnerSpec(
            data=data,
            architecture=base_arch,
            lin_ftrs=None if lin_ftrs is None else tuple(lin_ftrs),
            ps=ps if isinstance(ps, int | float) else tuple(ps),
            concat_pool=concat_pool,
            bn_final=bn_final,
            init=init,
            cut=cut,
            split_on=tuple(split_on),
            metrics=tuple(metrics),
            pretrained=pretrained,
            opt_func=opt_func,
            opt_arguments=dict(opt_arguments or {}),
            loss_func=loss_func,
            wd=wd,
            true_wd=true_wd,
            bn_wd=bn_wd,
            train_bn=train_bn,
            callbacks=tuple(callbacks),
            precision=precision,
            channels_last=channels_last,
            compiled=compiled,
            clip_grad=clip_grad,
            accumulate=accumulate,
            seed=seed,
        )
        settings = RunSettings(
            num_workers,
            gpus_per_worker,
            checkpoint_every_s,
            checkpoint_every_steps,
            silent,
            keep_last,
            keep_best,
            keep_every,
        )
        return self.new_learner(spec, name, settings)

    def unet_learner(
        self,
        data: ImageDataBunch,
        arch: str,
        pretrained: bool | str | Path = True,
        blur_final: bool = True,
        norm_type: str = "",
        blur: bool = False,
        self_attention: bool = False,
        y_range: tuple[float, float] | None = None,
        last_cross: bool = True,
        bottle: bool = False,
        cut: int | None = None,
        *,
        metrics: Sequence[Component] = (),
        opt_func: str = "adam",
        opt_arguments: Mapping[str, Any] | None = None,
        loss_func: Component | None = None,
        wd: float | Sequence[float] = 1e-2,
        true_wd: bool = True,
        bn_wd: bool = True,
        train_bn: bool = True,
        callbacks: Sequence[Component] = (),
        precision: str = "fp32",
        channels_last: bool = False,
        compiled: bool = False,
        clip_grad: float | None = None,
        accumulate: int = 1,
        seed: int = 0,
        num_workers: int = 1,
        gpus_per_worker: int = 0,
        name: str = "",
        checkpoint_every_s: float | None = None,
        checkpoint_every_steps: int | None = None,
        silent: bool = False,
        keep_last: int | None = None,
        keep_best: KeepBest | None = None,
        keep_every: int | None = None,
    ) -> RemoteLearner:
        """Describe a learner that gives a class for every pixel (fastai `unet_learner`), of pictures with masks.

        Otherwise as `cnn_learner`.
        """
        spec = LearnerSpec(
            data=data,
            architecture=arch,
            unet=UnetOptions(blur_final, norm_type, blur, self_attention, y_range, last_cross, bottle),
            cut=cut,
            metrics=tuple(metrics),
            pretrained=pretrained,
            opt_func=opt_func,
            opt_arguments=dict(opt_arguments or {}),
            loss_func=loss_func,
            wd=wd,
            true_wd=true_wd,
            bn_wd=bn_wd,
            train_bn=train_bn,
            callbacks=tuple(callbacks),
            precision=precision,
            channels_last=channels_last,
            compiled=compiled,
            clip_grad=clip_grad,
            accumulate=accumulate,
            seed=seed,
        )
        settings = RunSettings(
            num_workers,
            gpus_per_worker,
            checkpoint_every_s,
            checkpoint_every_steps,
            silent,
            keep_last,
            keep_best,
            keep_every,
        )
        return self.new_learner(spec, name, settings)

    def learner(self, name: str, settings: RunSettings = RunSettings()) -> RemoteLearner:  # noqa: B008
        """An existing learner, by `learners/{learner}`. Raises NotFoundError."""
        learner = RemoteLearner(self._connection, name, None, settings)
        learner.info()
        return learner

    def new_learner(self, spec: LearnerSpec, name: str, settings: RunSettings) -> RemoteLearner:
        """A learner of a specification made elsewhere. As `cnn_learner` otherwise."""
        return RemoteLearner(self._connection, f"learners/{name}" if name else "", spec, settings)

    def learners(self) -> Iterator[LearnerInfo]:
        """All learners, newest first."""
        token = ""
        while True:
            request = training_service_pb2.ListLearnersRequest(page_token=token)
            page = self._connection.call(self._connection.training.ListLearners, request)
            yield from map(LearnerInfo.from_proto, page.learners)
            token = page.next_page_token
            if not token:
                return

    def job(self, name: str) -> Job:
        """A job, by `jobs/{job}`. Raises NotFoundError."""
        message = self._connection.call(self._connection.jobs.GetJob, job_service_pb2.GetJobRequest(name=name))
        return Job(self._connection, JobInfo.from_proto(message))

    def jobs(self, learner: str = "", states: Sequence[str] = ()) -> Iterator[Job]:
        """Jobs, newest first; only those of `learner` and in `states` (such as "RUNNING") where given."""
        token = ""
        numbers = [job_pb2.JobState.Value(f"JOB_STATE_{state}") for state in states]
        while True:
            request = job_service_pb2.ListJobsRequest(page_token=token, learner=learner, states=numbers)
            page = self._connection.call(self._connection.jobs.ListJobs, request)
            for message in page.jobs:
                yield Job(self._connection, JobInfo.from_proto(message))
            token = page.next_page_token
            if not token:
                return

    def predict(
        self,
        model: str,
        item: str | Path | bytes,
        top_k: int = 0,
        thresh: float | None = None,
        tta: bool = False,
    ) -> Prediction:
        """Ask `models/m/versions/v`, `models/m@alias` or `learners/l` about one picture file, or about its bytes.

        Args:
            thresh: of several labels, those at least so probable are predicted.
            tta: average over zoomed and mirrored variants.
        """
        return predict(self._connection, model, item, top_k, thresh, tta)
