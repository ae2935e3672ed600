"""Learner specifications and stages as protobuf."""

from __future__ import annotations

from learnfleet.server.rpc.read_data import RESIZE_METHODS
from learnfleet.trainer.spec import (
    BadImagePolicy,
    Component,
    DataSpec,
    FitOneCycleStage,
    FitStage,
    FreezeStage,
    LearnerSpec,
    LearningRate,
    Normalization,
    Stage,
    WeightsSpec,
)
from learnfleet.v1 import job_pb2, learner_pb2


def learner_spec_to_proto(spec: LearnerSpec) -> learner_pb2.LearnerSpec:
    head = spec.head
    return learner_pb2.LearnerSpec(
        data=_data_to_proto(spec.data),
        architecture=spec.architecture,
        weights=_weights_to_proto(spec.weights),
        head=learner_pb2.Head(
            lin_ftrs=head.lin_ftrs or (),
            ps=head.ps,
            concat_pool=head.concat_pool,
            bn_final=head.bn_final,
            linear_only=head.lin_ftrs == (),
        ),
        metrics=[_component_to_proto(metric) for metric in spec.metrics],
        loss=_component_to_proto(spec.loss_component()),
        optimizer=learner_pb2.Optimizer(
            name=spec.optimizer.name,
            wd=_one_wd(spec.optimizer.wd),
            true_wd=spec.optimizer.true_wd,
            bn_wd=spec.optimizer.bn_wd,
        ),
        train_bn=spec.train_bn,
        seed=spec.seed,
    )


def _component_to_proto(component: Component) -> learner_pb2.Component:
    message = learner_pb2.Component(name=component.name)
    if component.arguments:
        message.arguments.update(component.arguments)
    return message


def _weights_to_proto(weights: WeightsSpec) -> learner_pb2.Weights:
    if weights.kind == "file":
        return learner_pb2.Weights(file=weights.path)
    return learner_pb2.Weights(pretrained=True) if weights.kind == "pretrained" else learner_pb2.Weights()


def _data_to_proto(data: DataSpec) -> learner_pb2.DataSpec:
    message = learner_pb2.DataSpec(
        folder=learner_pb2.FolderSource(path=data.path, train=data.train, valid=data.valid),
        size=learner_pb2.Size(rows=data.size[0], columns=data.size[1]),
        resize_method=RESIZE_METHODS[data.resize_method],
        batch_size=data.bs,
        validation_batch_size=data.val_bs or data.bs,
        normalization=_normalization_to_proto(data.normalization),
        bad_image_policy=bad_image_policy_to_proto(data.bad_image),
    )
    if data.valid_pct is not None:
        message.folder.valid_pct, message.folder.split_seed = data.valid_pct, data.split_seed
    if data.transforms is not None:
        message.transforms.CopyFrom(learner_pb2.Transforms(**data.transforms.to_json()))
    return message


def _normalization_to_proto(normalization: Normalization) -> learner_pb2.Normalization:
    if normalization.kind != "explicit":
        return learner_pb2.Normalization(preset=normalization.kind)
    stats = learner_pb2.ChannelStats(mean=normalization.mean or (), std=normalization.std or ())
    return learner_pb2.Normalization(stats=stats)


def bad_image_policy_to_proto(policy: str) -> learner_pb2.BadImagePolicy:
    if policy == BadImagePolicy.FAIL:
        return learner_pb2.BAD_IMAGE_POLICY_FAIL
    return learner_pb2.BAD_IMAGE_POLICY_SKIP


def stage_to_proto(stage: Stage) -> job_pb2.Stage:
    if isinstance(stage, FitStage):
        return job_pb2.Stage(fit=job_pb2.Fit(epochs=stage.epochs, lr=_lr_to_proto(stage.lr), wd=_one_wd(stage.wd)))
    if isinstance(stage, FitOneCycleStage):
        return job_pb2.Stage(
            fit_one_cycle=job_pb2.FitOneCycle(
                epochs=stage.epochs,
                max_lr=_lr_to_proto(stage.max_lr),
                moms=stage.moms,
                div_factor=stage.div_factor,
                pct_start=stage.pct_start,
                final_div=stage.final_div,
                wd=_one_wd(stage.wd),
            )
        )
    assert isinstance(stage, FreezeStage), "what no request can ask for is in no answer"
    return job_pb2.Stage(freeze_to=job_pb2.FreezeTo(n=stage.n))


def _one_wd(wd: float | tuple[float, ...] | None) -> float | None:
    assert not isinstance(wd, tuple), "requests have one value"
    return wd


def _lr_to_proto(lr: LearningRate) -> learner_pb2.LearningRate:
    if lr.value is not None:
        return learner_pb2.LearningRate(value=lr.value)
    if lr.values is not None:
        return learner_pb2.LearningRate(values=learner_pb2.LearningRate.Values(values=lr.values))
    return learner_pb2.LearningRate(slice=learner_pb2.LearningRate.Slice(start=lr.start, stop=lr.stop))
