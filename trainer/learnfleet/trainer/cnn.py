"""A body and a head: `cnn_learner`."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec

from torch import nn

from learnfleet.trainer.bodies import Body, Pretrained, as_weights, build_body
from learnfleet.trainer.callback import CallbackFns, Callbacks
from learnfleet.trainer.first_weights import drawn_from
from learnfleet.trainer.head import Init, apply_init
from learnfleet.trainer.layer_groups import SplitOn
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.learner_core import LearnerData
from learnfleet.trainer.losses import Loss
from learnfleet.trainer.model_build import add_head
from learnfleet.trainer.network import Architecture, Cut
from learnfleet.trainer.opt_funcs import Adam, OptFuncLike
from learnfleet.trainer.spec_of_learner import describe_head, own_parts, spec_of_learner

P = ParamSpec("P")


def create_cnn_model(
    base_arch: str | Architecture | nn.Module,
    nc: int,
    cut: Cut | None = None,
    pretrained: Pretrained = True,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = 0.5,
    custom_head: nn.Module | None = None,
    bn_final: bool = False,
    concat_pool: bool = True,
) -> nn.Sequential:
    """A body and a head for `nc` outputs, as Sequential(body, head) (fastai v1 `create_cnn_model`).

    Arguments as in `create_body` and `create_head`.
    """
    body = build_body(base_arch, as_weights(pretrained), cut)
    return add_head(body, nc, lin_ftrs, ps, custom_head, bn_final, concat_pool)


def family_split(body: Body, model: nn.Module) -> list[nn.Module]:
    """Where layer groups begin by the family's rule: within the body, and after it."""
    parts = list(getattr(model, "layers", model).children())
    return [*body.boundaries(body.module), parts[1]]


def cnn_learner(
    data: LearnerData,
    base_arch: str | Architecture | nn.Module,
    cut: Cut | None = None,
    pretrained: Pretrained = True,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = 0.5,
    custom_head: nn.Module | None = None,
    split_on: SplitOn | None = None,
    bn_final: bool = False,
    init: Init | None = nn.init.kaiming_normal_,
    concat_pool: bool = True,
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
    """A Learner for pictures on a (pretrained) body with a new head (fastai v1 `cnn_learner`).

    Args:
        base_arch: a name (`resnet18`, `timm/<name>`, `pytorchcv/<name>`), `models.resnet18`, a function
            `(pretrained) -> nn.Module`, or a network itself.
        cut: where the body ends: an int (`children()[:cut]`) or a function of the model. Default: the family's.
        pretrained: True takes the library's weights, a path those of a local file; the body is then frozen. A network
            that is given itself keeps its weights, and is frozen when this is True.
        lin_ftrs, ps, bn_final, concat_pool: as in `create_head`.
        custom_head: in place of that head. It gets the body's maps [N, C, h, w], and is initialised by `init` too.
        split_on: where layer groups begin, as in `split_model`. Default: the family's.
        init: initialisation of the head's weights; None leaves what is there.
        seed: of every random choice, the first weights included, as the service has it. None: 0 for those of training,
            and the first weights are drawn from torch's generator (`torch.manual_seed`).
        Others as in `Learner`.

    Raises LearnerError (see `create_body`), TypeError for a `cut` of another kind, ValueError for a wrong number of
    dropouts or a `split_on` that is not of the model. Unlike v1 it leaves `torch.backends.cudnn.benchmark` alone.
    """
    with drawn_from(seed):
        body = build_body(base_arch, as_weights(pretrained), cut)
        model = add_head(body, data.c, lin_ftrs, ps, custom_head, bn_final, concat_pool)
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
        apply_init(model[1], init)
    head = describe_head(lin_ftrs, ps, concat_pool, bn_final, init)
    learner.own_parts = own_parts(base_arch, cut, custom_head)
    learner.spec = spec_of_learner(learner, base_arch, as_weights(pretrained), cut, split_on, head=head)
    return learner


def _deprecated(old_name: str, function: Callable[P, Learner]) -> Callable[P, Learner]:
    @functools.wraps(function)
    def alias(*args: P.args, **kwargs: P.kwargs) -> Learner:
        warnings.warn(f"{old_name} is deprecated: use {function.__name__}", DeprecationWarning, stacklevel=2)
        return function(*args, **kwargs)

    return alias


create_cnn = _deprecated("create_cnn", cnn_learner)
