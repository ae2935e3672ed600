"""Checkpoint folders as files: their manifest, verification, listing and pruning. Imports no torch.

A checkpoint is a folder named `<job id>-<global step, 10 digits>-<attempt>` whose last written file is
`manifest.json`. No weight format detects bit rot, so the SHA-256 of every file is kept there and checked before use.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from learnfleet.trainer.manifest_seal import sealed, unsealed

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
CALLBACKS_FILE = "callbacks.safetensors"
STATE_FILE = "state.json"

_NAME = re.compile(r"(?P<job>.+)-(?P<step>\d{10,})-(?P<attempt>\d+)")
TEMPORARY_SUFFIX = ".tmp"
_CORRUPT_SUFFIX = ".corrupt"
_HASH_BLOCK_BYTES = 1 << 20

_log = logging.getLogger(__name__)


class CorruptCheckpoint(ValueError):
    """A checkpoint folder is incomplete or does not match its manifest."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"checkpoint {path} cannot be used: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type[CorruptCheckpoint], tuple[Path, str]]:
        return type(self), (self.path, self.reason)


class StaleAttempt(RuntimeError):
    """An older attempt of a job tried to write after a newer attempt had."""

    def __init__(self, job_id: str, attempt: int, newest: int) -> None:
        super().__init__(
            f"attempt {attempt} of job {job_id} may not write: attempt {newest} has taken over. Stop this process."
        )
        self.job_id, self.attempt, self.newest = job_id, attempt, newest

    def __reduce__(self) -> tuple[type[StaleAttempt], tuple[str, int, int]]:
        return type(self), (self.job_id, self.attempt, self.newest)


@dataclass(frozen=True)
class CheckpointName:
    """What the name of a checkpoint folder says."""

    job_id: str
    step: int  # optimiser steps over the learner's life
    attempt: int

    def __str__(self) -> str:
        return f"{self.job_id}-{self.step:010d}-{self.attempt}"

    @classmethod
    def parse(cls, name: str) -> CheckpointName | None:
        """The parts of a folder name, or None where it names no (finished) checkpoint."""
        match = _NAME.fullmatch(name)
        return cls(match["job"], int(match["step"]), int(match["attempt"])) if match else None


@dataclass(frozen=True)
class FileEntry:
    """A file as it was when written."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a checkpoint or export folder holds, and from whom."""

    job_id: str
    attempt: int
    step: int
    epoch: int  # epochs finished over the learner's life
    files: dict[str, FileEntry]
    format_version: int = FORMAT_VERSION
    metrics: dict[str, float] = field(default_factory=dict)  # of the epoch that it is the end of; else empty


@dataclass(frozen=True)
class CheckpointInfo:
    """A complete checkpoint on disk."""

    path: Path
    job_id: str
    attempt: int
    step: int
    epoch: int
    model_sha256: str
    optimizer_sha256: str  # empty when saved without an optimiser
    size_bytes: int

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "path": str(self.path)}


