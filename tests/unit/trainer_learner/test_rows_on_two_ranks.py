"""What tests of single features show for one process holds on two ranks: each function here is run alone and on both.

Data: the ranks' shares of each batch are those of one process, pixel by pixel. Learners: both ranks end with the same
weights, and with those of one process where nothing is drawn for each rank by itself. Examinations: both see what one
process sees.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from support.labelled_data import (
    body_and_head,
    category_data,
    labels_data,
    masks_data,
    numbers_data,
    pixel_model,
    quiet,
)
from support.memory_data import MemoryData, a_learner, tiny_model
from support.ranks import run_ranks
from support.unets import MaskData, small_encoder
from torch import Tensor, nn

from learnfleet.trainer.batch import Shard
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.callback_registry import available_callbacks, build_callback
from learnfleet.trainer.cnn import cnn_learner
from learnfleet.trainer.data import DatasetType, ImageDataBunch
from learnfleet.trainer.distributed import current_world
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import BCEWithLogitsFlat, CrossEntropyFlat, LabelSmoothingCrossEntropy
from learnfleet.trainer.segmentation import unet_learner
from learnfleet.trainer.state import TrainState
from learnfleet.trainer.transforms import get_transforms

# -- data


def bunches(root: Path) -> Iterator[tuple[str, ImageDataBunch]]:
    """Data of each factory, by the rows that they are of."""
    tfms = get_transforms()
    yield "F001 F003 F012 F018", category_data(root / "folder", tfms=tfms)
    folder = root / "folder" / "train"
    files = sorted(folder.rglob("*.png"))
    names, labels = [str(file.relative_to(folder)) for file in files], [file.parent.name for file in files]
    pd.DataFrame({"name": names, "label": labels}).to_csv(folder / "labels.csv", index=False)
    drawn: dict[str, Any] = {"valid_pct": 0.3, "seed": 4, "size": 16, "bs": 4, "ds_tfms": tfms}
    yield "F002", ImageDataBunch.from_folder(folder, **drawn)
    yield "F004", ImageDataBunch.from_csv(folder, **drawn)
    yield "F006", ImageDataBunch.from_name_re(folder, files, r"(\w+)/\d+\.png$", **drawn)
    yield "F007", ImageDataBunch.from_name_func(folder, files, lambda file: Path(file).parent.name, **drawn)
    yield "F007 lists", ImageDataBunch.from_lists(folder, names, labels, **drawn)
    yield "F009", ImageDataBunch.from_folder(folder, **{**drawn, "size": (12, 20), "ds_tfms": None}).normalize()
    yield "F005", labels_data(root / "labels")
    yield "F021", numbers_data(root / "numbers")
    yield "F015", masks_data(root / "masks", tfms=tfms)


def digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]


def shares_of_data(rank: int, folder: Path) -> dict[str, Any]:
    """Of each item of an epoch that is this rank's: in which batch it comes, its pixels and its target."""
    world, found = current_world(), {}
    for rows, data in bunches(folder / f"data{rank}"):
        data.shard(Shard(world.rank, world.size))
        for part in (DatasetType.Train, DatasetType.Valid, DatasetType.Fix):
            for number, batch in enumerate(data.dl(part).epoch(1)):
                for x, y, index in zip(batch.x, batch.y, batch.indices.tolist(), strict=True):
                    found[f"{rows} {part.name} {index}"] = [number, digest(x), digest(y)]
        found[f"{rows} classes"] = [*map(str, data.classes), len(data.train_dl)]
    return found


# -- learners


def model_digest(learner: Learner) -> str:
    return digest(torch.cat([value.detach().reshape(-1).double() for value in learner.model.state_dict().values()]))


HEADS: dict[str, dict[str, Any]] = {
    "F023": {},
    "F026": {"cut": -1},
    "F029 F030": {"lin_ftrs": [12, 6], "ps": [0.1, 0.2, 0.3]},
    "F030": {"custom_head": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))},
    "F031": {"bn_final": True},
    "F032": {"concat_pool": False},
    "F033": {"init": None},
    "F035": {"split_on": lambda model: [model[0], model[1]]},
    "F040": {"train_bn": False},
    "F042 F044": {"lr": slice(1e-4, 1e-2)},
    "F045": {"wd": 0.1, "true_wd": False, "bn_wd": False},
    "F047": {"precision": "bf16"},
}


