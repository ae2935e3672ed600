"""A learner by its description or its name, and the requests that are made of it. Nothing is sent here.

Both clients, the plain and the asynchronous one, send what this makes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Self, TypeAlias

from learnfleet.client.activations import activation
from learnfleet.client.components import Component, Components, as_components, component_to_proto
from learnfleet.client.data_bunch import DataBunch
from learnfleet.client.dataset_types import DatasetType
from learnfleet.client.errors import FailedPreconditionError
from learnfleet.client.named import find
from learnfleet.client.run_settings import RunSettings
from learnfleet.client.specs import LearnerSpec
from learnfleet.client.stage_specs import FreezeTo, Stage
from learnfleet.v1 import interpretation_service_pb2, prediction_service_pb2
from learnfleet.v1 import training_service_pb2 as pb

NEWEST = "newest"  # the alias that every export of a client moves to its version

NewLearnerRequest: TypeAlias = pb.TrainRequest | interpretation_service_pb2.ShowBatchRequest | pb.DescribeRequest


@dataclass
class Subject:
    """What is known here of a learner.

    Attributes:
        name: `learners/{learner}`; empty until the first job of a learner that was given no name.
        spec: None once it exists on the server.
        data: as it was described; None for a learner that was found by its name.
        callbacks: take part in every fit from now on, beside those of its specification.
    """

    name: str
    spec: LearnerSpec | None
    settings: RunSettings = field(default_factory=RunSettings)
    data: DataBunch | None = None
    callbacks: list[Component] = field(default_factory=list)
    metrics_asked_for: tuple[Component, ...] = ()
    _pending: list[Stage] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.spec is not None:
            self.data, self.metrics_asked_for = self.spec.data, self.spec.metrics

    @property
    def path(self) -> PurePosixPath:
        """Of its pictures, on the server. Raises ValueError where they were not described here."""
        if self.data is None:
            raise ValueError(f"where the pictures of {self.name} are is known by learn.info().data_path")
        return self.data.path

    # --- what is to become of it with its next job

    def freeze(self) -> None:
        """Train only the head from the next fit on (the request goes to the server with it)."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Train all layer groups from the next fit on."""
        self.freeze_to(0)

    def freeze_to(self, n: int) -> None:
        """Train layer groups n and above from the next fit on. The optimiser starts anew, as in fastai."""
        self._pending.append(FreezeTo(n))

    def add_callbacks(self, *callbacks: Component) -> Self:
        """Callbacks that take part in every fit from now on."""
        if self.spec is None:
            self.callbacks += callbacks
        else:
            self.spec = replace(self.spec, callbacks=(*self.spec.callbacks, *callbacks))
        return self

    def mixup(self, alpha: float = 0.4, stack_x: bool = False, stack_y: bool = True) -> Self:
        """Train on mixed pictures from now on."""
        return self.add_callbacks(("mixup", {"alpha": alpha, "stack_x": stack_x, "stack_y": stack_y}))

    def cutmix(self, alpha: float = 1.0) -> Self:
        """Train on pictures with boxes from others from now on."""
        return self.add_callbacks(("cutmix", {"alpha": alpha}))

    def clip_grad(self, clip: float = 0.1) -> Self:
        """Scale all gradients together down to this norm, in every fit."""
        return self._changed(clip_grad=clip)

    def to_fp16(
        self,
        loss_scale: float | None = None,
        max_noskip: int = 1000,
        dynamic: bool = True,
        clip: float | None = None,
        flat_master: bool = False,
        max_scale: float = 2.0**24,
        loss_fp32: bool = True,
    ) -> Self:
        """Compute in float16 where that is safe, on float32 weights, and scale the loss (`MixedPrecision`)."""
        made = find("MixedPrecision")(
            loss_scale=loss_scale,
            max_noskip=max_noskip,
            dynamic=dynamic,
            clip=clip,
            flat_master=flat_master,
            max_scale=max_scale,
            loss_fp32=loss_fp32,
        )
        usual = all(made.arguments[item["name"]] == item["default"] for item in made.entry.arguments)
        return self._changed(precision="fp16") if usual else self.add_callbacks(made)

    def to_bf16(self) -> Self:
        """Compute in bfloat16 where that is safe, on float32 weights."""
        return self._changed(precision="bf16")

    def to_fp32(self) -> Self:
        """Compute in float32."""
        return self._changed(precision="fp32")

    def to_channels_last(self, on: bool = True) -> Self:
        """Keep 4-d weights and activations as [N, H, W, C] in memory."""
        return self._changed(channels_last=on)

    def to_compiled(self, on: bool = True) -> Self:
        """Train on what torch.compile makes of the model."""
        return self._changed(compiled=on)

    def _changed(self, **settings: Any) -> Self:
        if self.spec is None:
            raise FailedPreconditionError(
                f"{', '.join(settings)}: {self.name} exists on the server already, and is set up as it is. Say it"
                " before the learner's first job, or make a new learner"
            )
        self.spec = replace(self.spec, **settings)
        return self

    # --- where it stands

    def target(self, request: NewLearnerRequest) -> None:
        """Say in a request which learner it is for: this one, or a new one of its specification."""
        if self.spec is not None:
            request.learner_spec.CopyFrom(self.spec.to_proto())
            request.learner_id = self.name.removeprefix("learners/")
        else:
            request.learner = self.name

    def exists_as(self, name: str) -> None:
        """It exists on the server from now on."""
        self.name, self.spec = name, None

    def require_name(self) -> str:
        """Raises FailedPreconditionError before the learner exists on the server."""
        if self.spec is not None:
            raise FailedPreconditionError("this learner does not exist on the server yet: fit it, or look at it, first")
        return self.name

    def checkpoint_name(self, name: str) -> str:
        """All of the name of a checkpoint. `name`: its last part, or all."""
        prefix = f"{self.name}/checkpoints/"
        return prefix + name.removeprefix(prefix)

    # --- requests

    def train_request(self, stages: Sequence[Stage]) -> pb.TrainRequest:
        """Of several stages, after the freezes that wait for it."""
        own = [stage.with_callbacks(self.callbacks) for stage in stages]
        request = pb.TrainRequest(
            stages=[stage.to_proto() for stage in (*self._pending, *own)],
            resources=self.settings.resources(),
            checkpoint_policy=self.settings.checkpoint_policy(),
            priority=self.settings.priority,
            request_id=new_id(),
        )
        self.target(request)
        return request

    def dry_run_request(self, stages: Sequence[Stage]) -> pb.TrainRequest:
        """That request, of which nothing comes."""
        request = self.train_request(stages)
        request.validate_only = True
        return request

    def was_sent(self, learner: str) -> None:
        """A request to train was accepted: what waited has gone with it."""
        self.exists_as(learner)
        self._pending.clear()

    def validate_request(self, ds_type: DatasetType, metrics: Components) -> pb.ValidateRequest:
        return pb.ValidateRequest(
            learner=self.require_name(),
            dataset=ds_type.to_proto(),
            metrics=[component_to_proto(metric) for metric in as_components(metrics)],
            resources=self.settings.resources(),
            request_id=new_id(),
        )

    def preds_request(
        self,
        ds_type: DatasetType,
        with_loss: bool = False,
        n_batch: int | None = None,
        activ: str | None = None,
        tta: prediction_service_pb2.TestTimeAugmentation | None = None,
    ) -> prediction_service_pb2.GetPredsRequest:
        return prediction_service_pb2.GetPredsRequest(
            learner=self.require_name(),
            dataset=ds_type.to_proto(),
            with_loss=with_loss,
            n_batch=n_batch or 0,
            resources=self.settings.resources(),
            request_id=new_id(),
            activation=activation(activ),
            tta=tta,
        )

    def describe_request(self) -> pb.DescribeRequest:
        """As it will be after the freezes that wait."""
        request = pb.DescribeRequest(resources=self.settings.resources(), request_id=new_id())
        if self._pending:
            request.freeze_to.CopyFrom(self._pending[-1].to_proto().freeze_to)
        self.target(request)
        return request

    def save_request(self, name: str, with_opt: bool) -> pb.SaveRequest:
        return pb.SaveRequest(learner=self.name, checkpoint_id=name, with_opt=with_opt)

    def load_request(self, name: str, with_opt: bool | None) -> pb.LoadRequest:
        request = pb.LoadRequest(checkpoint=self.checkpoint_name(name))
        if with_opt is not None:
            request.with_opt = with_opt
        return request

    def show_batch_request(self, rows: int, ds_type: DatasetType) -> interpretation_service_pb2.ShowBatchRequest:
        request = interpretation_service_pb2.ShowBatchRequest(
            dataset=ds_type.to_proto(), rows=rows, resources=self.settings.resources(), request_id=new_id()
        )
        self.target(request)
        return request

    def show_results_request(self, rows: int, ds_type: DatasetType) -> interpretation_service_pb2.ShowResultsRequest:
        return interpretation_service_pb2.ShowResultsRequest(
            learner=self.require_name(),
            dataset=ds_type.to_proto(),
            rows=rows,
            resources=self.settings.resources(),
            request_id=new_id(),
        )

    def export_request(self, name: str, aliases: Iterable[str], onnx: bool) -> pb.ExportRequest:
        every = dict.fromkeys([*aliases, NEWEST])
        return pb.ExportRequest(
            learner=self.require_name(), model_id=name, aliases=every, request_id=new_id(), onnx=onnx
        )


def new_id() -> str:
    """For a request that may be repeated."""
    return str(uuid.uuid4())
