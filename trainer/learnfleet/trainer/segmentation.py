"""`unet_learner`: segmentation, or any other picture of scores for a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from learnfleet.trainer.bodies import Pretrained, as_weights, build_body
from learnfleet.trainer.callback import CallbackFns, Callbacks
from learnfleet.trainer.cnn import family_split
from learnfleet.trainer.first_weights import drawn_from
from learnfleet.trainer.layer_groups import SplitOn
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.learner_core import LearnerData
from learnfleet.trainer.losses import Loss
from learnfleet.trainer.network import Architecture, Cut
from learnfleet.trainer.opt_funcs import Adam, OptFuncLike
from learnfleet.trainer.spec import UnetSpec
from learnfleet.trainer.spec_of_learner import own_parts, spec_of_learner
from learnfleet.trainer.unet import DynamicUnet
from learnfleet.trainer.unet_blocks import NormType


def unet_learner(
    data: LearnerData,
    arch: str | Architecture | nn.Module,
    pretrained: Pretrained = True,
    blur_final: bool = True,
    norm_type: NormType | str | None = None,
    split_on: SplitOn | None = None,
    blur: bool = False,
    self_attention: bool = False,
    y_range: Sequence[float] | None = None,
    last_cross: bool = True,
    bottle: bool = False,
    cut: Cut | None = None,
    *,
    opt_func: OptFuncLike = Adam,
    loss_func: Loss | None = None,
    metrics: object = None,
    true_wd: bool = True,
    bn_wd: bool = True,
    wd: float | Sequence[float] = 1e-2,
    train_bn: bool = True,
    path: Path | str | None = None,
    model_dir: str = "models",
    callback_fns: CallbackFns = None,
    callbacks: Callbacks = None,
    add_time: bool = True,
    silent: bool = False,
    seed: int | None = None,
) -> Learner:
    """A Learner of a U-Net around a (pretrained) body (fastai v1 `unet_learner`).

    Args:
        arch, pretrained, cut, split_on: as in `cnn_learner`. Layer groups: the body's, then all of the decoder.
        blur_final, norm_type, blur, self_attention, y_range, last_cross, bottle: as in `DynamicUnet`.
        seed: of every random choice, the first weights included, as the service has it. None: 0 for those of training,
            and the first weights are drawn from torch's generator (`torch.manual_seed`).
        Others as in `Learner`.

    Raises LearnerError (see `create_body` and `DynamicUnet`).
    """
    weights = as_weights(pretrained)
    with drawn_from(seed):
        body = build_body(arch, weights, cut)
        model = DynamicUnet(
            body.module, data.c, blur, blur_final, self_attention, y_range, last_cross, bottle, norm_type
        )
        learner = Learner(
            data,
            model,
            opt_func,
            loss_func,
            metrics,
            true_wd,
            bn_wd,
            wd,
            train_bn,
            path,
            model_dir,
            callback_fns,
            callbacks,
            None,
            add_time,
            silent,
            seed or 0,
        )
        learner.split(split_on if split_on is not None else family_split(body, model))
        if body.has_weights:
            learner.freeze()
    limits = None if y_range is None else tuple(float(limit) for limit in y_range)
    name = None if norm_type is None else NormType(norm_type).value
    unet = UnetSpec(blur_final, name, blur, self_attention, limits, last_cross, bottle)
    learner.own_parts = own_parts(arch, cut)
    learner.spec = spec_of_learner(learner, arch, weights, cut, split_on, unet=unet)
    return learner
