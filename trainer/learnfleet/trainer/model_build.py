"""From a LearnerSpec to its model alone: what predicting needs, without learners, data bunches and plots."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from learnfleet.trainer.bodies import Body, build_body
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.head import apply_init, create_head, init_named
from learnfleet.trainer.spec import HeadSpec, LearnerSpec, UnetSpec
from learnfleet.trainer.unet import DynamicUnet


def body_of(spec: LearnerSpec) -> Body:
    """The body that a spec asks for, with its weights."""
    return build_body(spec.architecture, spec.weights, spec.cut)


def build_model(spec: LearnerSpec, n_classes: int, body: Body | None = None) -> nn.Module:
    """The model alone: body and head, the head with its own initialisation, or a U-Net."""
    _check_kind(spec)
    body = body or body_of(spec)
    if spec.kind == "unet":
        return _unet(spec.unet, n_classes, body)
    head = spec.head
    model = add_head(body, n_classes, head.lin_ftrs, head.ps, None, head.bn_final, head.concat_pool)
    apply_init(model[1], init_named(head.init))
    return model


def _check_kind(spec: LearnerSpec) -> None:
    if spec.kind == "unet" and spec.head != HeadSpec():
        raise LearnerError("head", "a U-Net has no head of that kind: leave it out, or choose kind `cnn`")
    if spec.kind == "cnn" and spec.unet != UnetSpec():
        raise LearnerError("unet", "these are options of kind `unet`: leave them out, or choose it")


def _unet(spec: UnetSpec, n_classes: int, body: Body) -> DynamicUnet:
    return DynamicUnet(
        body.module,
        n_classes,
        spec.blur,
        spec.blur_final,
        spec.self_attention,
        spec.y_range,
        spec.last_cross,
        spec.bottle,
        spec.norm_type,
    )


def add_head(
    body: Body,
    nc: int,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = 0.5,
    custom_head: nn.Module | None = None,
    bn_final: bool = False,
    concat_pool: bool = True,
) -> nn.Sequential:
    """As `create_cnn_model`, for a body that is there."""
    if custom_head is not None:  # an empty Sequential, which is False, is a head too
        return nn.Sequential(body.module, custom_head)
    features = body.channels * (2 if concat_pool else 1)
    return nn.Sequential(body.module, create_head(features, nc, lin_ftrs, ps, concat_pool, bn_final))