def heads(rank: int, folder: Path) -> dict[str, Any]:
    """Learners whose weights are drawn here, each rank with another state of torch's generator; and trained."""
    found = {}
    for rows, options in HEADS.items():
        torch.manual_seed(1)
        body = small_encoder()
        torch.manual_seed(rank)
        given = dict(options)
        lr, precision = given.pop("lr", 1e-2), given.pop("precision", None)
        given.setdefault("cut", lambda model: model)
        learner = cnn_learner(MemoryData(), body, silent=True, **given)
        if precision:
            learner.to_bf16()
        before = model_digest(learner)
        learner.fit_one_cycle(1, lr)
        found[rows] = [before, model_digest(learner)]
    return found


# Those that want something of the learner or are of a kind of data are in tests of their own.
OF_TEXTS = {"rnn_trainer"}
OF_A_FIT: dict[str, dict[str, Any]] = {
    "general_scheduler": {"phases": [{"length": 3, "hps": {"lr": {"vals": [0.001, 0.02]}}}]},
    "one_cycle": {"lr_max": 0.03},
    "flat_cos": {"lr": 0.01},
    "stop_after_n_batches": {"n_batches": 3},
    "csv_logger": {"filename": "history"},
    "gradient_accumulation": {"n_acc": 14},
}
# What is drawn for each rank, and statistics over a share of the batch, are not those of one process.
BY_RANK = {"mixup", "cutmix", "bn_freeze", "over_sampling", "under_sampling", "mixed_precision"}


def callbacks(rank: int, folder: Path) -> dict[str, Any]:
    """Each registered callback in a training of two epochs."""
    found: dict[str, Any] = {}
    for name in sorted(set(available_callbacks()) - OF_TEXTS):
        data: Any = MemoryData(path=folder)
        model = tiny_model(dropout=0, bn=False)
        if name.endswith("_sampling"):
            data, model = category_data(folder / f"{name}{rank}"), body_and_head(3)
        learner = a_learner(data, model, metrics=["accuracy"])
        learner.path = folder
        callback = build_callback(name, OF_A_FIT.get(name, {}), learner)
        try:
            learner.fit(2, 1e-2, callbacks=[callback])
        finally:
            plt.close("all")
        weights = torch.cat([value.detach().flatten() for value in learner.model.parameters()])
        found[name] = [weights.tolist(), learner.recorder.val_losses]
    return found


class EverySecondStep(Callback):
    """Skips the others, by what v1's callbacks give back."""

    def on_backward_end(self, state: TrainState) -> dict[str, bool]:
        return {"skip_step": state.iteration % 2 == 1}


def trainings(rank: int, folder: Path) -> dict[str, Any]:
    """Ways to train, on a model of which nothing is drawn and no statistics are taken."""

    def trained(fit: Callable[[Learner], object], **options: Any) -> list[Any]:
        learner = a_learner(MemoryData(), tiny_model(dropout=0, bn=False), metrics=["accuracy"], **options)
        fit(learner)
        recorder = learner.recorder
        rows = [recorder.losses, recorder.lrs, recorder.val_losses, [list(values) for values in recorder.metrics]]
        return [*rows, learner.get_preds()[0].tolist()]

    smooth = LabelSmoothingCrossEntropy(eps=0.2)
    return {
        "F043": trained(lambda learner: learner.fit(1, slice(1e-4, 1e-2)), layer_groups=None),
        "F046": trained(lambda learner: learner.fit(1, 1e-2, wd=0.5)),
        "F052 F087": trained(lambda learner: [learner.fit(1, 1e-2), learner.fit(1, 1e-3)]),
        "F054": trained(lambda learner: learner.fit_one_cycle(1, slice(1e-3, 1e-2))),
        "F063 F065": trained(lambda learner: learner.fit(1, 1e-2, callbacks=[EverySecondStep()])),
        "F093": trained(lambda learner: learner.fit(1, 1e-2), loss_func=smooth),
    }


def unets(rank: int, folder: Path) -> dict[str, Any]:
    """What both ranks end with: BatchNorm takes statistics of each rank's own share."""
    found = {}
    for name, options in {
        "plain": {},
        "blur, range": {"blur": True, "y_range": (-3.0, 3.0), "last_cross": False},
        "bottle": {"bottle": True},
    }.items():
        torch.manual_seed(rank)
        learner = unet_learner(MaskData(), small_encoder(), False, cut=lambda model: model, silent=True, **options)
        learner.fit(1, 1e-2)
        found[name] = model_digest(learner)
    return found


# -- examinations


