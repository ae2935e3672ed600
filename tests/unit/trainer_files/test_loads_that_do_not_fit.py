"""What `Learner.load` tells when a save does not fit, and what a Learner lets go of."""

from __future__ import annotations

import copy
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from support.memory_data import MemoryData, a_learner, tiny_model
from support.saved_learners import at, moments, same, trained

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.opt_funcs import SGD

# --- F118


def warned(caplog: pytest.LogCaptureFixture) -> str:
    return " ".join(record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda learner: learner.save("x", with_opt=False), "nothing of the optimiser was saved"),
        (lambda learner: setattr(learner, "opt", None) or learner.save("x"), "nothing of the optimiser was saved"),
    ],
    ids=["without", "none yet"],
)
def test_f118_an_optimiser_that_is_not_in_the_save_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, prepare: Any, reason: str
) -> None:
    learner = trained(tmp_path)
    prepare(learner)
    learner.load("x")
    assert f"the optimiser was not restored and starts anew: {reason}" in warned(caplog)
    assert learner.opt is None
    with pytest.raises(LearnerError, match=f"with_opt: {reason}"):
        learner.load("x", with_opt=True)


def test_f118_an_optimiser_of_another_kind_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained(tmp_path).save("adam")
    other = at(tmp_path, opt_func=SGD)
    other.load("adam")
    assert "the optimiser saved is adam, the learner's is sgd" in warned(caplog)
    other.fit(1)


def test_f118_other_layer_groups_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained(tmp_path).save("three")
    other = a_learner(MemoryData(path=tmp_path), layer_groups=None)
    other.split(lambda model: [model[2]])
    other.load("three")
    assert "it was saved with 3 layer groups, the learner has 2: `split` it as it was" in warned(caplog)


def test_f118_a_save_of_a_frozen_model_restores_what_it_has_of_an_unfrozen_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    learner = at(tmp_path, train_bn=False)
    learner.freeze()
    learner.fit(1)
    learner.save("frozen")
    saved = moments(learner)
    learner.unfreeze()
    learner.load("frozen")
    assert learner.frozen_to == 0
    assert same(moments(learner), saved)
    assert "restored for 2 of the 2 parameters that were saved under freeze_to(2) (now 0): 7 start anew" in warned(
        caplog
    )
    learner.fit(1)


def test_f118_a_save_of_an_unfrozen_model_restores_what_a_frozen_one_trains(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    learner = trained(tmp_path, train_bn=False)
    learner.save("unfrozen")
    saved = moments(learner)
    learner.freeze()
    with pytest.raises(LearnerError, match="the optimiser state is of other trainable parameters"):
        learner.load("unfrozen", with_opt=True)
    learner.load("unfrozen")
    assert same(moments(learner), {name: value for name, value in saved.items() if "/2." in name})
    assert "restored for 2 of the 9 parameters that were saved under freeze_to(0) (now 2): 7 frozen now" in warned(
        caplog
    )


def test_f118_nothing_is_told_where_all_of_it_was_restored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    learner = trained(tmp_path)
    learner.save("x")
    learner.load("x", with_opt=True)
    learner.load("x")
    assert warned(caplog) == ""


# --- F119


@pytest.mark.parametrize("strict", [True, False])
def test_f119_another_shape_is_refused_whatever_strict_says_and_named(tmp_path: Path, strict: bool) -> None:
    trained(tmp_path).save("three")
    other = a_learner(MemoryData(path=tmp_path, c=4), tiny_model(c=4))
    before = copy.deepcopy(other.model.state_dict())
    with pytest.raises(LearnerError) as caught:
        other.load("three", strict=strict)
    assert "2 of another shape: 2.3.weight is [3, 8] instead of [4, 8], 2.3.bias" in str(caught.value)
    assert ("strict=False leaves out names, never shapes" in str(caught.value)) is not strict
    assert same(before, other.model.state_dict())


def test_f119_other_classes_of_the_same_number_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained(tmp_path).save("three")
    data = MemoryData(path=tmp_path)
    data.classes = ["ant", "bee", "wasp"]
    a_learner(data).load("three")
    assert "these weights are of the classes ['class 0', 'class 1', 'class 2']" in warned(caplog)


# --- F122


def test_f122_purge_frees_gradients_and_moments_and_training_goes_on(tmp_path: Path) -> None:
    learner = trained(tmp_path)
    for parameter in learner.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    assert learner.purge(clear_opt=False) is learner
    assert learner.opt is not None
    assert all(parameter.grad is None for parameter in learner.model.parameters())
    learner.purge()
    assert learner.opt is None
    learner.fit(1)


class Holder(Callback):
    """Keeps nothing; its life shows whether the learner's things were freed."""


def test_f122_destroy_frees_model_optimiser_and_callbacks_and_says_so_later(tmp_path: Path) -> None:
    import weakref

    holder = Holder()
    learner = trained(tmp_path, callbacks=[holder])
    watched = [weakref.ref(learner.model), weakref.ref(learner.require_optimizer()), weakref.ref(holder)]
    del holder
    learner.destroy()
    assert [reference() for reference in watched] == [None, None, None]
    acts: list[Any] = [lambda: learner.fit(1), lambda: learner.save("x"), lambda: learner.model, learner.get_preds]
    for act in acts:
        with pytest.raises(LearnerError, match="it was destroyed"):
            act()


# --- F121


def test_f121_a_learner_is_neither_pickled_nor_copied(tmp_path: Path) -> None:
    learner = at(tmp_path)
    acts: list[Any] = [pickle.dumps, copy.copy, copy.deepcopy]
    for act in acts:
        with pytest.raises(LearnerError, match="a Learner is not pickled or copied: `save`"):
            act(learner)
