"""What every store promises of data sets. Blocking and transactions as in `base.Store`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime

from learnfleet.server.data.values import Dataset, DatasetVersion, Upload
from learnfleet.server.domain import Json
from learnfleet.server.store.paging import Page


@dataclass(frozen=True)
class ByteQuota:
    """What a tenant's data may take of the disk: versions that lie beneath a folder, and uploads on their way."""

    most_bytes: int
    beneath: str  # what was registered where it lies is not counted


class DatasetStore(ABC):
    """Data sets, their versions, and uploads on their way to become one."""

    @abstractmethod
    def add_version(
        self, version: DatasetVersion, tenant: str, fingerprint: str, quota: ByteQuota | None = None
    ) -> DatasetVersion:
        """Insert a version with the next number of its data set, which is made if it is not there, and return it.

        With a `request_id` that an earlier version of the tenant's has: return that one if its `fingerprint` is the
        same, else raise AlreadyExists. Where the data set has a version of the same sha256: return that one. A number
        is never given twice, also not after a deletion. Raises AlreadyExists where another tenant has a data set of
        this id, ResourceExhausted where a new version would be more than the tenant's quota; the upload that it is
        made of, if its `request_id` is that one's id, is not counted besides.
        """

    @abstractmethod
    def version_of_request(self, request_id: str, fingerprint: str, tenant: str) -> DatasetVersion | None:
        """The version that an earlier request of the tenant's with this id has made.

        Raises AlreadyExists if that was another one.
        """

    @abstractmethod
    def get_dataset(self, dataset_id: str, tenant: str) -> Dataset:
        """With all its versions. Raises NotFound, also for those of other tenants."""

    @abstractmethod
    def get_version(self, dataset_id: str, version: int | None, tenant: str | None) -> DatasetVersion:
        """One version; None: the newest. Tenant None: whosever it is. Raises NotFound."""

    @abstractmethod
    def list_datasets(self, page: Page, tenant: str) -> tuple[list[Dataset], str]:
        """A page, with the newest version of each, and the next page's token ("" on the last).

        Raises InvalidArgument for a bad token.
        """

    @abstractmethod
    def delete_dataset(self, dataset_id: str, tenant: str) -> list[DatasetVersion]:
        """Forget it, and return the versions that it had. Raises NotFound."""

    @abstractmethod
    def set_summary(self, dataset_id: str, version: int, summary: Json | None, reason: str) -> None:
        """READY with a summary, FAILED with a reason. A version that was deleted meanwhile is left alone."""

    @abstractmethod
    def pending_versions(self) -> list[DatasetVersion]:
        """Those without a summary yet, oldest first."""

    @abstractmethod
    def version_paths(self) -> set[str]:
        """The folders of all versions that are not deleted."""

    # -- uploads

    @abstractmethod
    def begin_upload(self, upload: Upload, most: int | None = None, quota: ByteQuota | None = None) -> Upload:
        """Insert an upload, or return the one of this id that is there.

        Raises AlreadyExists if that one is of other content or of another tenant, ResourceExhausted for a further one
        of a tenant that has `most` of them, or whose quota it would be more than.
        """

    @abstractmethod
    def get_upload(self, upload_id: str, tenant: str) -> Upload:
        """Raises NotFound."""

    @abstractmethod
    def advance_upload(self, upload_id: str, received_bytes: int, sha256: str | None) -> None:
        """So many bytes are durable; never moves backwards. An upload that is gone stays gone."""

    @abstractmethod
    def delete_upload(self, upload_id: str) -> None:
        """Forget it, if it is there."""

    @abstractmethod
    def stale_uploads(self, before: datetime) -> list[Upload]:
        """Those that nothing was received of since then."""
