"""Learner specifications and stages as protobuf."""

from __future__ import annotations

from learnfleet.server.rpc.write_data import data_to_proto
from learnfleet.trainer.spec import LearnerSpec, UnetSpec, WeightsSpec
from learnfleet.trainer.spec_base import Component
from learnfleet.trainer.stage_spec import (
    FitFlatCosStage,
    FitOneCycleStage,
    FitSgdrStage,
    FitStage,
    FreezeStage,
    LearningRate,
    LrFindStage,
    Stage,
    WeightDecay,
)
from learnfleet.v1 import job_pb2, learner_pb2

_PRECISIONS = {
    "fp32": learner_pb2.PRECISION_FP32,
    "fp16": learner_pb2.PRECISION_FP16,
    "bf16": learner_pb2.PRECISION_BF16,
}


def learner_spec_to_proto(spec: LearnerSpec) -> learner_pb2.LearnerSpec:
    head, optimizer = spec.head, spec.optimizer
    message = learner_pb2.LearnerSpec(
        data=data_to_proto(spec.data),
        architecture=spec.architecture,
        weights=_weights_to_proto(spec.weights),
        head=learner_pb2.Head(
            lin_ftrs=head.lin_ftrs or (),
            ps=head.ps,
            concat_pool=head.concat_pool,
            bn_final=head.bn_final,
            linear_only=head.lin_ftrs == (),
            init=head.init or "none",
        ),
        metrics=[component_to_proto(metric) for metric in spec.metrics],
        loss=component_to_proto(spec.loss_component()),
        optimizer=learner_pb2.Optimizer(name=optimizer.name, true_wd=optimizer.true_wd, bn_wd=optimizer.bn_wd),
        train_bn=spec.train_bn,
        seed=spec.seed,
        callbacks=[component_to_proto(callback) for callback in spec.callbacks],
        unet=_unet_to_proto(spec.unet) if spec.kind == "unet" else None,
        cut=spec.cut,
        split=spec.split or (),
        precision=_PRECISIONS[spec.precision],
        channels_last=spec.channels_last,
        compiled=spec.compiled,
        clip_grad=spec.clip_grad,
        accumulate=spec.accumulate,
    )
    if optimizer.arguments:
        message.optimizer.arguments.update(optimizer.arguments)
    _put_wd(message.optimizer, optimizer.wd)
    return message


def _put_wd(
    message: learner_pb2.Optimizer
    | job_pb2.Fit
    | job_pb2.FitOneCycle
    | job_pb2.FitFlatCos
    | job_pb2.FitSgdr
    | job_pb2.LrFind,
    wd: WeightDecay,
) -> None:
    if isinstance(wd, tuple):
        message.wd_per_group.extend(wd)
    elif wd is not None:
        message.wd = wd


def _unet_to_proto(unet: UnetSpec) -> learner_pb2.Unet:
    return learner_pb2.Unet(
        blur_final=unet.blur_final,
        norm_type=unet.norm_type or "",
        blur=unet.blur,
        self_attention=unet.self_attention,
        y_range=unet.y_range or (),
        last_cross=unet.last_cross,
        bottle=unet.bottle,
    )


def component_to_proto(component: Component) -> learner_pb2.Component:
    """A registered name and its arguments."""
    message = learner_pb2.Component(name=component.name)
    if component.arguments:
        message.arguments.update(component.arguments)
    return message


def _weights_to_proto(weights: WeightsSpec) -> learner_pb2.Weights:
    if weights.kind == "file":
        return learner_pb2.Weights(file=weights.path)
    return learner_pb2.Weights(pretrained=True) if weights.kind == "pretrained" else learner_pb2.Weights()


def stage_to_proto(stage: Stage) -> job_pb2.Stage:
    if isinstance(stage, FreezeStage):
        return job_pb2.Stage(freeze_to=job_pb2.FreezeTo(n=stage.n))
    if isinstance(stage, LrFindStage):
        search = job_pb2.Stage(lr_find=_lr_find_to_proto(stage))
        _put_wd(search.lr_find, stage.wd)
        return search
    if isinstance(stage, FitStage):
        message = job_pb2.Stage(fit=job_pb2.Fit(epochs=stage.epochs, lr=_lr_to_proto(stage.lr)))
        fit: job_pb2.Fit | job_pb2.FitOneCycle | job_pb2.FitFlatCos | job_pb2.FitSgdr = message.fit
    elif isinstance(stage, FitOneCycleStage):
        message = job_pb2.Stage(fit_one_cycle=_one_cycle_to_proto(stage))
        fit = message.fit_one_cycle
    elif isinstance(stage, FitFlatCosStage):
        message = job_pb2.Stage(fit_flat_cos=_flat_cos_to_proto(stage))
        fit = message.fit_flat_cos
    else:
        message = job_pb2.Stage(fit_sgdr=_sgdr_to_proto(stage))
        fit = message.fit_sgdr
    _put_wd(fit, stage.wd)
    fit.callbacks.extend(component_to_proto(callback) for callback in stage.callbacks)
    return message


def _one_cycle_to_proto(stage: FitOneCycleStage) -> job_pb2.FitOneCycle:
    return job_pb2.FitOneCycle(
        epochs=stage.epochs,
        max_lr=_lr_to_proto(stage.max_lr),
        moms=stage.moms,
        div_factor=stage.div_factor,
        pct_start=stage.pct_start,
        final_div=stage.final_div,
        tot_epochs=stage.tot_epochs,
        start_epoch=stage.start_epoch,
    )


def _flat_cos_to_proto(stage: FitFlatCosStage) -> job_pb2.FitFlatCos:
    return job_pb2.FitFlatCos(
        epochs=stage.epochs,
        lr=_lr_to_proto(stage.lr),
        moms=stage.moms,
        start_pct=stage.start_pct,
        curve=stage.curve,
    )


def _sgdr_to_proto(stage: FitSgdrStage) -> job_pb2.FitSgdr:
    return job_pb2.FitSgdr(
        n_cycles=stage.n_cycles,
        cycle_len=stage.cycle_len,
        lr_max=_lr_to_proto(stage.lr_max),
        cycle_mult=stage.cycle_mult,
    )


def _lr_find_to_proto(stage: LrFindStage) -> job_pb2.LrFind:
    return job_pb2.LrFind(
        start_lr=_lr_to_proto(stage.start_lr),
        end_lr=_lr_to_proto(stage.end_lr),
        num_it=stage.num_it,
        stop_div=stage.stop_div,
    )


def _lr_to_proto(lr: LearningRate) -> learner_pb2.LearningRate:
    if lr.value is not None:
        return learner_pb2.LearningRate(value=lr.value)
    if lr.values is not None:
        return learner_pb2.LearningRate(values=learner_pb2.LearningRate.Values(values=lr.values))
    return learner_pb2.LearningRate(slice=learner_pb2.LearningRate.Slice(start=lr.start, stop=lr.stop))
