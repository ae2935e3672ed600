"""A whole epoch from JPEG files: pictures are read, augmented, trained on and validated, by learnfleet and by others.

    python tests/benchmarks/epoch.py [PHOTOS] [--rounds 5] [--size 128] [--bs 32] [--threads 1] [--json FILE]

resnet18 with ten outputs from random weights, AdamW, cross entropy, accuracy; RandomResizedCrop and flip in training,
the middle in validation. Everybody computes with `--threads` threads and reads with as many workers (threads here,
processes there), which are kept from epoch to epoch. A round is one epoch of each contestant; the first is a warm-up,
so learnfleet's kept pictures are in memory in the row that says so.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import photos
import torch
from loop_overhead import adam_w
from timing import interleaved, report, rows_of
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import v2

from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.metric_functions import accuracy
from learnfleet.trainer.pixels import IMAGENET
from learnfleet.trainer.transform_components import flip_lr, rand_resize_crop

_MAX_SCALE = 0.08**-0.5  # of the sides, where the others name the area


class Setting:
    """What everybody is asked to do."""

    def __init__(self, folder: Path, size: int, bs: int, threads: int) -> None:
        self.folder, self.size, self.bs, self.threads = folder, size, bs, threads

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return resnet18(num_classes=10)

    def loaders(self) -> tuple[DataLoader, DataLoader]:
        """torchvision's."""
        tail = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(*IMAGENET)]
        train = v2.Compose([v2.RandomResizedCrop(self.size), v2.RandomHorizontalFlip(), *tail])
        valid = v2.Compose([v2.Resize(self.size), v2.CenterCrop(self.size), *tail])
        options = {"batch_size": self.bs, "num_workers": self.threads, "persistent_workers": True}
        return (
            DataLoader(ImageFolder(self.folder / "train", train), shuffle=True, drop_last=True, **options),
            DataLoader(ImageFolder(self.folder / "val", valid), **options),
        )


def timed(epoch: Callable[[], object]) -> float:
    start = time.perf_counter()
    epoch()
    return time.perf_counter() - start


def learnfleets(setting: Setting, cache_bytes: int) -> Callable[[], float]:
    crop = rand_resize_crop(max_scale=_MAX_SCALE, ratios=(3 / 4, 4 / 3))
    listed = ImageDataBunch.from_folder(
        setting.folder,
        valid="val",
        ds_tfms=([crop, flip_lr(p=0.5)], []),
        size=setting.size,
        bs=setting.bs,
        normalize=IMAGENET,
        no_check=True,
    )
    data = ImageDataBunch(
        listed.spec, listed.listing, seed=0, stats=IMAGENET, threads=setting.threads, cache_bytes=cache_bytes
    )
    learner = Learner(data, setting.model(), metrics=accuracy, silent=True)
    return lambda: timed(lambda: learner.fit(1, 1e-3))


def torchvisions(setting: Setting) -> Callable[[], float]:
    model, (train, valid) = setting.model(), setting.loaders()
    optimizer = adam_w(model)

    def epoch() -> None:
        model.train()
        for x, y in train:
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        correct = 0
        with torch.no_grad():
            for x, y in valid:
                correct += int((model(x).argmax(1) == y).sum())

    return lambda: timed(epoch)


def fastais(setting: Setting) -> Callable[[], float]:
    import fastai.callback.progress  # noqa: F401  # adds no_bar
    from fastai.learner import Learner as FastaiLearner
    from fastai.metrics import accuracy as fastai_accuracy
    from fastai.optimizer import OptimWrapper
    from fastai.vision.all import FlipItem, ImageDataLoaders, Normalize, RandomResizedCrop

    data = ImageDataLoaders.from_folder(
        setting.folder,
        train="train",
        valid="val",
        bs=setting.bs,
        num_workers=setting.threads,
        persistent_workers=True,
        item_tfms=[RandomResizedCrop(setting.size, min_scale=0.08), FlipItem()],
        batch_tfms=[Normalize.from_stats(*IMAGENET)],
        device=torch.device("cpu"),
    )
    optimizer = partial(OptimWrapper, opt=partial(torch.optim.AdamW, betas=(0.9, 0.99), fused=True))
    learner = FastaiLearner(
        data, setting.model(), nn.functional.cross_entropy, optimizer, lr=1e-3, metrics=fastai_accuracy
    )

    def epoch() -> None:
        with learner.no_bar(), learner.no_logging():
            learner.fit(1)

    return lambda: timed(epoch)


def lightnings(setting: Setting) -> Callable[[], float]:
    import lightning
    from torchmetrics.classification import MulticlassAccuracy

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.accuracy = setting.model(), MulticlassAccuracy(10, average="micro")

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
            output = self.model(batch[0])
            self.accuracy(output, batch[1])
            self.log("valid_loss", nn.functional.cross_entropy(output, batch[1]))
            self.log("accuracy", self.accuracy)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return adam_w(self.model)

    module, (train, valid) = Module(), setting.loaders()

    def epoch() -> None:
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, train, valid)

    return lambda: timed(epoch)


def accelerates(setting: Setting) -> Callable[[], float]:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model = setting.model()
    model, optimizer, train, valid = accelerator.prepare(model, adam_w(model), *setting.loaders())

    def epoch() -> None:
        model.train()
        for x, y in train:
            accelerator.backward(nn.functional.cross_entropy(model(x), y))
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        correct = 0
        with torch.no_grad():
            for x, y in valid:
                outputs, targets = accelerator.gather_for_metrics((model(x), y))
                correct += int((outputs.argmax(1) == targets).sum())

    return lambda: timed(epoch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="?", type=Path)
    parser.add_argument("--json", type=Path)
    for name, default in (("rounds", 5), ("size", 128), ("bs", 32), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as name:
        setting = Setting(photos.real_photos(args.photos, Path(name)), args.size, args.bs, args.threads)
        runs = {
            "learnfleet": learnfleets(setting, 0),
            "learnfleet, kept": learnfleets(setting, 2**32),
            "torchvision, bare loop": torchvisions(setting),
            "fastai": fastais(setting),
            "lightning": lightnings(setting),
            "accelerate": accelerates(setting),
        }
        found = interleaved(runs, args.rounds)
    case = f"resnet18, {args.size} px, photos of about 500x375"
    rows = rows_of(case, "s an epoch", {name: v for name, v in found.items() if "kept" not in name}, "learnfleet")
    others = {name: v for name, v in found.items() if name != "learnfleet"}
    rows += rows_of(f"{case}, kept", "s an epoch", others, "learnfleet, kept")
    report("A whole epoch, reading, training and validation", rows, args.json)


if __name__ == "__main__":
    main()
