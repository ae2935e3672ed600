"""What is refused, warned of, written or drawn is so on both of two ranks: neither goes on alone, or waits for ever.

As in test_rows_on_two_ranks each function here is run alone and on both. Where one rank waited for the other forever,
the time limit of their process group would end the test.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from support.labelled_data import body_and_head, category_data, labels_data, numbers_data, quiet
from support.memory_data import MemoryData, a_learner, tiny_model
from support.ranks import run_ranks
from torch import Tensor, nn

from learnfleet.trainer import GeneralScheduler, LRFinder, SaveModelCallback, ShowGraph, TrainingPhase, load_learner
from learnfleet.trainer.callback import Callback, Changes
from learnfleet.trainer.cnn import cnn_learner
from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.distributed import current_world
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.manifest import CorruptCheckpoint
from learnfleet.trainer.mixup import MixUpCallback
from learnfleet.trainer.opt_funcs import SGD
from learnfleet.trainer.state import TrainState


def weights_of(learner: Learner) -> list[float]:
    values = [value.detach().double() for value in learner.model.state_dict().values()]
    return [*(float(value.sum()) for value in values), *(float(value.square().sum()) for value in values)]


def refusal(act: Callable[[], object]) -> str:
    """What it is refused with."""
    try:
        act()
    except (LearnerError, CorruptCheckpoint) as error:
        return f"{type(error).__name__}: {error}"
    return "not refused"


@contextlib.contextmanager
def warnings() -> Iterator[io.StringIO]:
    """What is logged as a warning meanwhile."""
    told, logger = io.StringIO(), logging.getLogger("learnfleet.trainer")
    handler = logging.StreamHandler(told)
    handler.setLevel(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)


def plain(folder: Path, **options: Any) -> Learner:
    """A learner of which nothing is drawn and no statistics are taken."""
    return a_learner(MemoryData(path=folder), tiny_model(dropout=0, bn=False), **options)


# --- what is said before training begins, and what does not fit


def refusals(rank: int, folder: Path) -> dict[str, str]:
    few = ImageDataBunch.from_folder(category_data(folder / f"few{rank}").path, size=16, bs=19)
    learner = plain(folder)
    learner.fit(1, 1e-2)
    learner.save("three")
    other = a_learner(MemoryData(path=folder, c=4), tiny_model(c=4))
    with warnings() as told:
        sgd = plain(folder, opt_func=SGD)
        sgd.load("three")
    world = current_world()
    exported = cnn_learner(category_data(folder / f"data{rank}"), "mobilenet_v3_small", pretrained=False, silent=True)
    exported.path = folder
    exported.export("good")
    if world.is_main:
        file = folder / "good" / "model.safetensors"
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    world.any(False)  # the file is damaged before anybody reads it
    found = {
        "F022": refusal(lambda: quiet(few, body_and_head(3)).fit(1)),
        "F041": refusal(lambda: a_learner(MemoryData(), nn.Linear(1, 1), layer_groups=None).freeze()),
        "F118": told.getvalue(),
        "F119": refusal(lambda: other.load("three")),
        "F121": refusal(lambda: load_learner(folder, "good")),
    }
    return {row: text.replace(str(folder), "") for row, text in found.items()}


# --- data


def data_alike(rank: int, folder: Path) -> dict[str, Any]:
    """What each rank makes of the same files; rank 0 alone has written what both load."""
    root = folder / f"pictures{rank}"
    data = category_data(root)
    unknown = ImageDataBunch.from_folder(data.path, size=16, bs=4, classes=["blue", "red"])
    saved = ImageDataBunch.from_folder(data.path, size=16, bs=4, valid_pct=0.3, seed=3, test="test").normalize()
    saved.export("data.json")
    empty = ImageDataBunch.load_empty(data.path, "data.json")
    figure = data.show_batch(rows=2)
    kinds = (data, labels_data(folder / f"labels{rank}"), numbers_data(folder / f"numbers{rank}"))
    return {
        "F008": [unknown.classes, len(unknown.train_ds), len(unknown.valid_ds)],
        "F016": [[len(part), part.batch_size] for part in (data.train_dl, data.valid_dl, data.fix_dl)],
        "F019": [[axis.get_title() for axis in figure.axes], *axis_pixels(figure)],
        "F020": [empty.classes, [list(part) for part in empty.stats or ()], bool(empty.is_empty)],
        "F021": [type(bunch.loss_func).__name__ for bunch in kinds],
    }


def axis_pixels(figure: Any) -> list[float]:
    return [float(axis.images[0].get_array().sum()) for axis in figure.axes]


# --- fits


class Scripted(Callback):
    """The metric of each epoch is as given, so that nothing gets better."""

    order = -20

    def on_epoch_end(self, state: TrainState) -> Changes:
        return {"last_metrics": [math.nan]}


def fits(rank: int, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    searcher = plain(folder)
    before = weights_of(searcher)
    searcher.fit(5, callbacks=[LRFinder(searcher, 1e-6, 1e-2, num_it=7)])
    found["F069"] = [weights_of(searcher) == before, searcher.recorder.losses, searcher.recorder.lrs]
    phased = plain(folder)
    scheduler = GeneralScheduler(phased, [TrainingPhase(4).schedule_hp("lr", (0.001, 0.02))])
    for _ in range(2):
        phased.fit(1, callbacks=[scheduler])
    found["F075"] = [phased.recorder.lrs, weights_of(phased)]
    stale = plain(folder, metrics=["accuracy"])
    stale.save("best")
    old = weights_of(stale)
    stale.fit(2, 1e-2, callbacks=[Scripted(), SaveModelCallback(stale, monitor="accuracy", name="best")])
    found["F082"] = [weights_of(stale) != old, weights_of(stale)]
    drawn = plain(folder, metrics=["accuracy"])
    graph = ShowGraph(drawn)
    drawn.fit(2, 1e-2, callbacks=[graph])
    lines = graph.figure.axes[0].get_lines() if graph.figure is not None else []
    found["F088"] = [list(map(float, line.get_ydata())) for line in lines]
    recorder = drawn.recorder
    figures = [recorder.plot_losses(), recorder.plot_lr(show_moms=True), recorder.plot_metrics()]
    figures.append(searcher.recorder.plot(skip_start=0, skip_end=0, suggestion=True))
    found["F123"] = [
        [list(map(float, line.get_ydata())) for line in axis.get_lines()] for each in figures for axis in each.axes
    ]
    plt.close("all")
    return found


class Blending(nn.Module):
    """Mixes what it is given by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = tiny_model(dropout=0, bn=False)

    def forward(self, x: Tensor, other: Tensor | None = None, share: Tensor | None = None) -> Tensor:
        if other is not None and share is not None:
            share = share.view(-1, 1, 1, 1)
            x = x * share + other * (1 - share)
        found: Tensor = self.inner(x)
        return found


