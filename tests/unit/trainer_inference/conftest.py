"""Data of each kind of label, made once a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.labelled_data import (
    CODES,
    COLOURS,
    body_and_head,
    category_data,
    labels_data,
    masks_data,
    numbers_data,
    pixel_model,
    quiet,
)

from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import CrossEntropyFlat


@pytest.fixture(scope="session")
def of_classes(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    """Trained on one class a picture."""
    learner = quiet(category_data(tmp_path_factory.mktemp("classes")), body_and_head(len(COLOURS), dropout=0.3))
    learner.fit(2, 3e-2)
    return learner


@pytest.fixture(scope="session")
def of_labels(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    """Trained on several labels a picture."""
    learner = quiet(labels_data(tmp_path_factory.mktemp("labels")), body_and_head(len(COLOURS)))
    learner.fit(2, 3e-2)
    return learner


@pytest.fixture(scope="session")
def of_numbers(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    """Trained on one number a picture."""
    learner = quiet(numbers_data(tmp_path_factory.mktemp("numbers")), body_and_head(1))
    learner.fit(2, 3e-2)
    return learner


@pytest.fixture(scope="session")
def of_masks(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    """Trained on a class a pixel, without Void."""
    loss = CrossEntropyFlat(axis=1, ignore_index=CODES.index("Void"))
    learner = quiet(masks_data(tmp_path_factory.mktemp("masks")), pixel_model(), loss_func=loss)
    learner.fit(6, 3e-2)
    return learner


@pytest.fixture
def picture(of_classes: Learner) -> Path:
    """A validation picture of `of_classes`."""
    return of_classes.data.valid_ds.path(0)  # type: ignore[attr-defined]
