"""DatasetService."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from google.protobuf.empty_pb2 import Empty

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.data.errors import BadContent, NoRoom
from learnfleet.server.data.library import DatasetLibrary, Origin
from learnfleet.server.data.places import DatasetPlaces
from learnfleet.server.data.roots import DataRoots
from learnfleet.server.data.upload_file import check_room, no_room_or_same
from learnfleet.server.data.values import DatasetVersion, Upload
from learnfleet.server.errors import Draining, FailedPrecondition, FieldViolation, InvalidArgument, ResourceExhausted
from learnfleet.server.long_calls import LongCalls, SharedCalls
from learnfleet.server.rpc.page import read_page
from learnfleet.server.rpc.read_job import read_request_id
from learnfleet.server.rpc.reading import fingerprint
from learnfleet.server.rpc.receive_upload import ReceivedUpload, check_sha256, read_packing
from learnfleet.server.rpc.tenants import current_tenant
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_dataset import UPLOAD_LIFE, dataset_to_proto, upload_to_proto
from learnfleet.server.store.base import Store
from learnfleet.v1 import dataset_service_pb2 as pb

_CONCURRENT_WRITES = 4
_CONCURRENT_VERSIONS = 4  # that are hashed, copied or unpacked


@dataclass(frozen=True)
class DatasetServicer:
    """Keeps data sets."""

    config: Config
    store: Store
    library: DatasetLibrary
    roots: DataRoots
    writing: LongCalls = field(default_factory=lambda: LongCalls("upload", _CONCURRENT_WRITES))
    making: LongCalls = field(default_factory=lambda: LongCalls("dataset", _CONCURRENT_VERSIONS))
    # Whoever lost the answer asks again while it is still being worked out.
    unpacking: SharedCalls[DatasetVersion] = field(default_factory=SharedCalls)

    # -- uploads

    async def create_dataset(self, messages: AsyncGenerator[pb.CreateDatasetRequest, None]) -> pb.Dataset:
        upload = _read_header(await anext(messages, pb.CreateDatasetRequest()))
        made = await asyncio.to_thread(self.library.made_of, upload.id, current_tenant())
        if made is not None:
            return await self._answer(made)
        with _told("header"):
            upload = await self.writing.run(self._begin, upload)
            upload = await self._receive(upload, messages)
        with _told("header.sha256"):
            version = await self.unpacking.join(upload.id, lambda: self.making.run(self.library.unpack, upload))
        return await self._answer(version)

    def _begin(self, upload: Upload) -> Upload:
        """The upload as it stands. Raises AlreadyExists, NoRoom, ResourceExhausted."""
        most = self.config.upload_max_bytes
        if upload.size_bytes > most:
            raise ResourceExhausted(
                f"header.size_bytes: {upload.size_bytes:,} bytes are more than the {most:,} that this server takes"
            )
        for stale in self.store.stale_uploads(datetime.now(UTC) - UPLOAD_LIFE):
            self.library.forget_upload(stale.id)
        there = self.store.begin_upload(upload, self.config.max_open_uploads, self.library.quota)
        check_room(self._place(upload.id), upload.size_bytes - there.received_bytes)
        return replace(there, sha256=there.sha256 or upload.sha256)

    async def _receive(self, upload: Upload, messages: AsyncGenerator[pb.CreateDatasetRequest, None]) -> Upload:
        """The whole upload. Raises FailedPrecondition if its sender ends before."""
        received = await self.writing.run(ReceivedUpload, upload, self._place(upload.id), self.store)
        try:
            async for message in messages:
                if message.WhichOneof("part") != "chunk":
                    raise InvalidArgument([FieldViolation("chunk", "is missing; only the first message is a header")])
                await self.writing.run(received.take, message.chunk)
        except Draining as error:
            details = {"upload_id": upload.id, "received_bytes": str(received.received)}
            raise Draining(f"{error}; uploads/{upload.id} has {received.received:,} bytes", details) from error
        finally:
            # Also when the connection is lost: what is here need not be sent again.
            await asyncio.shield(self.writing.run(_save_and_close, received))
        name = f"uploads/{upload.id}"
        if not received.is_whole:
            raise FailedPrecondition(
                name, f"{name} has {received.received:,} of {upload.size_bytes:,} bytes; send the rest"
            )
        if received.sha256 is None:
            raise InvalidArgument([FieldViolation("chunk.sha256", "is missing; must come with the last chunk")])
        return replace(upload, received_bytes=received.received, sha256=received.sha256)

    def _place(self, upload_id: str) -> Path:
        return DatasetPlaces(self.config.data_dir.resolve()).upload(upload_id)

    async def get_upload(self, request: pb.GetUploadRequest) -> pb.Upload:
        found = Violations()
        upload_id = _read_upload_id(request.upload_id, "upload_id", found)
        found.raise_if_any()
        made = await asyncio.to_thread(self.library.made_of, upload_id, current_tenant())
        if made is not None:
            version = names.dataset_version_name(made.dataset_id, made.version)
            return pb.Upload(upload_id=upload_id, dataset=names.dataset_name(made.dataset_id), version=version)
        return upload_to_proto(await asyncio.to_thread(self.store.get_upload, upload_id, current_tenant()))

    # -- data sets

    async def register_dataset(self, request: pb.RegisterDatasetRequest) -> pb.Dataset:
        found = Violations()
        dataset_id = _read_dataset_id(request.dataset_id, "dataset_id", found)
        request_id = read_request_id(request.request_id, found)
        found.raise_if_any()
        tenant, mark = current_tenant(), fingerprint(request)
        if request_id is not None:
            made = await asyncio.to_thread(self.store.version_of_request, request_id, mark, tenant)
            if made is not None:
                return await self._answer(made)
        source = await self.making.run(self.roots.resolve_uri, request.uri, "uri")
        origin = Origin(dataset_id, tenant, request.uri, request_id, mark)
        with _told("uri"):
            return await self._answer(await self.making.run(self.library.register, source, origin))

    async def get_dataset(self, request: pb.GetDatasetRequest) -> pb.Dataset:
        dataset_id = names.parse_dataset(request.name)
        return dataset_to_proto(await asyncio.to_thread(self.store.get_dataset, dataset_id, current_tenant()))

    async def list_datasets(self, request: pb.ListDatasetsRequest) -> pb.ListDatasetsResponse:
        page = read_page(request.page_size, request.page_token)
        datasets, token = await asyncio.to_thread(self.store.list_datasets, page, current_tenant())
        return pb.ListDatasetsResponse(datasets=[dataset_to_proto(item) for item in datasets], next_page_token=token)

    async def delete_dataset(self, request: pb.DeleteDatasetRequest) -> Empty:
        dataset_id = names.parse_dataset(request.name)
        await asyncio.to_thread(self._require_unused, dataset_id)
        await self.making.run(self.library.delete, dataset_id, current_tenant())
        return Empty()

    def _require_unused(self, dataset_id: str) -> None:
        self.store.get_dataset(dataset_id, current_tenant())
        name = names.dataset_name(dataset_id)
        users: dict[str, bool] = {}
        for job in self.store.unfinished_jobs():
            if job.learner_id not in users:
                ref = self.store.get_learner(job.learner_id).spec.data.dataset
                users[job.learner_id] = ref is not None and ref.name.startswith(f"{name}/")
            if users[job.learner_id]:
                raise FailedPrecondition(name, f"jobs/{job.id} uses {name}; wait until it has ended, or cancel it")

    async def _answer(self, version: DatasetVersion) -> pb.Dataset:
        """Its data set with this version only."""
        dataset = await asyncio.to_thread(self.store.get_dataset, version.dataset_id, current_tenant())
        return dataset_to_proto(dataset, [item for item in dataset.versions if item.version == version.version])


def _save_and_close(received: ReceivedUpload) -> None:
    try:
        received.save()
    finally:
        received.close()


def _read_header(message: pb.CreateDatasetRequest) -> Upload:
    """The upload that a first message describes. Raises InvalidArgument."""
    if message.WhichOneof("part") != "header":
        raise InvalidArgument([FieldViolation("header", "is missing; must be the first message")])
    found, header, now = Violations(), message.header, datetime.now(UTC)
    upload_id = _read_upload_id(header.upload_id, "header.upload_id", found)
    dataset_id = _read_dataset_id(header.dataset_id, "header.dataset_id", found)
    found.check(header.size_bytes > 0, "header.size_bytes", f"is {header.size_bytes}; must be 1 or more")
    packing = found.attempt(lambda: read_packing(header.format, "header.format"))
    if header.sha256:
        check_sha256(header.sha256, "header.sha256", found)
    found.raise_if_any()
    assert packing is not None
    sha256 = header.sha256 or None
    return Upload(upload_id, dataset_id, current_tenant(), packing, header.size_bytes, 0, now, now, sha256)


def _read_upload_id(value: str, field: str, found: Violations) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        found.add(field, f"'{value[:60]}' must be a UUID")
        return ""


def _read_dataset_id(value: str, field: str, found: Violations) -> str:
    dataset_id = value or names.new_id()
    found.check(names.is_id(dataset_id), field, f"'{dataset_id[:80]}' must be {names.ID_RULE}")
    return dataset_id


@contextlib.contextmanager
def _told(field: str) -> Iterator[None]:
    """What is wrong with content as the error of its field, and a full disk as one that can be tried again."""
    try:
        yield
    except BadContent as error:
        raise InvalidArgument([FieldViolation(field, str(error))]) from error
    except NoRoom as error:
        raise ResourceExhausted(f"{error}; try again when there is room: what has come is kept") from error
    except OSError as error:
        again = no_room_or_same(error)
        if isinstance(again, NoRoom):
            raise ResourceExhausted(f"{again}; try again when there is room: what has come is kept") from error
        if field == "uri":
            raise InvalidArgument([FieldViolation(field, f"cannot be read: {error}")]) from error
        raise
