"""Removing the checkpoints of a job that nobody needs any more. Imports no torch."""

from __future__ import annotations

import shutil
from pathlib import Path

from learnfleet.trainer.keep_policy import LEAST_KEPT, Candidate, KeepPolicy, chosen, kept
from learnfleet.trainer.manifest import (
    TEMPORARY_SUFFIX,
    CheckpointName,
    CorruptCheckpoint,
    list_checkpoints,
    read_manifest,
)


def prune(root: Path, job_id: str, policy: KeepPolicy) -> None:
    """Remove the checkpoints of a job that the policy does not keep. All that are newer than those it keeps last stay,
    good or not.
    """
    folders = list_checkpoints(root, job_id)
    good = {path.name: found for path in folders if (found := _candidate(path)) is not None}
    names = kept(policy, list(good.values()))
    newest = 0
    for path in folders:
        if newest >= max(policy.last, LEAST_KEPT) and path.name not in names:
            shutil.rmtree(path, ignore_errors=True)
        newest += path.name in good


def kept_for_good(root: Path, job_id: str, policy: KeepPolicy) -> list[Path]:
    """The checkpoints of a job that is over which `policy.best` and `policy.every` choose, oldest first."""
    folders = list_checkpoints(root, job_id)
    names = chosen(policy, [found for path in folders if (found := _candidate(path)) is not None])
    return [path for path in reversed(folders) if path.name in names]


def remove_leftovers(root: Path, job_id: str, attempt: int) -> None:
    """Remove what earlier attempts of this job were writing when they died."""
    for path in root.glob(f"*{TEMPORARY_SUFFIX}"):
        name = CheckpointName.parse(path.name.removesuffix(TEMPORARY_SUFFIX))
        if name is not None and name.job_id == job_id and name.attempt < attempt:
            shutil.rmtree(path, ignore_errors=True)


def _candidate(folder: Path) -> Candidate | None:
    """A checkpoint that is complete by its sizes. Not hashed: pruning follows every save and must stay cheap."""
    try:
        found = read_manifest(folder)
        sizes_fit = all((folder / name).stat().st_size == entry.size_bytes for name, entry in found.files.items())
    except (CorruptCheckpoint, OSError):
        return None
    return Candidate(folder.name, found.step, found.epoch, found.metrics) if sizes_fit else None
