"""Learners of bodies and heads, frozen and not, on two processes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from support.memory_data import MemoryData
from support.ranks import run_ranks
from support.unets import MaskData, small_encoder
from torch import nn

from learnfleet.trainer.cnn import cnn_learner
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.segmentation import unet_learner
from learnfleet.trainer.unet_blocks import NormType


def plain_encoder() -> nn.Sequential:
    """Without BatchNorm, whose statistics are of each rank's own share."""
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU()))


def digest(learner: Learner) -> str:
    tensors = [value.detach().reshape(-1).to(torch.float64) for value in learner.model.state_dict().values()]
    return hashlib.sha256(torch.cat(tensors).numpy().tobytes()).hexdigest()


def train_cnn(rank: int, folder: Path) -> dict[str, Any]:
    torch.manual_seed(0)
    body = small_encoder()
    split = [body[2], body[3]]
    learner = cnn_learner(MemoryData(), body, cut=lambda m: m, lin_ftrs=[8], split_on=split, silent=True)
    learner.freeze()
    before = body[0].weight.clone()
    learner.fit(1, 1e-2)
    kept = torch.equal(body[0].weight, before)
    learner.unfreeze()
    learner.fit_one_cycle(1, slice(1e-4, 1e-2))
    return {"weights": digest(learner), "kept": kept, "moved": not torch.equal(body[0].weight, before)}


def train_unet(rank: int, folder: Path) -> dict[str, Any]:
    torch.manual_seed(0)
    learner = unet_learner(
        MaskData(), plain_encoder(), False, norm_type=NormType.Weight, cut=lambda m: m, silent=True, self_attention=True
    )
    learner.fit(2, 1e-2)
    return {"weights": digest(learner), "losses": learner.recorder.losses, "valid": learner.validate()}


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_ranks([train_cnn, train_unet], tmp_path_factory.mktemp("ranks"))


def test_f039_freezing_holds_on_every_rank_and_weights_stay_alike(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["train_cnn"]
    assert first["kept"]
    assert first["moved"]
    assert first["weights"] == second["weights"]


def test_f036_a_unet_on_two_ranks_trains_as_on_one(two_ranks: dict[str, Any], tmp_path: Path) -> None:
    first, second = two_ranks["train_unet"]
    alone = train_unet(0, tmp_path)
    assert first["weights"] == second["weights"]
    assert first["losses"] == second["losses"]
    assert first["valid"] == second["valid"]
    # The decoder's BatchNorm sees each rank's own share: near, not the same.
    assert first["losses"] == pytest.approx(alone["losses"], rel=0.03)
