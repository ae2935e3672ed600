"""Data sets in an SQL database."""

from __future__ import annotations

import dataclasses
import json
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from learnfleet.server.data.values import Dataset, DatasetState, DatasetVersion, Upload
from learnfleet.server.domain import Json
from learnfleet.server.errors import AlreadyExists, NotFound, ResourceExhausted
from learnfleet.server.store.dataset_rows import dataset_of, upload_of, upload_row, version_of, version_row
from learnfleet.server.store.datasets import ByteQuota
from learnfleet.server.store.paging import Page
from learnfleet.server.store.rows import Row
from learnfleet.server.store.schema import dataset_versions as versions
from learnfleet.server.store.schema import datasets, uploads
from learnfleet.server.store.sql_base import SqlBase
from learnfleet.server.text import utf8, utf8_json

_QUOTA_LOCK = 0x71756F  # advisory locks of PostgreSQL are numbers: "quo"
_QUOTA_PAUSE_S = 60.0  # nobody deletes anything within a second

_IS_LIVE = versions.c.state != str(DatasetState.DELETED)


class SqlDatasets(SqlBase):
    """The part of the SQL store that knows data sets."""

    @abstractmethod
    def _page(self, query: Select[tuple[object, ...]], table: Table, page: Page) -> tuple[list[Row], str]: ...

    def add_version(
        self, version: DatasetVersion, tenant: str, fingerprint: str, quota: ByteQuota | None = None
    ) -> DatasetVersion:
        try:
            return self._add_version(version, tenant, fingerprint, quota)
        except IntegrityError:  # two were the first of a data set: by now there is one to wait for
            return self._add_version(version, tenant, fingerprint, quota)

    def _add_version(
        self, version: DatasetVersion, tenant: str, fingerprint: str, quota: ByteQuota | None
    ) -> DatasetVersion:
        now = self._clock()
        with self._writing("add_version") as connection:
            earlier = _by_request(connection, tenant, version.request_id)
            if earlier is not None:
                return _same_request(earlier, fingerprint)
            _own_dataset(connection, version.dataset_id, tenant, now)
            same = _by_content(connection, version.dataset_id, version.sha256)
            if same is not None:
                return same
            if quota is not None and version.path.startswith(quota.beneath):
                self._require_bytes(connection, tenant, version.size_bytes, quota, version.request_id)
            number = _last_number(connection, version.dataset_id) + 1
            added = dataclasses.replace(version, version=number, created_at=now)
            connection.execute(insert(versions).values(version_row(added, tenant, fingerprint)))
            return added

    def version_of_request(self, request_id: str, fingerprint: str, tenant: str) -> DatasetVersion | None:
        with self._reading() as connection:
            row = _by_request(connection, tenant, request_id)
            return None if row is None else _same_request(row, fingerprint)

    def get_dataset(self, dataset_id: str, tenant: str) -> Dataset:
        with self._reading() as connection:
            row = _dataset(connection, dataset_id)
            found = _versions_of(connection, [dataset_id])[dataset_id]
        if row is None or row["tenant"] != tenant or not found:
            raise NotFound(f"datasets/{dataset_id}")
        return dataset_of(row, found)

    def get_version(self, dataset_id: str, version: int | None, tenant: str | None) -> DatasetVersion:
        query = select(versions).where(versions.c.dataset_id == dataset_id, _IS_LIVE)
        if version is not None:
            query = query.where(versions.c.version == version)
        with self._reading() as connection:
            row = connection.execute(query.order_by(versions.c.version.desc()).limit(1)).mappings().first()
            is_own = tenant in (None, _tenant_of(connection, dataset_id))
        if row is None or not is_own:
            name = f"datasets/{dataset_id}"
            raise NotFound(name if version is None else f"{name}/versions/{version}")
        return version_of(row)

    def list_datasets(self, page: Page, tenant: str) -> tuple[list[Dataset], str]:
        has_version = select(versions.c.version).where(versions.c.dataset_id == datasets.c.id, _IS_LIVE).exists()
        query = select(datasets).where(datasets.c.tenant == tenant, has_version)
        rows, token = self._page(query, datasets, page)
        with self._reading() as connection:
            found = _versions_of(connection, [row["id"] for row in rows])
        return [dataset_of(row, found[row["id"]][:1]) for row in rows], token

    def delete_dataset(self, dataset_id: str, tenant: str) -> list[DatasetVersion]:
        with self._writing("delete_dataset") as connection:
            _lock(connection, dataset_id)
            found = _versions_of(connection, [dataset_id])[dataset_id]
            if not found or _tenant_of(connection, dataset_id) != tenant:
                raise NotFound(f"datasets/{dataset_id}")
            gone = {"state": str(DatasetState.DELETED), "sha256": None, "summary": None, "request_id": None}
            connection.execute(update(versions).where(versions.c.dataset_id == dataset_id).values(gone))
            return found

    def set_summary(self, dataset_id: str, version: int, summary: Json | None, reason: str) -> None:
        here = (versions.c.dataset_id == dataset_id) & (versions.c.version == version) & _IS_LIVE
        state = DatasetState.FAILED if summary is None else DatasetState.READY
        text = None if summary is None else json.dumps(utf8_json(summary))
        with self._writing("set_summary") as connection:
            change = {"state": str(state), "reason": utf8(reason), "summary": text}
            connection.execute(update(versions).where(here).values(change))

    def pending_versions(self) -> list[DatasetVersion]:
        is_pending = versions.c.state == str(DatasetState.PENDING)
        query = select(versions).where(is_pending).order_by(versions.c.created_at, versions.c.version)
        with self._reading() as connection:
            return [version_of(row) for row in connection.execute(query).mappings()]

    def version_paths(self) -> set[str]:
        with self._reading() as connection:
            return set(connection.execute(select(versions.c.path).where(_IS_LIVE)).scalars())

    # -- uploads

    def begin_upload(self, upload: Upload, most: int | None = None, quota: ByteQuota | None = None) -> Upload:
        with self._writing("begin_upload") as connection:
            earlier = connection.execute(select(uploads).where(uploads.c.id == upload.id)).mappings().first()
            if earlier is None:
                if most is not None:
                    _require_room(connection, upload.tenant, most)
                if quota is not None:
                    self._require_bytes(connection, upload.tenant, upload.size_bytes, quota)
                connection.execute(insert(uploads).values(upload_row(upload)))
                return upload
        there = upload_of(earlier)
        if not _is_same(there, upload):
            name = f"uploads/{upload.id}"
            raise AlreadyExists(name, "upload_id was used before, for other content; use a new one")
        return there

    def get_upload(self, upload_id: str, tenant: str) -> Upload:
        query = select(uploads).where(uploads.c.id == upload_id, uploads.c.tenant == tenant)
        with self._reading() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"uploads/{upload_id}", "begin it anew")
        return upload_of(row)

    def advance_upload(self, upload_id: str, received_bytes: int, sha256: str | None) -> None:
        here = (uploads.c.id == upload_id) & (uploads.c.received_bytes <= received_bytes)
        change: dict[str, object] = {"received_bytes": received_bytes, "updated_at": self._clock().isoformat()}
        if sha256 is not None:
            change["sha256"] = sha256
        with self._writing("advance_upload") as connection:
            connection.execute(update(uploads).where(here).values(change))

    def delete_upload(self, upload_id: str) -> None:
        with self._writing("delete_upload") as connection:
            connection.execute(delete(uploads).where(uploads.c.id == upload_id))

    def stale_uploads(self, before: datetime) -> list[Upload]:
        query = select(uploads).where(uploads.c.updated_at < before.isoformat())
        with self._reading() as connection:
            return [upload_of(row) for row in connection.execute(query).mappings()]

    def _require_bytes(
        self, connection: Connection, tenant: str, wanted: int, quota: ByteQuota, without: str | None = None
    ) -> None:
        """Raises ResourceExhausted if that is more than there is room for besides what the tenant has.

        Args:
            without: an upload that is not counted.
        """
        if self.is_shared:  # two that ask at once would each find the room that one of them may take
            lock = func.pg_advisory_xact_lock(_QUOTA_LOCK, func.hashtext(tenant))
            connection.execute(select(lock))
        kept = select(func.coalesce(func.sum(versions.c.size_bytes), 0)).where(
            _is_of(tenant), _IS_LIVE, versions.c.path.startswith(quota.beneath, autoescape=True)
        )
        coming = select(func.coalesce(func.sum(uploads.c.size_bytes), 0)).where(
            uploads.c.tenant == tenant, uploads.c.id != (without or "")
        )
        has, waits = (int(connection.execute(query).scalar_one()) for query in (kept, coming))
        if has + waits + wanted > quota.most_bytes:
            told = f"tenant {tenant} has {has:,} bytes of data sets here and {waits:,} on their way; {wanted:,} more"
            raise ResourceExhausted(
                f"{told} would be over its quota of {quota.most_bytes:,}; delete data sets that are not needed",
                _QUOTA_PAUSE_S,
            )


