"""Saves, loads and exports on two ranks: rank 0 writes, all read, and nobody waits for one that has failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from support.memory_data import MemoryData, a_learner
from support.pictures import a_data_folder
from support.ranks import run_ranks
from torch import Tensor

from learnfleet.trainer import ImageDataBunch, checkpoint, cnn_learner, load_learner
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.manifest import CorruptCheckpoint, write_synced
from learnfleet.trainer.tensor_file import write as write_tensors


def weights(learner: Learner) -> float:
    return float(sum(value.double().sum() for value in learner.model.state_dict().values()))


def save_and_load(rank: int, folder: Path) -> dict[str, Any]:
    writes: list[str] = []

    def counted(path: Path, content: bytes) -> None:
        writes.append(path.name)
        write_synced(path, content)

    def counted_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
        writes.append(path.name)
        write_tensors(path, tensors)

    checkpoint.manifest.write_synced = counted  # type: ignore[attr-defined]
    checkpoint.tensor_file.write = counted_tensors  # type: ignore[attr-defined]
    learner = a_learner(MemoryData(path=folder))
    learner.fit(1, 1e-2)
    place = learner.save("stage-1", return_path=True)
    checkpoint.manifest.write_synced = write_synced  # type: ignore[attr-defined]
    checkpoint.tensor_file.write = write_tensors  # type: ignore[attr-defined]
    other = a_learner(MemoryData(path=folder))
    other.load("stage-1", with_opt=True)
    return {
        "writes": len(writes),
        "place": str(place),
        "same": weights(other) == weights(learner),
        "steps": other.global_step,
        "weights": weights(other),
    }


def fail_to_write(rank: int, folder: Path) -> list[str]:
    """What each rank is told when rank 0 cannot write."""
    told = []
    learner = a_learner(MemoryData(path=folder / "no"))
    if rank == 0:
        (folder / "no").write_text("a file where a folder belongs")
    dist.barrier()
    with pytest.raises(LearnerError) as caught:
        learner.save("stage-1")
    told.append(str(caught.value))
    learner.path = folder
    learner.save("stage-1")  # and they are still in step
    told.append(str(learner.world.sum(torch.ones(1)).item()))
    return told


def fail_to_read(rank: int, folder: Path) -> list[object]:
    """What each rank is told when rank 1 cannot read, and whether its weights are what they were."""
    learner = a_learner(MemoryData(path=folder))
    learner.save("stage-1")
    learner.fit(1, 1e-2)
    before, inner = weights(learner), checkpoint.load
    if rank == 1:

        def broken(path: Path, device: str = "cpu") -> checkpoint.Snapshot:
            raise CorruptCheckpoint(path, "a bit has flipped on this machine")

        checkpoint.load = broken
    try:
        learner.load("stage-1")
        told = "nothing"
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
    checkpoint.load = inner
    return [told, weights(learner) == before]


def export_and_load(rank: int, folder: Path) -> dict[str, Any]:
    if rank == 0:
        a_data_folder(folder / "pictures", 3, 2)
    dist.barrier()
    data = ImageDataBunch.from_folder(folder / "pictures", size=32, bs=4)
    learner = cnn_learner(data, "squeezenet1_1", pretrained=False, path=folder, silent=True)
    learner.fit(1, 1e-3)
    learner.export("model")
    loaded = load_learner(folder, "model", test=folder / "pictures" / "valid")
    found = loaded.get_preds(DatasetType.Test)[0]
    learner.data.add_test_folder("valid")
    expected = learner.get_preds(DatasetType.Test)[0]
    learner.loss_func = lambda output, target: output.mean()  # no name leads to it
    with pytest.raises(LearnerError) as caught:
        learner.export("other")
    return {"same": torch.allclose(found, expected, atol=1e-6), "rows": len(found), "told": str(caught.value)[:60]}


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    functions = [save_and_load, fail_to_write, fail_to_read, export_and_load]
    return run_ranks(functions, tmp_path_factory.mktemp("ranks"))


def test_f116_rank_0_writes_and_every_rank_loads_the_same(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["save_and_load"]
    assert (first["writes"], second["writes"]) == (4, 0)
    assert first["place"] == second["place"]
    assert first["same"]
    assert (first["steps"], second["steps"]) == (4, 4)
    assert first["weights"] == second["weights"]


def test_f115_what_rank_0_cannot_write_is_told_on_both_ranks_and_neither_waits(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["fail_to_write"]
    assert first == second
    assert first[0].startswith("model_dir: Can't write to ")
    assert first[1] == "2.0"


def test_f117_what_one_rank_cannot_read_is_loaded_on_none(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["fail_to_read"]
    assert first[0].startswith("OtherRankFailed: CorruptCheckpoint: checkpoint ")
    assert second[0].startswith("CorruptCheckpoint: ")
    assert (first[1], second[1]) == (True, True)


def test_f120_an_export_of_two_ranks_is_one_and_both_load_it(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["export_and_load"]
    assert first == second
    assert first["same"]
    assert first["rows"] == 4
    assert first["told"].startswith("export: an export is rebuilt from names")