def describe_file(path: Path) -> FileEntry:
    """SHA-256 and size, read in blocks."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return FileEntry(digest.hexdigest(), size)


def write_manifest(
    folder: Path, *, job_id: str, attempt: int, step: int, epoch: int, metrics: Mapping[str, float] | None = None
) -> Manifest:
    """Describe every file now in `folder` and write the manifest beside them, last and synced."""
    names = sorted(path.name for path in folder.iterdir() if path.name != MANIFEST_FILE)
    files = {name: describe_file(folder / name) for name in names}
    manifest = Manifest(job_id, attempt, step, epoch, files, metrics=dict(metrics or {}))
    write_synced(folder / MANIFEST_FILE, sealed(asdict(manifest)))
    return manifest


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file and force it to the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Force the folder's entries to the disk: a rename is durable only after this."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_synced(path: Path, content: bytes) -> None:
    """Give a file this content in one step that survives a crash: there is what was before, or all of the new."""
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    write_synced(temporary, content)
    temporary.replace(path)
    sync_folder(path.parent)


def publish(temporary: Path, final: Path) -> None:
    """Give a finished folder its name in one step that survives a crash. An existing `final` is replaced."""
    sync_folder(temporary)
    replaced = _place_of_replaced(final)
    if final.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        final.rename(replaced)
    temporary.rename(final)
    sync_folder(final.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _place_of_replaced(final: Path) -> Path:
    return final.with_name(f"{final.name}.replaced{TEMPORARY_SUFFIX}")


def recover(final: Path) -> None:
    """Give a folder its name back when a crash came between the two renames of `publish`: it is the earlier one."""
    replaced = _place_of_replaced(final)
    if replaced.is_dir() and not final.exists():
        replaced.rename(final)


def temporary_for(final: Path) -> Path:
    """An empty folder beside `final`, so that the rename stays on one file system."""
    temporary = final.with_name(final.name + TEMPORARY_SUFFIX)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    return temporary


def read_manifest(folder: Path) -> Manifest:
    """Raises CorruptCheckpoint where there is none, or none that can be read."""
    try:
        value = unsealed((folder / MANIFEST_FILE).read_bytes(), Manifest.__dataclass_fields__)
        version = value["format_version"]
        files = {name: FileEntry(str(item["sha256"]), int(item["size_bytes"])) for name, item in value["files"].items()}
        manifest = Manifest(
            str(value["job_id"]),
            int(value["attempt"]),
            int(value["step"]),
            int(value["epoch"]),
            files,
            version,
            {str(name): float(number) for name, number in value.get("metrics", {}).items()},
        )
    except FileNotFoundError:
        raise CorruptCheckpoint(folder, f"it has no {MANIFEST_FILE}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptCheckpoint(folder, f"its {MANIFEST_FILE} cannot be read ({error})") from error
    if version != FORMAT_VERSION:
        raise CorruptCheckpoint(folder, f"format {version} is not known here (this is {FORMAT_VERSION})")
    return manifest


def verify(folder: Path) -> CheckpointInfo:
    """Check every file against the manifest. Raises CorruptCheckpoint naming the first file that differs."""
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        _verify_file(folder, name, expected)
    if MODEL_FILE not in manifest.files:
        raise CorruptCheckpoint(folder, f"it has no {MODEL_FILE}")
    return info(folder, manifest)


def _verify_file(folder: Path, name: str, expected: FileEntry) -> None:
    if Path(name).name != name:
        raise CorruptCheckpoint(folder, f"its manifest names a file outside the folder ({name})")
    try:
        found = describe_file(folder / name)
    except OSError as error:
        raise CorruptCheckpoint(folder, f"{name} cannot be read ({error})") from error
    if found != expected:
        raise CorruptCheckpoint(
            folder,
            f"{name} has SHA-256 {found.sha256[:12]}… and {found.size_bytes} bytes,"
            f" but {expected.sha256[:12]}… and {expected.size_bytes} bytes were written",
        )


def info(folder: Path, manifest: Manifest) -> CheckpointInfo:
    """The manifest as what callers want to know, without checking the files again."""
    optimizer = manifest.files.get(OPTIMIZER_FILE)
    return CheckpointInfo(
        folder,
        manifest.job_id,
        manifest.attempt,
        manifest.step,
        manifest.epoch,
        manifest.files[MODEL_FILE].sha256,
        optimizer.sha256 if optimizer else "",
        sum(entry.size_bytes for entry in manifest.files.values()),
    )


def list_checkpoints(root: Path, job_id: str | None = None) -> list[Path]:
    """Published checkpoint folders of a job (None: of all), newest first: by step, then by attempt. Not verified."""
    found = list(_named(root, job_id))
    return [path for _, path in sorted(found, key=lambda item: (item[0].step, item[0].attempt), reverse=True)]


def _named(root: Path, job_id: str | None) -> Iterator[tuple[CheckpointName, Path]]:
    if not root.is_dir():
        return
    for path in root.iterdir():
        name = CheckpointName.parse(path.name)
        if name is not None and job_id in (None, name.job_id) and path.is_dir():
            yield name, path


def newest_valid(root: Path, job_id: str | None = None) -> CheckpointInfo | None:
    """The newest checkpoint that verifies. Corrupt ones met on the way are set aside as `*.corrupt` and logged."""
    for path in list_checkpoints(root, job_id):
        try:
            return verify(path)
        except CorruptCheckpoint as error:
            _log.error("%s; falling back to the one before", error)
            quarantine(path)
    return None


def quarantine(folder: Path) -> Path:
    """Set a corrupt folder aside, kept for whoever wants to know why."""
    target = folder.with_name(folder.name + _CORRUPT_SUFFIX)
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)
    return target


def newest_attempt(root: Path, job_id: str) -> int:
    """The highest attempt that has published a checkpoint of this job, 0 when none has."""
    return max((name.attempt for name, _ in _named(root, job_id)), default=0)


def check_attempt(root: Path, job_id: str, attempt: int) -> None:
    """Fence: raises StaleAttempt when a later attempt of the job has already written."""
    newest = newest_attempt(root, job_id)
    if newest > attempt:
        raise StaleAttempt(job_id, attempt, newest)
