"""The checkpoints of one run among its artifacts, a folder each."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from learnfleet.server.tracking.mlflow_client import import_mlflow
from learnfleet.trainer import manifest

FOLDER = "checkpoints"

_log = logging.getLogger(__name__)


class CheckpointFolder:
    """`checkpoints/<name>/` of a run. A checkpoint is there when its manifest is, which is always sent last.

    What a broken connection left is completed file by file: files that are there in full are not sent again. Where
    artifacts are files of this machine they are linked and take no room. Errors of the store of artifacts pass through.
    """

    def __init__(self, artifact_uri: str, tracking_uri: str) -> None:
        import_mlflow()
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self._artifacts: Any = get_artifact_repository(artifact_uri, tracking_uri)

    def names(self) -> list[str]:
        """Of all checkpoints there, complete or not."""
        return [Path(item.path).name for item in self._artifacts.list_artifacts(FOLDER) if item.is_dir]

    def is_complete(self, name: str) -> bool:
        return manifest.MANIFEST_FILE in self._sizes(name)

    def put(self, path: Path) -> None:
        """Send a checkpoint. Safe to repeat. Raises CorruptCheckpoint, OSError when it is pruned meanwhile."""
        described = manifest.read_manifest(path)
        there = self._sizes(path.name)
        for file, entry in described.files.items():
            if there.get(file) != entry.size_bytes:
                self._put_file(path / file)
        self._put_file(path / manifest.MANIFEST_FILE)

    def _sizes(self, name: str) -> dict[str, int | None]:
        found = self._artifacts.list_artifacts(f"{FOLDER}/{name}")
        return {Path(item.path).name: item.file_size for item in found}

    def _put_file(self, file: Path) -> None:
        folder = f"{FOLDER}/{file.parent.name}"
        local = self._local(folder)
        if local is None or not _link(file, local / file.name):
            self._artifacts.log_artifact(str(file), folder)

    def _local(self, folder: str) -> Path | None:
        """Where the artifacts lie, when that is a folder of this machine."""
        root = getattr(self._artifacts, "artifact_dir", None)
        return Path(root) / folder if isinstance(root, str) else None

    def remove(self, name: str) -> None:
        """Safe to repeat."""
        local = self._local(f"{FOLDER}/{name}")
        if local is not None:
            shutil.rmtree(local, ignore_errors=True)
        else:
            self._artifacts.delete_artifacts(f"{FOLDER}/{name}")


def _link(source: Path, target: Path) -> bool:
    """Whether the file is there now without a copy. A file that was there is replaced: it may be a part of one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.link")
    try:
        temporary.unlink(missing_ok=True)
        os.link(source, temporary)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        return False
    temporary.replace(target)
    return True


def total_bytes(path: Path) -> int:
    """Of a checkpoint, as its manifest has it. Raises CorruptCheckpoint."""
    return sum(entry.size_bytes for entry in manifest.read_manifest(path).files.values())


def newest_first(paths: Iterable[Path]) -> list[Path]:
    """By step, then by attempt."""
    named = [(name.step, name.attempt, path) for path in paths if (name := manifest.CheckpointName.parse(path.name))]
    return [path for *_, path in sorted(named, reverse=True)]
