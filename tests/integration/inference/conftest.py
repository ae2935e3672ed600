"""Exports of each kind of label, and replicas that live in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engine_lab import Here
from support.exported_learners import learner_of, learner_of_any_size, noise_and_masks


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By kind of label."""
    found = {}
    for kind in ("category", "mask", "multi_category", "float"):
        root = noise_and_masks(tmp_path_factory.mktemp(kind.replace("_", "")))
        learner = learner_of(kind, root, root)
        learner.export()
        found[kind] = root / "export"
    return found


@pytest.fixture(scope="session")
def any_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of a model of classes that takes pictures of any size but very small ones."""
    root = noise_and_masks(tmp_path_factory.mktemp("any_size"))
    learner_of_any_size(root, root).export()
    return root / "export"


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)
