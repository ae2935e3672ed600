"""Where the files of data sets are, in the data directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DatasetPlaces:
    """Folders and files by name. None of them is made here."""

    data_dir: Path

    @property
    def datasets(self) -> Path:
        return self.data_dir / "datasets"

    @property
    def workspaces(self) -> Path:
        """Where versions are put together, on the file system that they are moved to."""
        return self.data_dir / "datasets" / ".new"

    @property
    def uploads(self) -> Path:
        return self.data_dir / "uploads"

    def upload(self, upload_id: str) -> Path:
        return self.uploads / upload_id

    def copy(self, dataset_id: str, token: str) -> Path:
        """Files of a version that was uploaded or copied. `token` makes it unique: a number may mean other files
        after a deletion and a restored backup, and a learner must not find them in the place of its own.
        """
        return self.datasets / dataset_id / token

    def manifest(self, dataset_id: str, sha256: str) -> Path:
        return self.datasets / dataset_id / f"{sha256}.jsonl"
