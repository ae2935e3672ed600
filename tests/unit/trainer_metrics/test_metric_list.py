"""Every metric by name: its value, over batches of different sizes, and over ranks of which one may have nothing."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch
from support.memory_data import a_learner
from support.ranks import run_ranks
from torch import Tensor

from learnfleet.trainer.callback import Callback, Changes
from learnfleet.trainer.distributed import World, current_world
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.metric_functions import accuracy, auc_roc_score, error_rate
from learnfleet.trainer.metrics import available_metrics, build_metric, results
from learnfleet.trainer.run_context import RunContext
from learnfleet.trainer.run_evaluate import run_validate
from learnfleet.trainer.state import TrainState

# fastai v1's own outputs for these inputs.
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
NUMBERS, TRUE_NUMBERS = torch.tensor([0.5, 1.0, 2.5, 3.0]), torch.tensor([0.0, 1.2, 2.0, 3.5])
SCORES, TRUE_BINARY = torch.tensor([0.1, 0.4, 0.35, 0.8, 0.8, 0.55]), torch.tensor([0, 0, 1, 1, 0, 1])
BINARY = torch.stack([(1 - SCORES).log(), SCORES.log()], dim=1)
LABEL_LOGITS = torch.tensor([[2.0, -1.0, 0.3], [-0.5, 0.2, 1.0], [0.1, 0.1, -3.0]])
LABELS = torch.tensor([[1.0, 0, 1], [0, 1, 1], [1, 0, 0]])
_PREDICTED_MASKS = torch.tensor([[[0, 1], [1, 1]], [[0, 0], [0, 0]]])
MASK_LOGITS = torch.nn.functional.one_hot(_PREDICTED_MASKS, 2).permute(0, 3, 1, 2).float()
MASKS = torch.tensor([[[0, 1], [0, 1]], [[0, 0], [0, 0]]]).unsqueeze(1)
TOKEN_SCORES = torch.nn.functional.one_hot(torch.tensor([[1, 2, 3, 4, 5], [1, 2, 3, 4, 6]]), 8).float() * 4
TOKENS = torch.tensor([[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]])

CLASSIFIED, NUMBERED, BINARIES = (LOGITS, CLASSES), (NUMBERS, TRUE_NUMBERS), (BINARY, TRUE_BINARY)
LABELLED, MASKED, TEXTS = (LABEL_LOGITS, LABELS), (MASK_LOGITS, MASKS), (TOKEN_SCORES, TOKENS)

Case = tuple[str, dict[str, object], tuple[Tensor, Tensor], float]
_LOG_P = TOKEN_SCORES.log_softmax(-1).gather(-1, TOKENS.unsqueeze(-1))
# name, arguments, data, value over the whole of it
CASES: list[Case] = [
    ("accuracy", {}, CLASSIFIED, 0.625),
    ("error_rate", {}, CLASSIFIED, 0.375),
    ("top_k_accuracy", {"k": 2}, CLASSIFIED, 0.875),
    ("KappaScore", {}, CLASSIFIED, 0.45454545454545453),
    ("KappaScore", {"weights": "linear"}, CLASSIFIED, 0.4285714285714286),
    ("KappaScore", {"weights": "quadratic"}, CLASSIFIED, 0.4),
    ("CohenKappa", {}, CLASSIFIED, 0.45454545454545453),
    ("MatthewsCorreff", {}, CLASSIFIED, 0.5006261743217589),
    ("MatthewsCorrCoef", {}, CLASSIFIED, 0.5006261743217589),
    ("Recall", {"average": "macro"}, CLASSIFIED, 0.7222222222222222),
    ("Recall", {}, CLASSIFIED, 0.7222222222222222),  # binary, but of three classes
    ("Recall", {"average": "weighted"}, CLASSIFIED, 0.625),
    ("Recall", {"average": "micro"}, CLASSIFIED, 0.625),
    ("Precision", {"average": "macro"}, CLASSIFIED, 0.6666666666666666),
    ("Precision", {"average": "weighted"}, CLASSIFIED, 0.7916666666666666),
    ("Precision", {"average": "micro"}, CLASSIFIED, 0.625),
    ("FBeta", {"average": "macro"}, CLASSIFIED, 0.6455026452927858),
    ("FBeta", {"average": "macro", "beta": 1.0}, CLASSIFIED, 0.6111111106712962),
    ("F1Score", {"average": "weighted"}, CLASSIFIED, 0.645833332876736),
    ("BalancedAccuracy", {}, CLASSIFIED, 0.7222222222222222),
    ("ConfusionMatrix", {}, CLASSIFIED, 0.625),
    ("HammingLoss", {}, CLASSIFIED, 0.375),
    ("RocAuc", {}, CLASSIFIED, 0.9555555555555556),  # by scikit-learn
    ("mean_squared_error", {}, NUMBERED, 0.1975),
    ("mse", {}, NUMBERED, 0.1975),
    ("mean_absolute_error", {}, NUMBERED, 0.425),
    ("mae", {}, NUMBERED, 0.425),
    ("mean_squared_logarithmic_error", {}, NUMBERED, 0.052780314961784244),
    ("msle", {}, NUMBERED, 0.052780314961784244),
    ("RMSE", {}, NUMBERED, 0.44440972086577946),
    ("ExpRMSPE", {}, NUMBERED, 0.5072857271162449),
    ("R2Score", {}, NUMBERED, 0.8778507924236567),
    ("ExplainedVariance", {}, NUMBERED, 0.8813297255508311),
    ("PearsonCorrCoef", {}, NUMBERED, 0.9489217505610159),
    ("SpearmanCorrCoef", {}, NUMBERED, 1.0),
    ("AUROC", {}, BINARIES, 0.6111111111111112),
    ("RocAucBinary", {}, BINARIES, 0.6111111111111112),
    ("APScoreBinary", {}, BINARIES, 0.5888888888888889),
    ("BrierScore", {}, BINARIES, float((SCORES - TRUE_BINARY).pow(2).mean())),
    ("accuracy_thresh", {}, LABELLED, 0.8888888888888888),
    ("fbeta", {}, LABELLED, 0.8838383830735385),
    ("MultiLabelFbeta", {}, LABELLED, 0.9259259259259253),
    ("MultiLabelFbeta", {"average": "macro"}, LABELLED, 0.9141414141414135),
    ("MultiLabelFbeta", {"average": "weighted"}, LABELLED, 0.9303030303030297),
    ("F1ScoreMulti", {}, LABELLED, (1 + 2 / 3 + 1) / 3),
    ("PrecisionMulti", {}, LABELLED, (1 + 1 / 2 + 1) / 3),
    ("RecallMulti", {}, LABELLED, 1.0),
    ("HammingLossMulti", {}, LABELLED, 1 / 9),
    ("RocAucMulti", {}, LABELLED, 1.0),
    ("APScoreMulti", {}, LABELLED, 1.0),
    ("dice", {}, MASKED, 0.9),
    ("dice", {"iou": True}, MASKED, 0.8333333322222223),
    ("Dice", {}, MASKED, 0.8),
    ("JaccardCoeff", {}, MASKED, 2 / 3),
    ("DiceMulti", {}, MASKED, (0.8 + 10 / 11) / 2),
    ("JaccardCoeffMulti", {}, MASKED, (2 / 3 + 5 / 6) / 2),
    ("JaccardCoeffMulti", {"void_code": 0}, MASKED, 1.0),
    ("Perplexity", {}, TEXTS, float(torch.exp(-_LOG_P.mean()))),
    ("CorpusBLEUMetric", {}, TEXTS, (9 / 10 * 7 / 8 * 5 / 6 * 3 / 4) ** 0.25),
]
# Means of these over batches are not their values over the whole: they are compared in one batch.
NOT_ADDITIVE: list[Case] = [
    ("root_mean_squared_error", {}, NUMBERED, 0.44440972086577946),
    ("rmse", {}, NUMBERED, 0.44440972086577946),
    ("exp_rmspe", {}, NUMBERED, 0.5072857271162449),
    ("explained_variance", {}, NUMBERED, 0.8813297255508311),
    ("r2_score", {}, NUMBERED, 0.8778507924236567),
    ("psnr", {}, NUMBERED, 10 * math.log10(1 / 0.1975)),
    ("foreground_acc", {}, MASKED, 1.0),
]


def measured(case: Case, borders: list[int], world: World = World()) -> float:  # noqa: B008  # frozen
    """The metric of a case over batches with these borders."""
    name, arguments, (output, target), _ = case
    metric = build_metric(name, arguments)
    for start, end in itertools.pairwise(borders):
        if start < end:
            metric.update(output[start:end], target[start:end])
    return results([metric], [], world)[1][0]


def case_id(case: Case) -> str:
    return "-".join([case[0], *map(str, case[1].values())])


def test_f096_every_metric_has_a_case() -> None:
    assert {case[0] for case in (*CASES, *NOT_ADDITIVE)} == set(available_metrics())


@pytest.mark.parametrize("case", [*CASES, *NOT_ADDITIVE], ids=case_id)
def test_f096_a_metric_has_its_value_in_one_batch(case: Case) -> None:
    assert measured(case, [0, len(case[2][1])]) == pytest.approx(case[3], rel=1e-4)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_f067_a_metric_has_its_value_over_uneven_batches(case: Case) -> None:
    n = len(case[2][1])
    assert measured(case, [0, 1, n]) == pytest.approx(case[3], rel=1e-4)


def _shares_on_this_rank(rank: int, shares: list[int]) -> list[float]:
    """Each case with the items before the border on rank 0 and the others on rank 1."""
    world = current_world()
    found = []
    for case, border in zip(CASES, shares, strict=True):
        borders = [0, border] if rank == 0 else [border, len(case[2][1])]
        found.append(measured(case, borders, world))
    return found


def _uneven(rank: int, folder: Path) -> list[float]:
    return _shares_on_this_rank(rank, [1 for _ in CASES])


def _one_has_nothing(rank: int, folder: Path) -> list[float]:
    return _shares_on_this_rank(rank, [0 for _ in CASES])


def test_f049_f050_metrics_of_two_ranks_are_those_of_one_process(tmp_path: Path) -> None:
    answers = run_ranks([_uneven, _one_has_nothing], tmp_path / "ranks")
    expected = [case[3] for case in CASES]
    for name, by_rank in answers.items():
        assert by_rank[0] == by_rank[1], name
        for case, value, right in zip(CASES, by_rank[0], expected, strict=True):
            assert value == pytest.approx(right, rel=1e-4), (name, case_id(case))


def test_f066_function_metrics_are_averaged_by_batch_size() -> None:
    values = iter([0.5, 1.0, 0.0])
    from learnfleet.trainer.metrics import AverageMetric

    metric = AverageMetric(lambda output, target: next(values))
    for n in (4, 4, 2):
        metric.update(torch.zeros(n, 2), torch.zeros(n))
    assert results([metric], [], World())[1] == [pytest.approx(0.6)]


def test_f096_the_area_under_a_curve_counts_ties_as_one_step() -> None:
    assert float(auc_roc_score(SCORES, TRUE_BINARY)) == pytest.approx(0.6111111111111112)


def test_f096_an_average_of_none_keeps_the_value_of_each_class() -> None:
    metric = build_metric("Recall", {"average": "none"})
    metric.update(LOGITS, CLASSES)
    (mean,) = results([metric], [], World())[1]
    assert metric.per_class == pytest.approx([2 / 3, 1 / 2, 1.0])  # type: ignore[attr-defined]
    assert mean == pytest.approx(sum([2 / 3, 1 / 2, 1.0]) / 3)


@pytest.mark.parametrize("name", ["accuracy", "Precision", "MultiLabelFbeta", "RMSE", "DiceMulti", "AUROC"])
def test_f096_outputs_that_do_not_fit_are_named_with_their_shapes(name: str) -> None:
    metric = build_metric(name)
    with pytest.raises(LearnerError, match=r"cannot compare outputs \[4, 3, 2\] with targets \[5\]"):
        metric.update(torch.zeros(4, 3, 2), torch.zeros(5, dtype=torch.int64))


def test_f096_wrong_arguments_are_named() -> None:
    for name, arguments, told in (
        ("KappaScore", {"weights": "cubic"}, "linear"),
        ("Precision", {"average": "mean"}, "macro"),
        ("top_k_accuracy", {"k": 1.5}, "int"),
        ("nonsense", {}, "there is no metric"),
    ):
        with pytest.raises(LearnerError, match=told):
            build_metric(name, arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "told"), [(torch.zeros(3), r"\[3\] numbers"), (None, "None"), ("0.5", "'0.5'")])
def test_f066_a_function_that_gives_no_number_is_named(value: object, told: str) -> None:
    def shaky(output: Tensor, target: Tensor) -> object:
        return value

    with pytest.raises(LearnerError, match=rf"metrics\.shaky: it gives {told} a batch; a metric is one number"):
        a_learner(metrics=shaky).fit(1)


def test_f066_f067_metrics_may_be_set_and_added_to_after_the_learner_was_made() -> None:
    class Zero(Callback):
        def on_epoch_end(self, state: TrainState) -> Changes:
            return {"last_metrics": [*state.last_metrics, 0.0]}

    learner = a_learner(metrics=[Zero()])
    learner.metrics = [accuracy]  # type: ignore[list-item]
    learner.metrics.append(error_rate)  # type: ignore[arg-type]
    learner.metrics += ["Recall", Zero()]  # type: ignore[list-item]
    learner.fit(1)
    assert learner.recorder.metric_names == ["accuracy", "error_rate", "recall", "zero"]
    right, wrong, _, zero = learner.recorder.metrics[0]
    assert right + wrong == pytest.approx(1)
    assert zero == 0
    learner.metrics = accuracy  # type: ignore[assignment]
    assert len(learner.validate()) == 2
    with pytest.raises(LearnerError, match="3 is neither a name"):
        learner.metrics = [3]  # type: ignore[list-item]


def test_f067_a_validation_job_tells_both_values_of_two_metrics_of_one_name(tmp_path: Path) -> None:
    learner = a_learner()
    asked = [{"name": "top_k_accuracy", "arguments": {"k": k}} for k in (1, 2)]
    context = RunContext("job", 1, lambda *event: None, lambda: False, tmp_path)
    found = run_validate(learner, context, dataset="valid", metrics=asked)["metrics"]
    values = learner.validate(metrics=[build_metric(**item) for item in asked])  # type: ignore[arg-type]
    assert found == dict(zip(["valid_loss", "top_k_accuracy", "top_k_accuracy_2"], values, strict=True))


def test_f067_a_callback_serves_as_a_metric() -> None:
    class Largest(Callback):
        def on_epoch_begin(self, state: TrainState) -> Changes:
            self.value = -math.inf
            self.heard: list[bool] = []

        def on_batch_end(self, state: TrainState) -> Changes:
            self.heard.append(state.train)
            self.value = max(self.value, float(state.last_output.max()))

        def on_epoch_end(self, state: TrainState) -> Changes:
            return {"last_metrics": [*state.last_metrics, self.value]}

    largest = Largest()
    learner = a_learner(metrics=["accuracy", largest])
    learner.fit(1)
    row = learner.recorder.rows[-1]
    assert list(row.metrics) == ["accuracy", "largest"]
    assert row.metrics["largest"] == largest.value
    assert largest.heard
    assert not any(largest.heard)