def _require_room(connection: Connection, tenant: str, most: int) -> None:
    """Raises ResourceExhausted if so many of the tenant's uploads are on their way."""
    query = select(func.count()).where(uploads.c.tenant == tenant)
    if connection.execute(query).scalar_one() >= most:
        told = f"tenant {tenant} has begun {most} uploads that are not complete, and may not have more"
        raise ResourceExhausted(f"{told}; complete some of them: those that nothing comes of are forgotten in a week")


def _is_same(there: Upload, upload: Upload) -> bool:
    """Whether they are parts of one upload. The name may have been made up, and the hash may come later."""
    names = ("tenant", "format", "size_bytes")
    known = (there.sha256, upload.sha256)
    return all(getattr(there, name) == getattr(upload, name) for name in names) and (
        None in known or len({*known}) == 1
    )


def _dataset(connection: Connection, dataset_id: str) -> Row | None:
    return connection.execute(select(datasets).where(datasets.c.id == dataset_id)).mappings().first()


def _tenant_of(connection: Connection, dataset_id: str) -> str | None:
    return connection.execute(select(datasets.c.tenant).where(datasets.c.id == dataset_id)).scalar()


def _lock(connection: Connection, dataset_id: str) -> None:
    """Versions of one data set are numbered one after the other (SQLite: all writes are)."""
    connection.execute(select(datasets.c.id).where(datasets.c.id == dataset_id).with_for_update())


