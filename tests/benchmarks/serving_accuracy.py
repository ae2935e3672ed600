"""What bfloat16 and channels_last cost in accuracy: one learner, exported, asked both ways about 1,000 pictures.

    python tests/benchmarks/serving_accuracy.py [--epochs 3] [--json FILE]

resnet18 from random weights, trained on 5,000 pictures of CIFAR-10 in float32.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import photos
import torch
from timing import report, row_of

from learnfleet.trainer import ImageDataBunch, cnn_learner, load_predictor

_BATCH = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = photos.cifar10(Path(name))
        data = ImageDataBunch.from_folder(folder, valid="test", size=32, bs=64)
        learner = cnn_learner(data, "resnet18", pretrained=False, path=Path(name), silent=True)
        learner.fit_one_cycle(args.epochs)
        learner.export()
        paths = sorted((folder / "test").rglob("*.*"))
        found = {}
        for title, precision, channels_last in (("fp32", "fp32", False), ("bf16, channels_last", "bf16", True)):
            predictor = load_predictor(Path(name) / "export", precision=precision, channels_last=channels_last)
            answers = [
                answer
                for start in range(0, len(paths), _BATCH)
                for answer in predictor.answer([predictor.transform.pixels(p) for p in paths[start : start + _BATCH]])
            ]
            found[title] = torch.stack([answer.prediction.activated for answer in answers])
    truth = torch.tensor([data.classes.index(path.parent.name) for path in paths])
    case = f"{len(paths)} pictures of CIFAR-10"
    rows = [
        row_of(case, f"accuracy in {title}", "share", [(probabilities.argmax(1) == truth).float().mean().item()])
        for title, probabilities in found.items()
    ]
    exact, fast = found.values()
    changed = (exact.argmax(1) != fast.argmax(1)).sum().item()
    rows.append(row_of(case, "answers that differ", "pictures", [changed]))
    rows.append(row_of(case, "greatest difference of a probability", "", [(exact - fast).abs().max().item()]))
    report("Accuracy of bfloat16 and channels_last", rows, args.json)


if __name__ == "__main__":
    main()
