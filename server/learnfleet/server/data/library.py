"""Versions of data sets: made of folders, of other storages and of uploads, and looked at when they are there."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.data.errors import BadContent
from learnfleet.server.data.flush import flush_folder, flush_tree
from learnfleet.server.data.manifest import Manifest, describe_folder
from learnfleet.server.data.places import DatasetPlaces
from learnfleet.server.data.remote_copy import copy_remote, file_system_of, list_remote
from learnfleet.server.data.roots import RemoteFolder
from learnfleet.server.data.summary_queue import SummaryOrder, SummaryQueue
from learnfleet.server.data.unpack import Limits, Packing, unpack
from learnfleet.server.data.upload_file import sha256_of
from learnfleet.server.data.values import DatasetState, DatasetVersion, Upload
from learnfleet.server.domain import Json
from learnfleet.server.errors import StoreUnavailable, Unavailable
from learnfleet.server.failpoints import fp
from learnfleet.server.store.datasets import ByteQuota, DatasetStore

_MAX_FILES = 1_000_000
_ABANDONED_S = 86_400.0  # another server of the same data directory may be at work on what is younger
_FORGOTTEN_S = 14 * 86_400.0  # longer than an upload waits for its rest


@dataclass(frozen=True)
class Origin:
    """Who wants a version, and of which data set."""

    dataset_id: str
    tenant: str
    source_uri: str = ""  # empty: uploaded
    request_id: str | None = None
    fingerprint: str = ""


class DatasetLibrary:
    """Makes versions, keeps their files and has them looked at. All methods but `start` and `close` block."""

    def __init__(self, config: Config, store: DatasetStore) -> None:
        self._store, self._places = store, DatasetPlaces(config.data_dir.resolve())
        # With the separator: what lies in a folder of a longer name is not beneath this one.
        self.quota = ByteQuota(config.tenant_max_bytes, f"{self._places.datasets}{os.sep}")
        self._limits = Limits(config.upload_max_bytes, _MAX_FILES)
        self._summaries = SummaryQueue(self._keep_summary)

    def start(self) -> None:
        """Take up the summaries that an earlier server has left."""
        self._summaries.start(self._left_over)

    def close(self) -> None:
        self._summaries.close()

    def register(self, source: Path | RemoteFolder, origin: Origin) -> DatasetVersion:
        """A version of what lies in a folder. One of this machine stays where it is, others are copied.

        Raises BadContent, OSError, and what the store raises.
        """
        if isinstance(source, Path):
            return self._add(source, describe_folder(source, _MAX_FILES), origin)
        files = file_system_of(source.protocol)
        with self._workspace() as folder:
            copy_remote(files, list_remote(files, source.path, _MAX_FILES, self._limits.max_bytes), folder)
            return self._add_copy(folder, origin)

    def made_of(self, upload_id: str, tenant: str) -> DatasetVersion | None:
        """The version that an upload has become."""
        return self._store.version_of_request(upload_id, upload_id, tenant)

    def unpack(self, upload: Upload) -> DatasetVersion:
        """A version of a whole upload, which is then forgotten. Raises BadContent, OSError, and Unavailable where
        another server was quicker and is not done.

        One whose content is no good is forgotten, too; after an error of the machine it can be tried again.
        """
        archive = self._places.upload(upload.id)
        origin = Origin(upload.dataset_id, upload.tenant, "", upload.id, upload.id)
        try:
            return self._unpack(upload, archive, origin)
        except FileNotFoundError:
            made = self.made_of(upload.id, upload.tenant)
            if made is None:
                raise Unavailable(f"uploads/{upload.id} is in the hands of another connection; ask again") from None
            return made

    def _unpack(self, upload: Upload, archive: Path, origin: Origin) -> DatasetVersion:
        try:
            found = sha256_of(archive)
            if found != upload.sha256:
                raise BadContent(f"has the SHA-256 {found}, and not {upload.sha256} as its sender says")
            with self._workspace() as folder:
                unpack(archive, Packing(upload.format), folder, self._limits)
                version = self._add_copy(folder, origin)
        except BadContent:
            self.forget_upload(upload.id)
            raise
        self.forget_upload(upload.id)
        return version

    def forget_upload(self, upload_id: str) -> None:
        self._places.upload(upload_id).unlink(missing_ok=True)
        self._store.delete_upload(upload_id)

    def delete(self, dataset_id: str, tenant: str) -> None:
        """Forget a data set and remove what was copied of it. Folders that were registered stay. Raises NotFound."""
        for version in self._store.delete_dataset(dataset_id, tenant):
            self._places.manifest(dataset_id, version.sha256).unlink(missing_ok=True)
            if Path(version.path).is_relative_to(self._places.datasets):
                shutil.rmtree(version.path, ignore_errors=True)

    # -- how

    @contextlib.contextmanager
    def _workspace(self) -> Iterator[Path]:
        """An empty folder, which is gone afterwards unless it was moved away."""
        folder = self._places.workspaces / names.new_id()
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _add_copy(self, workspace: Path, origin: Origin) -> DatasetVersion:
        flush_tree(workspace)
        target = self._places.copy(origin.dataset_id, names.new_id())
        target.parent.mkdir(parents=True, exist_ok=True)
        workspace.rename(target)
        flush_folder(target.parent)
        fp("dataset.moved")
        try:
            # Described where it is to stay: moving changes the times of some file systems' files.
            version = self._add(target, describe_folder(target, _MAX_FILES), origin)
        except BaseException:
            self._remove_unless_known(target)
            raise
        if version.path != str(target):  # it was there already
            shutil.rmtree(target, ignore_errors=True)
        return version

    def _remove_unless_known(self, copy: Path) -> None:
        """A write that is said to have failed may have been made: a version must not lose its files."""
        with contextlib.suppress(StoreUnavailable, OSError):  # then a later start removes what nobody knows
            if str(copy) not in self._store.version_paths():
                shutil.rmtree(copy, ignore_errors=True)

    def _add(self, folder: Path, manifest: Manifest, origin: Origin) -> DatasetVersion:
        sha256 = manifest.sha256
        path = self._places.manifest(origin.dataset_id, sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            manifest.save(path)
        wanted = DatasetVersion(
            dataset_id=origin.dataset_id,
            version=0,
            state=DatasetState.PENDING,
            reason="its pictures are being looked at; it can be used already",
            source_uri=origin.source_uri,
            path=str(folder),
            sha256=sha256,
            files=len(manifest.files),
            size_bytes=manifest.size_bytes,
            created_at=datetime.now(UTC),
            request_id=origin.request_id,
        )
        try:
            version = self._store.add_version(wanted, origin.tenant, origin.fingerprint, self.quota)
        except BaseException:
            self._look_at_pending()
            raise
        if version.summary is None:
            self._summaries.put(self._order(version))
        return version

    # -- summaries

    def _look_at_pending(self) -> None:
        """A write that is said to have failed may have been made, and whoever asks again waits for the summary."""
        with contextlib.suppress(StoreUnavailable, OSError):  # then the next start does it
            for version in self._store.pending_versions():
                self._summaries.put(self._order(version))

    def _order(self, version: DatasetVersion) -> SummaryOrder:
        manifest = self._places.manifest(version.dataset_id, version.sha256)
        return SummaryOrder(version.dataset_id, version.version, Path(version.path), manifest)

    def _keep_summary(self, order: SummaryOrder, summary: Json | None, reason: str) -> None:
        self._store.set_summary(order.dataset_id, order.version, summary, reason)

    def _left_over(self) -> list[SummaryOrder]:
        self._sweep()
        return [self._order(version) for version in self._store.pending_versions()]

    def _sweep(self) -> None:
        """Remove what a server that died has left behind."""
        known = self._store.version_paths()
        for file in self._places.uploads.glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _FORGOTTEN_S:
                    file.unlink()
        for folder in (*self._places.workspaces.glob("*"), *self._places.datasets.glob("[!.]*/*/")):
            with contextlib.suppress(OSError):
                if str(folder) not in known and time.time() - folder.stat().st_mtime > _ABANDONED_S:
                    shutil.rmtree(folder)