def _own_dataset(connection: Connection, dataset_id: str, tenant: str, now: datetime) -> None:
    """Make it, or see that it is the tenant's; one whose versions are all deleted is nobody's."""
    _lock(connection, dataset_id)
    row = _dataset(connection, dataset_id)
    if row is None:
        times = {"created_at": now.isoformat(), "updated_at": now.isoformat()}
        connection.execute(insert(datasets).values({"id": dataset_id, "tenant": tenant, **times}))
        return
    is_free = not _versions_of(connection, [dataset_id])[dataset_id]
    if row["tenant"] != tenant and not is_free:
        name = f"datasets/{dataset_id}"
        raise AlreadyExists(name, f"{name} is taken; choose another dataset_id")
    change = {"tenant": tenant, "updated_at": now.isoformat()}
    if is_free:
        change["created_at"] = now.isoformat()
    connection.execute(update(datasets).where(datasets.c.id == dataset_id).values(change))


def _is_of(tenant: str) -> ColumnElement[bool]:
    """Of a version that is live. By its data set where an older server, during an upgrade, has written no tenant."""
    own = select(datasets.c.id).where(datasets.c.tenant == tenant)
    return (versions.c.tenant == tenant) | (versions.c.tenant.is_(None) & versions.c.dataset_id.in_(own))


def _by_request(connection: Connection, tenant: str, request_id: str | None) -> Row | None:
    if request_id is None:
        return None
    same = _is_of(tenant) & (versions.c.request_id == request_id)
    return connection.execute(select(versions).where(same)).mappings().first()


def _same_request(earlier: Row, fingerprint: str) -> DatasetVersion:
    if earlier["fingerprint"] != fingerprint:
        name = f"datasets/{earlier['dataset_id']}/versions/{earlier['version']}"
        raise AlreadyExists(name, f"request_id was used before, for {name} and another request; use a new one")
    return version_of(earlier)


def _by_content(connection: Connection, dataset_id: str, sha256: str) -> DatasetVersion | None:
    same = (versions.c.dataset_id == dataset_id) & (versions.c.sha256 == sha256) & _IS_LIVE
    row = connection.execute(select(versions).where(same)).mappings().first()
    return None if row is None else version_of(row)


def _last_number(connection: Connection, dataset_id: str) -> int:
    query = select(func.max(versions.c.version)).where(versions.c.dataset_id == dataset_id)
    return connection.execute(query).scalar() or 0


def _versions_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[DatasetVersion]]:
    """Newest first, by data set."""
    found: dict[str, list[DatasetVersion]] = defaultdict(list)
    query = select(versions).where(versions.c.dataset_id.in_(ids), _IS_LIVE).order_by(versions.c.version.desc())
    for row in connection.execute(query).mappings():
        found[row["dataset_id"]].append(version_of(row))
    return found
