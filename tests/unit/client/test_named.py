"""Registered components as values: names, arguments checked where they are written, and how they are sent."""

from __future__ import annotations

import inspect
from functools import partial

import pytest
from google.protobuf.json_format import MessageToDict

from learnfleet.client import (
    Adam,
    CSVLogger,
    FBeta,
    GeneralScheduler,
    ImageDataBunch,
    LearnerSpec,
    MixUpCallback,
    SaveModelCallback,
    TrainingPhase,
    accuracy,
    accuracy_thresh,
    annealing_cos,
    cutout,
    models,
    top_k_accuracy,
)
from learnfleet.client.components import Component, ShowGraph, as_components, component_to_proto
from learnfleet.client.learner_options import Options


def sent(component: Component) -> dict[str, object]:
    return dict(MessageToDict(component_to_proto(component)))


@pytest.mark.parametrize(
    ("component", "name", "arguments"),
    [
        (accuracy, "accuracy", None),
        (partial(top_k_accuracy, k=3), "top_k_accuracy", {"k": 3.0}),
        (accuracy_thresh(thresh=0.3), "accuracy_thresh", {"thresh": 0.3}),
        (FBeta(beta=1), "FBeta", {"beta": 1.0}),
        (FBeta, "FBeta", None),
        (MixUpCallback(object(), 0.2), "mixup", {"alpha": 0.2}),
        (MixUpCallback(alpha=0.2), "mixup", {"alpha": 0.2}),
        (partial(CSVLogger, filename="log"), "csv_logger", {"filename": "log"}),
        (cutout(length=(10, 40)), "cutout", {"length": [10.0, 40.0]}),
        (partial(Adam, beta1=0.95), "adam", {"beta1": 0.95}),
        ("accuracy", "accuracy", None),
        (("mixup", {"alpha": 0.4}), "mixup", {"alpha": 0.4}),
    ],
)
def test_what_is_written_as_for_the_trainer_is_sent_as_a_name_and_arguments(
    component: Component, name: str, arguments: dict[str, object] | None
) -> None:
    assert sent(component) == ({"name": name} if arguments is None else {"name": name, "arguments": arguments})


def test_phases_are_sent_as_plain_data() -> None:
    phases = [
        TrainingPhase(40).schedule_hp("lr", (1e-3, 1e-2), annealing_cos),
        TrainingPhase(9).schedule_hp("mom", 0.9),
    ]
    arguments = sent(GeneralScheduler(None, phases))["arguments"]
    assert arguments == {
        "phases": [
            {"length": 40.0, "hps": {"lr": {"vals": [1e-3, 1e-2], "anneal": "cos"}}},
            {"length": 9.0, "hps": {"mom": {"vals": 0.9, "anneal": "no"}}},
        ]
    }


def test_values_have_the_trainers_names_signatures_and_docstrings() -> None:
    assert str(inspect.signature(MixUpCallback)) == "(learn=None, alpha=0.4, stack_x=False, stack_y=True)"
    assert (MixUpCallback.__name__, accuracy.__name__) == ("MixUpCallback", "accuracy")
    assert "mix" in (MixUpCallback.__doc__ or "").lower()
    assert repr(SaveModelCallback(None, every="epoch")) == "SaveModelCallback(every='epoch')"
    assert MixUpCallback(alpha=0.2) == MixUpCallback(None, 0.2) != MixUpCallback()


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (lambda: MixUpCallback(alfa=1.0), TypeError, "takes alpha, stack_x, stack_y"),
        (lambda: MixUpCallback(alpha="much"), TypeError, r"MixUpCallback\(alpha\) is 'much'"),
        (lambda: SaveModelCallback(None, every="week"), ValueError, "must be one of improvement, epoch"),
        (lambda: accuracy([1], [1]), TypeError, "computed by the workers"),
        (lambda: component_to_proto(lambda learn: learn), TypeError, "no code travels"),
        (lambda: models.resnet19, AttributeError, "no architecture 'resnet19'"),
        (lambda: Options(metric=accuracy), TypeError, "metric"),  # type: ignore[call-arg]
    ],
)
def test_what_is_not_known_is_said_where_it_is_written(make: object, error: type[Exception], told: str) -> None:
    assert callable(make)
    with pytest.raises(error, match=told):
        make()


def test_one_several_and_none_are_taken_as_the_trainer_takes_them() -> None:
    assert as_components(None) == ()
    assert as_components(accuracy) == (accuracy,)
    assert as_components([accuracy, "error_rate"]) == (accuracy, "error_rate")
    assert as_components(("mixup", {"alpha": 0.4})) == (("mixup", {"alpha": 0.4}),)
    assert as_components([ShowGraph, partial(CSVLogger, filename="log")])[0].func is CSVLogger  # type: ignore[union-attr]


def test_a_learner_is_described_with_values_as_with_names() -> None:
    data = ImageDataBunch.from_folder("pets", size=16, bs=4)
    by_value = Options(opt_func=partial(Adam, eps=1e-6), metrics=accuracy, callback_fns=MixUpCallback)
    by_name = LearnerSpec(
        data, "resnet18", ("accuracy",), opt_arguments={"eps": 1e-6}, callbacks=("mixup",), pretrained=False
    )
    assert by_value.spec(data, models.resnet18, False).to_proto() == by_name.to_proto()
