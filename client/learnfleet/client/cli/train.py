"""`learnfleet train`."""

from __future__ import annotations

from typing import Annotated

import typer

from learnfleet.client.cli.access import connect
from learnfleet.client.cli.exits import reported, say
from learnfleet.client.cli.output import AsJson, Server, emit, watch
from learnfleet.client.cli.stages import parse_lr, parse_stage
from learnfleet.client.learner import RunSettings
from learnfleet.client.remote import KeepBest
from learnfleet.client.specs import Fit, FitOneCycle, ImageDataBunch, LearnerSpec, Stage, get_transforms


def train(
    data: Annotated[
        str | None, typer.Argument(help="Folder on the server or dataset://NAME, for a new learner.")
    ] = None,
    learner: Annotated[str | None, typer.Option(help="Train this existing learner on, `learners/...`.")] = None,
    name: Annotated[str, typer.Option(help="Name of the new learner.")] = "",
    arch: Annotated[str, typer.Option(help="torchvision name, or timm/<name>.")] = "resnet34",
    epochs: Annotated[int, typer.Option(help="Epochs of a single stage; see --stage for more.")] = 1,
    lr: Annotated[str, typer.Option(help="1e-3, slice(1e-5, 1e-3), ...")] = "slice(3e-3)",
    one_cycle: Annotated[bool, typer.Option("--one-cycle/--fit", help="Schedule of that stage.")] = True,
    stage: Annotated[
        list[str] | None, typer.Option(help="A stage; repeatable. fit_one_cycle(4, lr=1e-3), unfreeze, fit(2), ...")
    ] = None,
    size: Annotated[int, typer.Option(help="Picture size in pixels.")] = 224,
    bs: Annotated[int, typer.Option(help="Pictures per step over all workers.")] = 64,
    valid_pct: Annotated[float | None, typer.Option(help="Share that validates, for one folder of classes.")] = None,
    train_folder: Annotated[str, typer.Option(help="Folder of training pictures in DATA.")] = "train",
    valid_folder: Annotated[str, typer.Option(help="Folder of validation pictures in DATA.")] = "valid",
    augment: Annotated[bool, typer.Option(help="fastai's get_transforms.")] = True,
    flip: Annotated[bool, typer.Option(help="Mirror pictures while augmenting.")] = True,
    bad_image: Annotated[str, typer.Option(help="skip or fail.")] = "skip",
    metric: Annotated[list[str] | None, typer.Option(help="Repeatable. Default: accuracy.")] = None,
    pretrained: Annotated[bool, typer.Option(help="Start from the library's weights.")] = True,
    weights: Annotated[str | None, typer.Option(help="Start from this weights file on the server.")] = None,
    train_bn: Annotated[bool, typer.Option(help="Train BatchNorm of frozen layers.")] = True,
    wd: Annotated[float, typer.Option(help="Weight decay.")] = 1e-2,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes.")] = None,
    gpus: Annotated[int, typer.Option(help="GPUs of each process, 0 or 1.")] = 0,
    keep_last: Annotated[int | None, typer.Option(help="Checkpoints kept while the job runs.")] = None,
    keep_best: Annotated[str | None, typer.Option(help="Keep the best state by valid_loss, accuracy, ...")] = None,
    keep_every: Annotated[int | None, typer.Option(help="Keep the state of every so many epochs.")] = None,
    detach: Annotated[bool, typer.Option(help="Do not follow the job.")] = False,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Train a new learner, or an existing one on. Ctrl-C leaves the job running."""
    following: list[str] = []
    with reported(following), connect(server) as client:
        best = KeepBest(keep_best) if keep_best else None
        settings = RunSettings(workers, gpus, keep_last=keep_last, keep_best=best, keep_every=keep_every)
        if (data is None) == (learner is None):
            raise ValueError("give a data folder for a new learner, or --learner for an existing one")
        if learner is not None:
            remote = client.learner(learner, settings)
        else:
            tfms = get_transforms(do_flip=flip) if augment else None
            bunch = ImageDataBunch.from_folder(
                str(data),
                train=train_folder,
                valid=valid_folder,
                valid_pct=valid_pct,
                size=size,
                bs=bs,
                ds_tfms=tfms,
                bad_image=bad_image,
                normalize="auto",
            )
            spec = LearnerSpec(
                bunch,
                arch,
                tuple(metric or ["accuracy"]),
                weights if weights is not None else pretrained,
                wd=wd,
                train_bn=train_bn,
                seed=seed,
            )
            remote = client.new_learner(spec, name, settings)
        job = remote.train(_stages(stage, epochs, lr, one_cycle), wait=False)
        following.append(job.name)
        say(f"{job.name} trains {job.learner}")
        if detach:
            emit({"job": job.info}) if as_json else typer.echo(job.name)
        else:
            watch(job, as_json=as_json)


def _stages(texts: list[str] | None, epochs: int, lr: str, one_cycle: bool) -> list[Stage]:
    if texts:
        return [parse_stage(text) for text in texts]
    return [FitOneCycle(epochs, parse_lr(lr)) if one_cycle else Fit(epochs, parse_lr(lr))]
