"""Data for a server of each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pictures import a_data_folder


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data root, with a folder `pets` of two classes."""
    folder = tmp_path_factory.mktemp("root")
    a_data_folder(folder / "pets", classes=("cat", "dog"))
    return folder
