"""Numbers that fastai itself gives for fixed inputs, whole tables of them (fastai v1 and 2.8 executed)."""

from __future__ import annotations

import pytest
import torch
from support.memory_data import MemoryData, a_learner

from learnfleet.trainer.loss_functions import CrossEntropyFlat, LabelSmoothingCrossEntropy
from learnfleet.trainer.losses import loss_per_item

V2_LRS = [
    0.0040000000000000036,
    0.013167184270002533,
    0.037167184270002526,
    0.06683281572999747,
    0.09083281572999748,
    0.1,
    0.09890739096288992,
    0.09567731610940124,
    0.0904509452102502,
    0.08345669575263974,
    0.07500025,
    0.06545119521025018,
    0.055226870899151057,
    0.04477412910084897,
    0.034549804789749824,
    0.025000750000000013,
    0.01654430424736027,
    0.00955005478974982,
    0.004323683890598773,
    0.001093609037110088,
]
V2_MOMS = [
    0.95,
    0.9404508497187474,
    0.9154508497187474,
    0.8845491502812526,
    0.8595491502812526,
    0.85,
    0.8510926199633096,
    0.8543227271178699,
    0.8595491502812526,
    0.8665434696820571,
    0.875,
    0.8845491502812526,
    0.8947735768366173,
    0.9052264231633826,
    0.9154508497187474,
    0.9249999999999999,
    0.9334565303179428,
    0.9404508497187474,
    0.94567727288213,
    0.9489073800366903,
]
LOGITS = torch.tensor(
    [
        [2.0, 0.5, -1.0],
        [0.1, 1.2, 0.3],
        [0.0, 0.2, 2.2],
        [1.5, 1.4, 0.0],
        [-0.5, 0.7, 0.9],
        [0.3, -0.2, 0.1],
        [0.0, 3.0, -1.0],
        [1.0, 1.1, 1.2],
    ]
)
CLASSES = torch.tensor([0, 1, 2, 1, 1, 0, 1, 0])
PROBABILITIES = [
    [0.7855970, 0.1752904, 0.0391126],
    [0.1913667, 0.5748974, 0.2337358],
    [0.0889172, 0.1086037, 0.8024791],
    [0.4699320, 0.4252120, 0.1048560],
    [0.1193985, 0.3964169, 0.4841847],
    [0.4123267, 0.2500888, 0.3375845],
    [0.0466126, 0.9362396, 0.0171478],
    [0.3006096, 0.3322250, 0.3671654],
]
LOSSES = [
    0.2413113,
    0.5535636,
    0.2200495,
    0.8551673,
    0.9252889,
    0.8859393,
    0.0658839,
    1.2019428,
]
SMOOTHED = [
    0.3913113,
    0.6202303,
    0.3600495,
    0.8985007,
    0.9586222,
    0.9092727,
    0.2992172,
    1.1919428,
]


def test_f053_the_cycle_of_fastai_v2_is_had_by_its_arguments() -> None:
    """Oracle O05: pct_start a quarter, down to lr / 1e5, three momenta; all 20 batches."""
    learner = a_learner(MemoryData(n_train=35, bs=7))
    learner.fit_one_cycle(4, 0.1, moms=(0.95, 0.85, 0.95), pct_start=0.25, final_div=1e5)
    assert learner.recorder.lrs == pytest.approx(V2_LRS, rel=1e-6)
    assert learner.recorder.moms == pytest.approx(V2_MOMS, rel=1e-6)


@pytest.mark.parametrize(("reduction", "expected"), [("mean", 0.7036433486), ("sum", 5.6291467892), ("none", SMOOTHED)])
def test_f093_label_smoothing_is_fastais_under_every_reduction(reduction: str, expected: float | list[float]) -> None:
    """Oracle O14."""
    found = LabelSmoothingCrossEntropy(eps=0.1, reduction=reduction)(LOGITS, CLASSES)
    assert found.tolist() == pytest.approx(expected, rel=1e-4)


def test_f106_probabilities_and_losses_of_every_item_are_fastais() -> None:
    """Oracle O12."""
    loss = CrossEntropyFlat()
    for row, expected in zip(loss.activation(LOGITS).tolist(), PROBABILITIES, strict=True):
        assert row == pytest.approx(expected, rel=1e-4)
    assert loss_per_item(loss, LOGITS, CLASSES).tolist() == pytest.approx(LOSSES, rel=1e-4)
    assert loss(LOGITS, CLASSES).item() == pytest.approx(0.6186433486, rel=1e-4)


def test_f056_every_tenth_rate_of_a_search_is_fastais() -> None:
    """Oracle O06: the end itself is never trained with."""
    learner = a_learner(MemoryData(n_train=35, bs=7))
    learner.lr_find(stop_div=False)
    expected = [
        1e-07,
        6.309573444801933e-07,
        3.981071705534973e-06,
        2.5118864315095795e-05,
        0.0001584893192461114,
        0.001,
        0.006309573444801929,
        0.03981071705534969,
        0.25118864315095824,
        1.584893192461114,
    ]
    assert learner.recorder.lrs[::10] == pytest.approx(expected, rel=1e-9)
    assert learner.recorder.lrs[-1] == pytest.approx(8.317637711026709, rel=1e-9)