def examinations(rank: int, folder: Path) -> dict[str, Any]:
    """Predictions, reports and files of learners of each kind of label."""
    learner = quiet(category_data(folder / f"pictures{rank}"), body_and_head(3), metrics=["accuracy"])
    learner.fit(1, 1e-2)
    interpretation: Any = learner.interpret()
    of_labels = quiet(labels_data(folder / f"labels{rank}"), body_and_head(3), loss_func=BCEWithLogitsFlat())
    of_masks = quiet(masks_data(folder / f"masks{rank}"), pixel_model(), loss_func=CrossEntropyFlat(axis=1))
    file = learner.data.valid_ds.path(0)
    found = {
        "F097": learner.predict(file)[2].tolist(),
        "F098": of_labels.predict(of_labels.data.valid_ds.path(0), thresh=0.4)[2].tolist(),
        "F099": list(learner.pred_batch().shape),
        "F103": learner.validate(),
        "F104": len(learner.show_results(rows=2).axes),
        "F106": interpretation.top_losses(4)[0].tolist(),
        "F107": interpretation.confusion_matrix().tolist(),
        "F108": len(interpretation.plot_confusion_matrix(return_fig=True).axes),
        "F109": [list(map(str, row)) for row in interpretation.most_confused()],
        "F110 F111": len(interpretation.plot_top_losses(4, heatmap=True, return_fig=True).axes),
        "F112": np.asarray(of_labels.interpret().confusion_matrix()).tolist(),
        "F113": np.asarray(of_masks.interpret().generate_confusion()[0]).tolist(),
        "F122": learner.purge() is not None,
        "F123": len(learner.recorder.plot_losses(return_fig=True).axes),
    }
    plt.close("all")
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


FUNCTIONS: list[Callable[[int, Path], dict[str, Any]]] = [
    shares_of_data,
    heads,
    callbacks,
    trainings,
    unets,
    examinations,
]


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_ranks(FUNCTIONS, tmp_path_factory.mktemp("ranks"))


def flat(value: Any) -> list[float]:
    return [number for part in value for number in flat(part)] if isinstance(value, list) else [float(value)]


def test_f001_f002_f003_f004_f005_f006_f007_f009_f010_f011_f012_f013_f015_f017_f018_two_ranks_share_what_one_reads(
    two_ranks: dict[str, Any], tmp_path: Path
) -> None:
    alone, (first, second) = shares_of_data(0, tmp_path), two_ranks["shares_of_data"]
    of_all = {name for name in alone if name.endswith("classes")}
    assert set(first) & set(second) == of_all
    assert {**first, **second} == alone
    assert all(first[name] == second[name] for name in of_all)


@pytest.mark.parametrize("rows", HEADS)
def test_f023_f026_f029_f030_f031_f032_f033_f034_f035_f040_f042_f044_f045_f047_f053_two_ranks_end_alike(
    rows: str, two_ranks: dict[str, Any]
) -> None:
    """Whatever each has drawn for its head: training begins with those of rank 0."""
    (drawn, first), (_, second) = (seen[rows] for seen in two_ranks["heads"])
    assert first == second
    assert first != drawn


def test_f062_f070_f071_f073_f074_f077_f079_f080_f081_f083_f084_f085_f086_f087_f089_f092_f094_two_ranks_end_alike(
    two_ranks: dict[str, Any], tmp_path: Path
) -> None:
    """Every registered callback but that of texts, which has a test of its own."""
    alone, (first, second) = callbacks(0, tmp_path), two_ranks["callbacks"]
    assert set(alone) == set(available_callbacks()) - OF_TEXTS
    assert first == second
    for name in set(alone) - BY_RANK:
        assert flat(first[name]) == pytest.approx(flat(alone[name]), rel=1e-3, abs=1e-5), name


def test_f043_f046_f052_f054_f063_f065_f066_f068_f093_two_ranks_train_as_one_process(
    two_ranks: dict[str, Any], tmp_path: Path
) -> None:
    alone, (first, second) = trainings(0, tmp_path), two_ranks["trainings"]
    assert first == second
    for rows in alone:
        assert flat(first[rows]) == pytest.approx(flat(alone[rows]), rel=1e-3, abs=1e-5), rows


def test_f037_unets_with_any_options_end_alike_on_two_ranks(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["unets"]
    assert first == second
    assert len(set(first.values())) == 3


def test_f097_f098_f099_f103_f104_f106_f107_f108_f109_f110_f111_f113_f122_f123_two_ranks_see_what_one_process_sees(
    two_ranks: dict[str, Any], tmp_path: Path
) -> None:
    alone = examinations(0, tmp_path)
    for seen in two_ranks["examinations"]:
        assert seen["F109"] == alone["F109"]
        for rows in set(alone) - {"F109"}:
            assert flat(seen[rows]) == pytest.approx(flat(alone[rows]), rel=1e-3, abs=1e-4), rows
