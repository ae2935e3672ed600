"""Jobs that predict a data set, or say what a learner is made of: what they write is what the learner says itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.labelled_data import category_data
from support.memory_data import a_learner
from torch import Tensor

from learnfleet.trainer import cnn_learner
from learnfleet.trainer.data_spec import TransformSpec
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.run_context import RunContext
from learnfleet.trainer.run_evaluate import PREDICTIONS_FILE, run_describe, run_get_preds


def a_context(root: Path) -> RunContext:
    return RunContext("job", 1, lambda *_: None, lambda: False, root / "checkpoints")


def predicted(learner: Learner, root: Path, **options: Any) -> dict[str, Tensor]:
    """What the job has written."""
    wanted = {"dataset": "valid", "with_loss": False, "n_batch": None, "tta_beta": None, "tta_scale": 1.35, **options}
    run_get_preds(learner, a_context(root), output_dir=root, **wanted)
    return load_file(root / PREDICTIONS_FILE)


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    data = category_data(tmp_path_factory.mktemp("pictures"), tfms=TransformSpec())
    return cnn_learner(data, "resnet18", pretrained=False, silent=True)


def test_f097_raw_outputs_and_other_activations_are_asked_for_by_name(learner: Learner, tmp_path: Path) -> None:
    raw = predicted(learner, tmp_path, activ="none")["predictions"]
    assert torch.equal(raw, learner.get_preds(activ=lambda output: output)[0])
    assert torch.equal(raw, learner.get_preds(activ="none")[0])
    assert torch.equal(predicted(learner, tmp_path, activ="sigmoid")["predictions"], raw.sigmoid())
    assert torch.equal(predicted(learner, tmp_path)["predictions"], raw.softmax(dim=1))
    assert torch.equal(learner.pred_batch(activ="sigmoid"), raw[: learner.data.valid_dl.batch_size].sigmoid())  # type: ignore[arg-type]
    with pytest.raises(LearnerError, match="one of none, softmax, sigmoid"):
        learner.get_preds(activ="relu")


def test_f101_every_form_of_test_time_augmentation_is_that_of_the_learner(learner: Learner, tmp_path: Path) -> None:
    plain, mean, _ = learner.TTA(beta=None, scale=1.2)
    apart = predicted(learner, tmp_path, tta_apart=True, tta_scale=1.2)
    assert torch.equal(apart["predictions"], plain)
    assert torch.equal(apart["variants"], mean)
    assert not torch.equal(plain, mean)
    for use_max in (False, True):
        passes = predicted(learner, tmp_path, tta_beta=0.3, tta_passes=2, tta_use_max=use_max)
        assert torch.equal(passes["predictions"], learner.tta(n=2, beta=0.3, use_max=use_max)[0])
        assert "variants" not in passes
    weighed = predicted(learner, tmp_path, tta_beta=0.4, activ="none")["predictions"]
    assert torch.equal(weighed, learner.TTA(activ="none")[0])


def test_a_learner_says_what_it_is_made_of(learner: Learner, tmp_path: Path) -> None:
    found = run_describe(learner, a_context(tmp_path))["description"]
    assert found["network"] == learner.summary()
    means, stds = learner.data.batch_stats()  # type: ignore[attr-defined]
    assert (found["channel_means"], found["channel_stds"]) == (list(means), list(stds))
    learner.fit(1)
    moments = learner.require_optimizer()
    frozen = run_describe(learner, a_context(tmp_path), freeze_to=-1)["description"]["network"]
    assert learner.require_optimizer() is moments
    assert all(parameter.requires_grad for parameter in learner.model.parameters())
    learner.freeze()
    assert (frozen, frozen == found["network"]) == (learner.summary(), False)
    numbers = run_describe(a_learner(), a_context(tmp_path))["description"]
    assert (numbers["channel_means"], "Linear" in numbers["network"]) == ([], True)
