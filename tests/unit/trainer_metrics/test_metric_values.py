"""Metrics against torchmetrics on drawn data in uneven batches, and what they do with odd arguments and targets."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torchmetrics.functional.classification as by_torchmetrics
from torch import Tensor

from learnfleet.trainer import metric_classes as classes
from learnfleet.trainer import metric_curves as curves
from learnfleet.trainer import metric_labels as labels
from learnfleet.trainer.distributed import World
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.metric_functions import (
    accuracy,
    accuracy_thresh,
    auc_roc_score,
    dice,
    roc_curve,
    top_k_accuracy,
)
from learnfleet.trainer.metric_masks import DiceMulti
from learnfleet.trainer.metric_tokens import CorpusBLEUMetric, Perplexity
from learnfleet.trainer.metrics import as_metrics, results

Reference = Callable[[Tensor, Tensor], Tensor]


def drawn(classes: int, items: int = 57) -> tuple[Tensor, Tensor]:
    """Outputs [items, classes] that are right more often than not, and targets of all classes but the last but one."""
    draw = torch.Generator().manual_seed(classes)
    target = torch.randint(0, classes, (items,), generator=draw)
    if classes > 2:
        target[target == classes - 2] = 0
    return torch.randn(items, classes, generator=draw) + torch.nn.functional.one_hot(target, classes), target


def measured(metric: object, output: Tensor, target: Tensor, size: int = 10) -> float:
    """Over batches of `size` and a shorter last one."""
    (found,) = as_metrics(metric)
    for start in range(0, len(target), size):
        found.update(output[start : start + size], target[start : start + size])
    return results([found], [], World())[1][0]


_CLASS_CASES: list[tuple[Any, str, dict[str, Any]]] = [
    *((classes.Precision(average=a), "multiclass_precision", {"average": a}) for a in ("micro", "macro", "weighted")),
    *((classes.Recall(average=a), "multiclass_recall", {"average": a}) for a in ("micro", "macro", "weighted")),
    *(
        (classes.FBeta(b, a), "multiclass_fbeta_score", {"beta": float(b), "average": a})
        for a in ("micro", "macro", "weighted")
        for b in (1, 2, 0.5)
    ),
    (classes.F1Score("macro"), "multiclass_f1_score", {"average": "macro"}),
    *((classes.KappaScore(w), "multiclass_cohen_kappa", {"weights": w}) for w in (None, "linear", "quadratic")),
    (classes.MatthewsCorreff(), "multiclass_matthews_corrcoef", {}),
    (classes.HammingLoss(), "multiclass_hamming_distance", {"average": "micro"}),
]


@pytest.mark.parametrize("count", [2, 3, 6])
@pytest.mark.parametrize(("metric", "name", "arguments"), _CLASS_CASES)
def test_f096_metrics_of_classes_are_those_of_torchmetrics(
    metric: Any, name: str, arguments: dict[str, Any], count: int
) -> None:
    metric.reset()
    output, target = drawn(count)
    right = getattr(by_torchmetrics, name)(output.argmax(1), target, num_classes=count, **arguments)
    assert measured(metric, output, target) == pytest.approx(float(right), rel=1e-5)


@pytest.mark.parametrize("of", [0, 1])
def test_f096_binary_scores_are_those_of_the_class_asked_for(of: int) -> None:
    output, target = drawn(2)
    predicted, true = output.argmax(1) == of, target == of
    hits = float((predicted & true).sum())
    assert measured(classes.Precision("binary", of), output, target) == pytest.approx(hits / float(predicted.sum()))
    assert measured(classes.Recall(pos_label=of), output, target) == pytest.approx(hits / float(true.sum()))


@pytest.mark.parametrize("sizes", [(30, 27), (1, 56)])
def test_f096_curves_are_those_of_torchmetrics(sizes: tuple[int, int]) -> None:
    output, target = drawn(2)
    output = (output * 2).round()  # ties
    scores = output.double().softmax(1)[:, 1]
    for metric, reference in (
        (curves.AUROC(), by_torchmetrics.binary_auroc),
        (curves.APScoreBinary(), by_torchmetrics.binary_average_precision),
    ):
        for part_o, part_t in zip(output.split(sizes), target.split(sizes), strict=True):
            metric.update(part_o, part_t)
        assert results([metric], [], World())[1][0] == pytest.approx(float(reference(scores, target)), rel=1e-5)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_f096_areas_of_several_classes_are_those_of_torchmetrics(average: str) -> None:
    output, target = drawn(4)
    target[:2] = 2  # every class occurs
    right = by_torchmetrics.multiclass_auroc(output.softmax(1), target, 4, average=average)  # type: ignore[arg-type]
    assert measured(curves.RocAuc(average), output, target) == pytest.approx(float(right), rel=1e-5)


@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
def test_f096_metrics_of_labels_are_those_of_torchmetrics(average: Any) -> None:
    output = torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
    target = (output + torch.randn(40, 3, generator=torch.Generator().manual_seed(2)) > 0.3).long()
    for metric, reference in (
        (labels.PrecisionMulti(average=average), by_torchmetrics.multilabel_precision),
        (labels.RecallMulti(average=average), by_torchmetrics.multilabel_recall),
        (labels.F1ScoreMulti(average=average), by_torchmetrics.multilabel_f1_score),
        (curves.RocAucMulti(average=average), by_torchmetrics.multilabel_auroc),
        (curves.APScoreMulti(average=average), by_torchmetrics.multilabel_average_precision),
    ):
        right = float(reference(output.sigmoid(), target, 3, average=average))
        assert measured(metric, output, target.float()) == pytest.approx(right, rel=1e-5), metric.name


def test_f096_a_curve_of_one_class_only_is_no_number() -> None:
    output, target = drawn(2)
    assert math.isnan(measured(curves.AUROC(), output, target * 0))
    assert math.isnan(measured(curves.APScoreBinary(), output, target * 0))


def test_f096_classes_that_do_not_occur_count_in_no_area() -> None:
    output, target = drawn(4)
    assert not (target == 2).any()
    scores = output.double().softmax(1)
    right = sum(float(auc_roc_score(scores[:, i], target == i)) for i in (0, 1, 3)) / 3
    assert measured(curves.RocAuc(), output, target) == pytest.approx(right)


def test_f096_a_roc_curve_has_a_point_a_score() -> None:
    false, true = roc_curve(torch.tensor([0.1, 0.4, 0.35, 0.8, 0.8]), torch.tensor([0, 0, 1, 1, 0]))
    assert false.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3, 1])
    assert true.tolist() == [0, 0.5, 0.5, 1, 1]
    with pytest.raises(LearnerError, match=r"one score and one class an item, not of \[4, 2\] and \[4\]"):
        auc_roc_score(torch.rand(4, 2), torch.tensor([0, 1, 0, 1]))


def test_f096_targets_in_a_column_are_targets_in_a_row() -> None:
    output, target = drawn(3)
    for metric in (accuracy, partial(top_k_accuracy, k=2), classes.Recall("macro")):
        (found,) = as_metrics(metric)
        found.reset()
        row = measured(found, output, target)
        found.reset()
        assert measured(found, output, target[:, None]) == row


def test_f096_labels_are_not_stretched_over_items() -> None:
    with pytest.raises(LearnerError, match=r"accuracy_thresh cannot compare outputs \[3, 3\] with targets \[3\]"):
        measured(accuracy_thresh, torch.zeros(3, 3), torch.ones(3))


@pytest.mark.parametrize("metric", [classes.Precision, classes.Recall, classes.FBeta, classes.F1Score])
def test_f096_an_average_of_none_is_fastais_none(metric: Any) -> None:
    output, target = drawn(3)
    found = metric(average=None)
    mean = measured(found, output, target)
    assert found.average == "none"
    assert len(found.per_class) == 3
    assert measured(metric(average="macro"), output, target) == pytest.approx(mean)


def test_f096_a_binary_average_of_more_classes_warns_once_and_is_macro(caplog: pytest.LogCaptureFixture) -> None:
    output, target = drawn(3)
    metric = classes.Recall()
    with caplog.at_level(logging.WARNING):
        first = measured(metric, output, target)
        again = results([metric], [], World())[1][0]
    assert first == again == measured(classes.Recall("macro"), output, target)
    assert [r.getMessage() for r in caplog.records] == [
        "recall: average='binary' is of two classes, not 3: it is now 'macro'"
    ]


def test_f096_arguments_that_mean_nothing_are_named() -> None:
    for make, told in (
        (lambda: classes.FBeta("macro"), r"f_beta\.beta: 'macro' is not a number above 0"),  # type: ignore[arg-type]
        (lambda: classes.FBeta(0), r"f_beta\.beta: 0 is not"),
        (lambda: classes.Precision(pos_label=5), r"precision\.pos_label: 5 is not 0 or 1"),
        (lambda: labels.RecallMulti(average="binary"), r"recall_multi\.average: 'binary' is not one of micro"),
    ):
        with pytest.raises(LearnerError, match=told):
            make()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("shift", [1, -1])
@pytest.mark.parametrize("metric", [classes.ConfusionMatrix, classes.Precision, classes.KappaScore])
def test_f096_targets_outside_the_classes_are_named(metric: Any, shift: int) -> None:
    output, target = torch.eye(3), torch.arange(3)
    with pytest.raises(LearnerError, match=r"targets are classes -?\d to \d, but outputs are of classes 0 to 2"):
        measured(metric(), output, target + shift)


def test_f096_texts_that_do_not_fit_are_named_with_their_shapes() -> None:
    for metric, target in ((Perplexity(), torch.zeros(4, 2)), (CorpusBLEUMetric(), torch.zeros(3, 3))):
        with pytest.raises(LearnerError, match=rf"{metric.name} cannot compare outputs \[4, 3, 5\] with targets"):
            metric.update(torch.zeros(4, 3, 5), target.long())


def test_f096_perplexity_counts_every_token_alike_in_batches_of_any_size() -> None:
    output = torch.randn(5, 3, 7, generator=torch.Generator().manual_seed(0))
    target = torch.randint(0, 7, (5, 3), generator=torch.Generator().manual_seed(1))
    right = torch.nn.functional.cross_entropy(output.flatten(0, 1), target.flatten()).exp()
    assert measured(Perplexity(), output, target, size=2) == pytest.approx(float(right), rel=1e-6)
    assert math.isnan(results([Perplexity()], [], World())[1][0])


def test_f096_masks_of_0_and_255_are_not_more_than_everything() -> None:
    output, target = torch.randn(2, 2, 4, 4), 255 * torch.ones(2, 1, 4, 4, dtype=torch.int64)
    assert float(dice(output, target)) <= 1
    with pytest.raises(LearnerError, match="targets are classes 255 to 255"):
        measured(DiceMulti(), output, target)


def test_f096_a_confusion_matrix_has_true_classes_as_rows() -> None:
    metric = classes.ConfusionMatrix()
    output, target = drawn(3)
    measured(metric, output, target)
    right = [[int(((target == t) & (output.argmax(1) == p)).sum()) for p in range(3)] for t in range(3)]
    assert metric.matrix is not None
    assert metric.matrix.tolist() == right


def test_f067_a_class_or_a_partial_of_one_is_made_into_a_metric() -> None:
    output, target = drawn(2)
    made = as_metrics([curves.AUROC, partial(classes.FBeta, beta=1)])
    assert [metric.name for metric in made] == ["auroc", "f_beta"]
    assert measured(partial(classes.FBeta, beta=1), output, target) == measured(classes.F1Score(), output, target)
