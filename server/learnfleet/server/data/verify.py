"""Whether the files of a version are still those that it was made of."""

from __future__ import annotations

from pathlib import Path

from learnfleet.server import names
from learnfleet.server.data.manifest import Manifest, changes
from learnfleet.server.data.places import DatasetPlaces
from learnfleet.server.errors import NotFound
from learnfleet.server.store.datasets import DatasetStore
from learnfleet.trainer.data_spec import DataSpec


def changed_data(data_dir: Path, store: DatasetStore, data: DataSpec) -> str | None:
    """Why a job on these data cannot run: files of their version have changed, or the version is gone.

    None if all is as it was, or the data are of no version. Blocks: asks the file system about every file.
    """
    if data.dataset is None:
        return None
    name = data.dataset.name
    dataset_id, number = names.parse_dataset_version(name)
    try:
        version = store.get_version(dataset_id, number, None)
        manifest = Manifest.load(DatasetPlaces(data_dir).manifest(dataset_id, version.sha256))
    except (NotFound, FileNotFoundError):
        return f"{name} was deleted; train a new learner on a version that is there"
    if not Path(data.path).is_relative_to(version.path):
        return f"{name} is no longer in {data.path}; train a new learner on it"
    changed = changes(Path(version.path), manifest)
    if not changed:
        return None
    told = "; ".join(changed)
    return f"files of {name} have changed since it was made: {told}. Put them back, or register them as a new version"
