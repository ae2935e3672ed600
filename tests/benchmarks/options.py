"""Memory layout, bfloat16 and torch.compile: milliseconds a picture of training by a Learner, on this machine's CPU.

    python tests/benchmarks/options.py [--rounds 5] [--steps 6] [--side 224] [--batch 8] [--threads 1] [--json FILE]

resnet18 on ready-made batches, a fit of `--steps` steps a round, without validation. Compiling is part of the warm-up.
The last column also says how far the loss of the warm-up's last step is from the plain learner's.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torchvision
from loop_overhead import ReadyData
from timing import interleaved, median_ratio, report, rows_of

from learnfleet.trainer.batch import Batch
from learnfleet.trainer.learner import Learner

_PLAIN = "float32, as it comes"
Setting = Callable[[Learner], object]
SETTINGS: dict[str, Setting] = {
    _PLAIN: lambda learner: learner,
    "channels_last": lambda learner: learner.to_channels_last(),
    "bfloat16": lambda learner: learner.to_bf16(),
    "channels_last, bfloat16": lambda learner: learner.to_channels_last().to_bf16(),
    "compiled": lambda learner: learner.to_compiled(),
    "compiled, channels_last": lambda learner: learner.to_channels_last().to_compiled(),
}


def a_learner(data: ReadyData, setting: Setting) -> Learner:
    torch.manual_seed(0)
    learner = Learner(data, torchvision.models.resnet18(num_classes=10), silent=True)
    setting(learner)
    return learner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rounds", 5), ("steps", 6), ("side", 224), ("batch", 8), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)

    def pictures() -> Batch:
        x = torch.randn(args.batch, 3, args.side, args.side)
        return Batch(x, torch.randint(10, (args.batch,)), torch.arange(args.batch))

    data = ReadyData(args.steps, pictures, args.batch)
    learners = {name: a_learner(data, setting) for name, setting in SETTINGS.items()}
    first_losses: dict[str, float] = {}

    def timed(name: str) -> float:
        learner = learners[name]
        start = time.perf_counter()
        learner.fit(1, 1e-3)
        first_losses.setdefault(name, learner.recorder.losses[-1])
        return (time.perf_counter() - start) / (args.steps * args.batch) * 1e3

    data.valid_dl = None  # type: ignore[assignment]  # training alone
    found = interleaved({name: partial(timed, name) for name in SETTINGS}, args.rounds)
    for name, values in found.items():
        distance = abs(first_losses[name] / first_losses[_PLAIN] - 1)
        ratio = median_ratio(values, found[_PLAIN])
        print(f"{name}: {ratio:.2f} of the time; loss after {args.steps} steps differs by {distance:.1e} of itself")
    rows = rows_of(f"resnet18, {args.side} px, batches of {args.batch}", "ms a picture", found, _PLAIN)
    report(f"Options of computing, training on {args.threads} CPU thread(s)", rows, args.json)


if __name__ == "__main__":
    main()