def mixes(rank: int, folder: Path) -> dict[str, Any]:
    """Each rank draws its own partners, so that only the two of them are alike."""
    found = {}
    for name, options in {"F072 stack_x": {"stack_x": True}, "F072 targets": {"stack_y": False}}.items():
        learner = a_learner(MemoryData(path=folder), Blending())
        learner.fit(1, 1e-2, callbacks=[MixUpCallback(learner, **options)])
        found[name] = weights_of(learner)
    return found


# --- examinations


def interpretations(rank: int, folder: Path) -> dict[str, Any]:
    of_labels = quiet(labels_data(folder / f"labels{rank}"), body_and_head(3))
    of_labels.fit(1, 1e-2)
    of_numbers = quiet(numbers_data(folder / f"numbers{rank}"), body_and_head(1))
    labels: Any = of_labels.interpret(tta=True)
    return {
        "F112": [item.index for item in labels.misclassified()],
        "F112 figure": len(labels.plot_multi_top_losses(3).axes),
        "F114": [type(of_labels.interpret()).__name__, type(of_numbers.interpret()).__name__],
    }


FUNCTIONS: list[Callable[[int, Path], dict[str, Any]]] = [refusals, data_alike, fits, mixes, interpretations]


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_ranks(FUNCTIONS, tmp_path_factory.mktemp("ranks"))


def test_f022_f041_f118_f119_f121_both_of_two_ranks_are_told_what_one_process_is(
    two_ranks: dict[str, Any], tmp_path: Path
) -> None:
    alone, (first, second) = refusals(0, tmp_path), two_ranks["refusals"]
    assert not [row for row, text in alone.items() if text in ("", "not refused")]
    assert first == alone
    assert second == {**alone, "F118": second["F118"]}


def test_f008_f016_f019_f020_f021_both_of_two_ranks_see_the_data_of_one_process(
    two_ranks: dict[str, Any], tmp_path: Path
) -> None:
    alone = data_alike(0, tmp_path)
    for seen in two_ranks["data_alike"]:
        assert seen == alone


def test_f069_f075_f082_f088_f123_fits_and_their_plots_are_those_of_one_process_on_both_of_two_ranks(
    two_ranks: dict[str, Any], tmp_path: Path
) -> None:
    alone, (first, second) = fits(0, tmp_path), two_ranks["fits"]
    for rows in alone:
        assert first[rows] == second[rows] or rows == "F088", rows  # rank 0 alone draws
        assert flat(first[rows]) == pytest.approx(flat(alone[rows]), rel=1e-3, abs=1e-5), rows


def test_f072_two_ranks_that_mix_their_own_pictures_end_alike(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["mixes"]
    assert first == second
    assert len(first) == 2


def test_f112_f114_both_of_two_ranks_interpret_as_one_process(two_ranks: dict[str, Any], tmp_path: Path) -> None:
    alone = interpretations(0, tmp_path)
    for seen in two_ranks["interpretations"]:
        assert seen == alone


def flat(value: Any) -> list[float]:
    return [number for part in value for number in flat(part)] if isinstance(value, list) else [float(value)]
