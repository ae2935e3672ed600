"""`learnfleet demo`: the main job from end to end on real pictures, through a real server."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from learnfleet.client import Client, ImageDataBunch, JobFailedError, RemoteLearner, get_transforms
from learnfleet.client.specs import Transforms
from learnfleet.server.commands.digits import write_digits
from learnfleet.server.commands.local_server import local_server
from learnfleet.trainer.folder import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Recipe:
    """What the demo trains, and how."""

    folder: Path
    held_out: Path  # a picture that no training step sees
    size: int
    batch_size: int
    transforms: Transforms | None
    epochs: int
    max_lr: float
    pretrained: bool
    valid_pct: float | None

    @property
    def true_class(self) -> str:
        return self.held_out.parent.name


def demo(
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("demo-results"),
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures: train and valid folders, or class folders. Default: scanned digits."),
    ] = None,
    arch: Annotated[str, typer.Option(help="Architecture.")] = "resnet18",
    epochs: Annotated[int | None, typer.Option(help="Epochs. Default: 6 for the digits, 3 for other pictures.")] = None,
    workers: Annotated[int, typer.Option(help="DDP workers.")] = 2,
) -> None:
    """Train, predict, interpret and export on real pictures; keeps the results and stops what it started."""
    results = out.resolve() / time.strftime("%Y%m%d-%H%M%S")
    results.mkdir(parents=True)
    recipe = _own_pictures(data.resolve(), epochs) if data else _digits(results / "digits", epochs)
    log = results / "server.log"
    print(f"starting a control server, its log is {log}")
    try:
        with local_server(results / "server", [recipe.folder], log) as server:
            print("".join(log.read_text().splitlines(keepends=True)[:4]), end="")
            with Client.connect(server.address, plaintext=True) as client:  # whatever the environment is for
                summary = _run(client, recipe, arch, workers, results)
    except (RuntimeError, JobFailedError) as error:
        print(f"the demo failed: {error}\nthe server's log is {log}", file=sys.stderr)
        raise typer.Exit(1) from error
    print()
    for key, value in summary.items():
        print(f"{key}: {value}")


def _run(client: Client, recipe: Recipe, arch: str, workers: int, results: Path) -> dict[str, object]:
    learn = _train(client, recipe, arch, workers)
    prediction = learn.predict(recipe.held_out)
    interpretation = learn.interpret()
    confusion = interpretation.plot_confusion_matrix().save(results / "confusion_matrix.png")
    top_losses = interpretation.plot_top_losses().save(results / "top_losses.png")
    version = learn.export("demo")
    worst = interpretation.most_confused()[:1]
    return {
        "accuracy": f"{interpretation.accuracy:.4f}",
        "predict": f"{prediction.class_name}, probability {prediction.probability:.4f}, true class {recipe.true_class}",
        "most_confused": "{} taken for {} {} times".format(*worst[0]) if worst else "none",
        "confusion_matrix": confusion,
        "top_losses": top_losses,
        "model": version.name,
        "mlflow": _mlflow_command(learn),
    }


def _train(client: Client, recipe: Recipe, arch: str, workers: int) -> RemoteLearner:
    data = ImageDataBunch.from_folder(
        str(recipe.folder),
        valid_pct=recipe.valid_pct,
        size=recipe.size,
        bs=recipe.batch_size,
        ds_tfms=recipe.transforms,
        normalize="auto",
    )
    for pretrained in (True, False) if recipe.pretrained else (False,):
        learn = client.cnn_learner(data, arch, metrics=["accuracy"], pretrained=pretrained, num_workers=workers)
        print(f"training {arch} on {recipe.folder} with {workers} workers")
        try:
            learn.fit_one_cycle(recipe.epochs, recipe.max_lr)
        except JobFailedError as error:
            # No network is the one failure that a first look at the system should get over.
            if not (pretrained and "pretrained weights" in str(error)):
                raise
            print(f"no pretrained weights ({error}); training from random ones instead")
            continue
        return learn
    raise AssertionError("unreachable: the last try either returns or raises")


def _digits(folder: Path, epochs: int | None) -> Recipe:
    write_digits(folder)
    held_out = sorted((folder / "held_out" / "7").iterdir())[0]
    # Mirrored digits are other signs, and eight pixels have no perspective.
    transforms = get_transforms(do_flip=False, max_warp=0.0, max_lighting=0.0)
    return Recipe(folder, held_out, 32, 64, transforms, epochs or 6, 3e-3, pretrained=False, valid_pct=None)


def _own_pictures(folder: Path, epochs: int | None) -> Recipe:
    split = (folder / "train").is_dir() and (folder / "valid").is_dir()
    pictures = sorted(
        path for path in (folder / "valid" if split else folder).rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES
    )
    if not pictures:
        raise typer.BadParameter(
            f"{folder} has no pictures: give a folder with train and valid folders of class folders"
        )
    valid_pct = None if split else 0.2
    held_out = pictures[0]
    return Recipe(folder, held_out, 128, 32, get_transforms(), epochs or 3, 3e-3, pretrained=True, valid_pct=valid_pct)


def _mlflow_command(learn: RemoteLearner) -> str:
    assert learn.last_fit_job is not None
    run = learn.last_fit_job.wait_tracked()
    mlflow = Path(sys.executable).with_name("mlflow")
    page = f"http://127.0.0.1:5000/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    return f"{mlflow} ui --backend-store-uri {run.tracking_uri}  # then open {page}"
