"""Where the exports of model versions lie on this server: each once, however it came."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from learnfleet.server.tracking.mlflow_client import import_mlflow
from learnfleet.server.tracking.mlflow_model import DATA
from learnfleet.server.tracking.version_tags import SHA256_TAG
from learnfleet.trainer import manifest
from learnfleet.trainer.export import link

_SHA256 = re.compile(r"[0-9a-f]{4,64}")
_ENOUGH = 12  # digits


class VersionFolders:
    """Folders beneath `root`. What a server has exported itself is linked there; the rest is downloaded once.

    A folder's name has the weights' SHA-256 in it: who deletes a model in MLflow and exports another by its name begins
    with version 1 again.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = Lock()

    def place(self, model: str, version: str, tags: Mapping[str, str], export: Path) -> None:
        """Have an export that was made here at hand, without a download. One that is there stays."""
        folder = self._folder(model, version, tags)
        with self._lock:
            if not (folder / manifest.MANIFEST_FILE).exists():
                with self._made(folder) as temporary:
                    manifest.publish(shutil.copytree(export, Path(temporary) / DATA, copy_function=_link), folder)

    def fetch(self, model: str, version: str, tags: Mapping[str, str], source: str) -> Path:
        """The version's export, downloaded and checked where it is not there.

        Raises CorruptCheckpoint; errors of MLflow pass through.
        """
        folder = self._folder(model, version, tags)
        with self._lock:
            if not (folder / manifest.MANIFEST_FILE).exists():
                import_mlflow()
                from mlflow.artifacts import download_artifacts

                with self._made(folder) as temporary:
                    found = Path(download_artifacts(artifact_uri=f"{source}/data/{DATA}", dst_path=temporary))
                    manifest.verify(found)
                    manifest.publish(found, folder)
        return folder

    def _folder(self, model: str, version: str, tags: Mapping[str, str]) -> Path:
        said = tags.get(SHA256_TAG, "")  # anybody may have written it
        digest = f"-{said[:_ENOUGH]}" if _SHA256.fullmatch(said) else ""
        return self._root / model / f"{version}{digest}"

    def _made(self, folder: Path) -> tempfile.TemporaryDirectory[str]:
        """A folder beside it of another name for each who makes it: servers may share the data directory."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(
            dir=folder.parent, prefix=f"{folder.name}.", suffix=manifest.TEMPORARY_SUFFIX, ignore_cleanup_errors=True
        )


def _link(source: str, target: str) -> None:
    link(Path(source), Path(target))
