"""What `cnn_learner` and `unet_learner` take, and the specification they make of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypedDict, TypeVar, Unpack

from learnfleet.client.architectures import Architecture
from learnfleet.client.components import Component, Components, as_components, named
from learnfleet.client.data_bunch import DataBunch
from learnfleet.client.named import Named
from learnfleet.client.run_settings import KeepBest, RunSettings
from learnfleet.client.specs import LearnerSpec, UnetOptions

Arch: TypeAlias = "str | Architecture"
OptFunc: TypeAlias = "str | Named | partial[Named]"
L = TypeVar("L")

_OWN_CODE = "no code travels: what the workers run goes by registered names"


class LearnerOptions(TypedDict, total=False):
    """Keywords of `cnn_learner` and `unet_learner`, see `Options`."""

    opt_func: OptFunc
    opt_arguments: Mapping[str, Any] | None
    loss_func: Component | None
    metrics: Components
    true_wd: bool
    bn_wd: bool
    wd: float | Sequence[float]
    train_bn: bool
    callback_fns: Components
    callbacks: Components
    silent: bool
    seed: int
    precision: str
    channels_last: bool
    compiled: bool
    clip_grad: float | None
    accumulate: int
    num_workers: int
    gpus_per_worker: int
    name: str
    checkpoint_every_s: float | None
    checkpoint_every_steps: int | None
    keep_last: int | None
    keep_best: KeepBest | None
    keep_every: int | None
    priority: int
    min_workers: int | None
    max_workers: int | None


@dataclass(frozen=True)
class Options:
    """How a learner trains, and how its jobs run.

    Args:
        opt_func: `Adam`, `partial(SGD, momentum=0.9)`, or a name; `opt_arguments` go with a name.
        metrics, loss_func, callbacks, callback_fns: values such as `accuracy`, `FBeta(beta=1)`, `MixUpCallback`, or
            names, or (name, arguments).
        silent: no live table.
        precision: "fp32", "fp16" or "bf16".
        channels_last: keep weights and activations as [N, H, W, C] in memory, mostly faster.
        compiled: train on what torch.compile makes of the model; needs a C++ compiler (GPUs: Triton) there.
        accumulate: batches whose gradients make one optimiser step.
        num_workers: DDP processes, each with `gpus_per_worker` (0 or 1) GPUs.
        name: last part of the learner's name on the server. Default: made up there.
        checkpoint_every_s, checkpoint_every_steps: how often state is saved beside every epoch's end.
        keep_last: checkpoints of a running job that are kept.
        keep_best, keep_every: checkpoints (the best; those of every so many epochs) that stay when a job is over, for
            `load`.
        priority: of its trainings, from -100 to 100: the greater go first, and others give way to them.
        min_workers, max_workers: a job starts with any number of workers between that there is room for.
    """

    opt_func: OptFunc = "adam"
    opt_arguments: Mapping[str, Any] | None = None
    loss_func: Component | None = None
    metrics: Components = None
    true_wd: bool = True
    bn_wd: bool = True
    wd: float | Sequence[float] = 1e-2
    train_bn: bool = True
    callback_fns: Components = None
    callbacks: Components = None
    silent: bool = False
    seed: int = 0
    precision: str = "fp32"
    channels_last: bool = False
    compiled: bool = False
    clip_grad: float | None = None
    accumulate: int = 1
    num_workers: int = 1
    gpus_per_worker: int = 0
    name: str = ""
    checkpoint_every_s: float | None = None
    checkpoint_every_steps: int | None = None
    keep_last: int | None = None
    keep_best: KeepBest | None = None
    keep_every: int | None = None
    priority: int = 0
    min_workers: int | None = None
    max_workers: int | None = None

    def settings(self) -> RunSettings:
        """How the jobs run."""
        return RunSettings(
            **{item.name: getattr(self, item.name) for item in fields(RunSettings) if hasattr(self, item.name)}
        )

    def spec(self, data: DataBunch, arch: Arch, pretrained: bool | str | Path, **network: Any) -> LearnerSpec:
        """The learner on a network that is otherwise described by `network`, fields of LearnerSpec."""
        opt_func, opt_arguments = named(self.opt_func)
        return LearnerSpec(
            data=data,
            architecture=arch if isinstance(arch, str) else arch.name,
            pretrained=pretrained,
            metrics=as_components(self.metrics),
            opt_func=opt_func,
            opt_arguments={**opt_arguments, **(self.opt_arguments or {})},
            loss_func=self.loss_func,
            wd=self.wd,
            true_wd=self.true_wd,
            bn_wd=self.bn_wd,
            train_bn=self.train_bn,
            callbacks=(*as_components(self.callbacks), *as_components(self.callback_fns)),
            precision=self.precision,
            channels_last=self.channels_last,
            compiled=self.compiled,
            clip_grad=self.clip_grad,
            accumulate=self.accumulate,
            seed=self.seed,
            **network,
        )


class LearnerMaker(ABC, Generic[L]):
    """What describes learners: a client, of either kind."""

    @abstractmethod
    def new_learner(self, spec: LearnerSpec, name: str, settings: RunSettings) -> L:
        """A learner of a specification made elsewhere."""

    def cnn_learner(
        self,
        data: DataBunch,
        base_arch: Arch,
        cut: int | None = None,
        pretrained: bool | str | Path = True,
        lin_ftrs: Sequence[int] | None = None,
        ps: float | Sequence[float] = 0.5,
        custom_head: None = None,
        split_on: Sequence[str] = (),
        bn_final: bool = False,
        init: str | None = "kaiming_normal",
        concat_pool: bool = True,
        **training: Unpack[LearnerOptions],
    ) -> L:
        """Describe a learner (fastai `cnn_learner`). It comes to be on the server with its first job.

        Args:
            base_arch: `models.resnet18`, a torchvision name, `timm/<name>` or `pytorchcv/<name>`.
            cut: the body is the network's first so many children.
            pretrained: True takes the library's weights (a download on the workers), a path a weights file on the
                server; the body is then frozen.
            custom_head: must be None: no code travels.
            split_on: names of the modules that layer groups begin at.
            init: of the head: "kaiming_normal" or another name; None leaves what is there.
            training: those of `Options`.

        Raises TypeError and ValueError for what the service does not know.
        """
        _check_network(custom_head, cut, split_on)
        options = Options(**training)
        spec = options.spec(
            data,
            base_arch,
            pretrained,
            lin_ftrs=None if lin_ftrs is None else tuple(lin_ftrs),
            ps=ps if isinstance(ps, int | float) else tuple(ps),
            concat_pool=concat_pool,
            bn_final=bn_final,
            init=init or "none",
            cut=cut,
            split_on=tuple(split_on),
        )
        return self.new_learner(spec, options.name, options.settings())

    def unet_learner(
        self,
        data: DataBunch,
        arch: Arch,
        pretrained: bool | str | Path = True,
        blur_final: bool = True,
        norm_type: str | None = None,
        split_on: Sequence[str] = (),
        blur: bool = False,
        self_attention: bool = False,
        y_range: Sequence[float] | None = None,
        last_cross: bool = True,
        bottle: bool = False,
        cut: int | None = None,
        **training: Unpack[LearnerOptions],
    ) -> L:
        """Describe a learner that gives a class for every pixel (fastai `unet_learner`), of pictures with masks.

        Otherwise as `cnn_learner`.
        """
        _check_network(None, cut, split_on)
        options = Options(**training)
        limits = None if y_range is None else (float(y_range[0]), float(y_range[1]))
        unet = UnetOptions(blur_final, norm_type or "", blur, self_attention, limits, last_cross, bottle)
        spec = options.spec(data, arch, pretrained, unet=unet, cut=cut, split_on=tuple(split_on))
        return self.new_learner(spec, options.name, options.settings())


def _check_network(custom_head: object, cut: object, split_on: object) -> None:
    if custom_head is not None:
        raise TypeError(f"custom_head: {_OWN_CODE}. Register a head's network as an architecture on the workers")
    if not (cut is None or isinstance(cut, int)):
        raise TypeError(f"cut is {cut!r}; must be a number: {_OWN_CODE}")
    if callable(split_on) or isinstance(split_on, str):
        raise TypeError(f"split_on is {split_on!r}; must be names of modules, such as ['0.6', '1']")
