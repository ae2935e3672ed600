"""What a spec says of training, in the learner that is built from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from learnfleet.trainer.build import build_learner
from learnfleet.trainer.catalog import available_catalog
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.gradients import AccumulateScheduler, GradientClipping
from learnfleet.trainer.mixed_precision import MixedPrecision
from learnfleet.trainer.schedules import OneCycleScheduler
from learnfleet.trainer.spec import Component, DataSpec, LearnerSpec, OptimizerSpec


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSpec:
    """A folder of two classes."""
    root = tmp_path_factory.mktemp("pictures")
    for part in ("train", "valid"):
        for name in ("a", "b"):
            (root / part / name).mkdir(parents=True)
            for number in range(4):
                Image.fromarray(np.full((32, 32, 3), number, dtype=np.uint8)).save(root / part / name / f"{number}.png")
    return DataSpec(str(root), size=(32, 32), bs=4)


def test_f047_f090_f091_options_of_a_spec_are_those_of_the_learner(data: DataSpec) -> None:
    callbacks = (Component("one_cycle", {"lr_max": 0.1}),)
    spec = LearnerSpec(
        data, "squeezenet1_1", precision="fp16", clip_grad=0.1, accumulate=2, callbacks=callbacks, train_bn=False
    )
    learner = build_learner(spec)
    kinds = [MixedPrecision, GradientClipping, AccumulateScheduler, OneCycleScheduler]
    assert [type(callback) for callback in learner.callbacks] == kinds
    assert learner.gradient_clipping.clip == 0.1  # type: ignore[attr-defined]
    assert learner.accumulate_scheduler.n_step == 2  # type: ignore[attr-defined]
    assert learner.precision.name == "fp16"
    assert build_learner(LearnerSpec(data, "squeezenet1_1", precision="bf16")).precision.dtype == torch.bfloat16


def test_f045_the_optimizer_of_a_spec_has_its_arguments_and_decays_by_group(data: DataSpec) -> None:
    optimizer = OptimizerSpec("rmsprop", (0.1, 0.2, 0.3, 0.4), arguments={"alpha": 0.9})
    learner = build_learner(LearnerSpec(data, "squeezenet1_1", optimizer=optimizer))
    created = learner.create_opt()
    assert (created.beta, created.hyper_parameters()["wd"]) == (0.9, [0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"optimizer": OptimizerSpec("lion")}, "optimizer.name: 'lion' is unknown"),
        ({"optimizer": OptimizerSpec("sgd", arguments={"lr": 1})}, "no argument 'lr'; known: momentum"),
        ({"callbacks": (Component("none_such"),)}, "no callback 'none_such'"),
    ],
)
def test_what_a_spec_cannot_name_is_refused_with_what_is_known(
    data: DataSpec, spec: dict[str, object], message: str
) -> None:
    with pytest.raises(LearnerError, match=message):
        build_learner(LearnerSpec(data, "squeezenet1_1", **spec))  # type: ignore[arg-type]


def test_the_catalog_has_the_arguments_of_optimizers_and_callbacks() -> None:
    catalog = available_catalog()
    assert set(catalog["optimizers"]) == set(catalog["optimizer_arguments"])
    assert {"one_cycle", "mixed_precision", "accumulate", "early_stopping"} <= set(catalog["callbacks"])
    momentum = catalog["optimizer_arguments"]["sgd"][0]
    assert momentum == {"name": "momentum", "type": "float", "default": 0.0}


def test_a_spec_says_how_weights_lie_in_memory_and_whether_the_model_is_compiled(data: DataSpec) -> None:
    learner = build_learner(LearnerSpec(data, "squeezenet1_1", channels_last=True, compiled=True))
    assert learner.is_compiled
    assert next(learner.model.parameters()).is_contiguous(memory_format=torch.channels_last)
