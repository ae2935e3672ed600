"""What an examination takes beside the predictions that it is made of, without attributions.

    python tests/benchmarks/interpret.py [--rounds 3] [--items 400] [--size 224] [--json FILE]

`get_preds` runs the model over a data set and gives predictions, targets and losses. The examination does that and
finds everything else (confusion, class report, calibration, curves, likely label errors, duplicates, outliers, slices),
writes its JSON and the pictures that it names; heat maps, which are gradients, are left out. From the cache: the same
again, with the predictions of before. Wanted: at most 1.3 times `get_preds`.

Pictures are photos of ../shared where these are there, else noise of the same size, JPEG both.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timing import interleaved, report, rows_of

from learnfleet.trainer import ImageDataBunch, cnn_learner
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.examination import PARTS
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.pixels import IMAGENET
from learnfleet.trainer.run_context import RunContext
from learnfleet.trainer.run_interpret import run_interpret

PHOTOS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "hymenoptera.tar"
CLASSES = ("ants", "bees")


def write_pictures(root: Path, items: int) -> None:
    """`items` different pictures to validate, of two classes, and two to train."""
    sources = _photos(root / "photos") or _noise(root / "noise")
    rng = np.random.default_rng(0)
    for part, number in (("train", 2), ("valid", items)):
        for place in range(number):
            name = CLASSES[place % 2]
            folder = root / "data" / part / name
            folder.mkdir(parents=True, exist_ok=True)
            chosen = [path for path in sources if path.parent.name == name]
            target = folder / f"{place:05}.jpg"
            if place < len(sources):
                shutil.copyfile(chosen[place // 2 % len(chosen)], target)
                continue
            with Image.open(chosen[place // 2 % len(chosen)]) as photo:  # another window, so that none is there twice
                left, top = (int(rng.integers(0, max(1, side // 4))) for side in photo.size)
                photo.crop((left, top, left + photo.width * 3 // 4, top + photo.height * 3 // 4)).save(target)
    lines = [f"{path.relative_to(root / 'data')},{place % 3}\n" for place, path in enumerate(_valid(root))]
    (root / "data" / "about.csv").write_text("picture,camera\n" + "".join(lines))


def _valid(root: Path) -> list[Path]:
    return sorted((root / "data" / "valid").glob("*/*.jpg"))


def _photos(folder: Path) -> list[Path]:
    if not PHOTOS.exists():
        return []
    with tarfile.open(PHOTOS) as archive:
        archive.extractall(folder, filter="data")
    return sorted(folder.glob("hymenoptera/*/*/*.jpg"))


def _noise(folder: Path) -> list[Path]:
    rng, paths = np.random.default_rng(1), []
    for place in range(40):
        small = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        path = folder / CLASSES[place % 2] / f"{place}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small.resize((500, 375), Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    return paths


def timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def examined(learner: Learner, folder: Path, root: Path) -> None:
    """The job, as a worker does it; predictions are kept beside `root`."""
    folder.mkdir(parents=True)
    context = RunContext("job", 1, lambda *event: None, lambda: False, root / "checkpoints")
    parts = [part for part in PARTS if part != "heat_maps"]
    found = run_interpret(
        learner,
        context,
        top_losses=9,
        min_confused=1,
        output_dir=folder,
        parts=parts,
        slice_columns=["camera"],
        metadata="about.csv",
    )
    (folder / "interpretation.json").write_text(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root, numbers = Path(name), count()
        write_pictures(root, args.items)
        data = ImageDataBunch.from_folder(root / "data", size=args.size, bs=32, normalize=IMAGENET)
        learner = cnn_learner(data, "resnet18", pretrained=False, silent=True)

        def place() -> Path:
            return root / f"examined{next(numbers)}"

        def anew() -> float:
            own = place()  # a folder of its own for the predictions, which holds none
            return timed(lambda: examined(learner, own / "found", own))

        runs = {
            "get_preds": lambda: timed(lambda: learner.get_preds(DatasetType.Valid, with_loss=True)),
            "examination": anew,
            "examination from the cache": lambda: timed(lambda: examined(learner, place(), root)),
        }
        found = interleaved(runs, args.rounds)
        rows = rows_of(f"{args.items} pictures of {args.size} px, resnet18, 1 thread", "s", found, "examination")
    report("Examining beside predicting", rows, args.json)


if __name__ == "__main__":
    main()
