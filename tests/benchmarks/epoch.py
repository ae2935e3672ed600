"""A whole epoch from JPEG files: pictures are read, augmented, trained on and validated, by learnfleet and by others.

    python tests/benchmarks/epoch.py [PHOTOS] [--rounds 5] [--size 128] [--bs 32] [--threads 1] [--json FILE]

resnet18 with ten outputs from random weights, AdamW, cross entropy, accuracy; RandomResizedCrop and flip in training,
the middle in validation. Everybody computes with `--threads` threads and reads with as many workers (threads here,
processes there), which are kept from epoch to epoch. A round is one epoch of each contestant; the first is a warm-up,
so learnfleet's kept pictures are in memory in the row that says so.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import photos
import torch
from peers import adam_w, fastai_learner, fit_fastai, fit_lightning, lightning_module, quiet
from photo_data import PhotoSetting
from timing import interleaved, report, rows_of
from torch import nn
from torchvision.models import resnet18

from learnfleet.trainer.learner import Learner
from learnfleet.trainer.metric_functions import accuracy


def new_model() -> nn.Module:
    torch.manual_seed(0)
    return resnet18(num_classes=10)


def timed(epoch: Callable[[], object]) -> float:
    start = time.perf_counter()
    epoch()
    return time.perf_counter() - start


def learnfleets(setting: PhotoSetting, cache_bytes: int) -> Callable[[], float]:
    learner = Learner(setting.learnfleet(cache_bytes), new_model(), metrics=accuracy, silent=True)
    return lambda: timed(lambda: learner.fit(1, 1e-3))


def torchvisions(setting: PhotoSetting) -> Callable[[], float]:
    model, train, valid = new_model(), setting.torchvision_train(), setting.torchvision_valid()
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


def fastais(setting: PhotoSetting) -> Callable[[], float]:
    learner = fastai_learner(setting.fastai(), new_model())
    return lambda: timed(lambda: fit_fastai(learner))


def lightnings(setting: PhotoSetting) -> Callable[[], float]:
    module, train, valid = lightning_module(new_model()), setting.torchvision_train(), setting.torchvision_valid()
    return lambda: timed(lambda: fit_lightning(module, train, valid))


def accelerates(setting: PhotoSetting) -> Callable[[], float]:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model = new_model()
    model, optimizer, train, valid = accelerator.prepare(
        model, adam_w(model), setting.torchvision_train(), setting.torchvision_valid()
    )

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
    quiet()
    with tempfile.TemporaryDirectory() as name:
        setting = PhotoSetting(photos.real_photos(args.photos, Path(name)), args.size, args.bs, args.threads)
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
