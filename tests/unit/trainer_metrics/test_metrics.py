"""Metrics as sums, the registry of names, and their arguments."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.metric_functions import accuracy, error_rate, top_k_accuracy
from learnfleet.trainer.metrics import AverageMetric, as_metrics, available_metrics, build_metric

LOGITS = torch.tensor([[0.1, 0.9, 0.0], [0.5, 0.4, 0.3], [0.2, 0.3, 0.1], [0.0, 0.1, 0.2]])
TARGETS = torch.tensor([1, 1, 0, 2])


def test_a_function_metric_is_averaged_by_batch_size() -> None:
    values = iter([0.5, 1.0, 0.0])
    metric = AverageMetric(lambda output, target: next(values))
    for size in (4, 4, 2):
        metric.update(torch.zeros(size, 2), torch.zeros(size, dtype=torch.int64))
    assert metric.value(metric.sums()) == pytest.approx(0.6)


def test_sums_of_two_ranks_add_up_to_the_metric_of_the_whole() -> None:
    whole, left, right = (build_metric("accuracy") for _ in range(3))
    whole.update(LOGITS, TARGETS)
    left.update(LOGITS[:3], TARGETS[:3])
    right.update(LOGITS[3:], TARGETS[3:])
    assert whole.value(left.sums() + right.sums()) == whole.value(whole.sums()) == 0.5


def test_reset_forgets() -> None:
    metric = build_metric("accuracy")
    metric.update(LOGITS, TARGETS)
    metric.reset()
    metric.update(LOGITS[:1], TARGETS[:1])
    assert metric.value(metric.sums()) == 1.0


def test_accuracy_error_rate_and_top_k_by_hand() -> None:
    assert float(accuracy(LOGITS, TARGETS)) == 0.5
    assert float(error_rate(LOGITS, TARGETS)) == 0.5
    assert float(top_k_accuracy(LOGITS, TARGETS, k=1)) == 0.5
    assert float(top_k_accuracy(LOGITS, TARGETS, k=2)) == 1.0
    assert float(top_k_accuracy(LOGITS, TARGETS)) == 1.0  # five of three classes


def test_the_catalog_gives_names_types_and_defaults() -> None:
    assert available_metrics()["top_k_accuracy"] == [{"name": "k", "type": "int", "default": 5}]
    assert available_metrics()["accuracy"] == []


def test_a_whole_number_that_came_as_float_is_taken_for_an_int() -> None:
    metric = build_metric("top_k_accuracy", {"k": 2.0})
    metric.update(LOGITS, TARGETS)
    assert metric.value(metric.sums()) == 1.0
    assert metric.name == "top_k_accuracy"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("acuracy", {}, "there is no metric 'acuracy'; known: APScore"),
        ("accuracy", {"k": 1}, "there is no argument 'k'; known: none"),
        ("top_k_accuracy", {"k": 1.5}, "1.5 is of type float, not int"),
        ("top_k_accuracy", {"k": "2"}, "'2' is of type str, not int"),
        ("top_k_accuracy", {"k": True}, "True is of type bool, not int"),
    ],
)
def test_unknown_names_and_arguments_are_refused(name: str, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(LearnerError, match=message):
        build_metric(name, arguments)


def test_names_functions_and_partials_are_taken_alone_or_in_a_list() -> None:
    names = [metric.name for metric in as_metrics(["accuracy", error_rate, partial(top_k_accuracy, k=2)])]
    assert names == ["accuracy", "error_rate", "top_k_accuracy"]
    assert [metric.name for metric in as_metrics(accuracy)] == ["accuracy"]
    assert as_metrics(None) == []
    with pytest.raises(LearnerError, match="neither a name"):
        as_metrics(3)
