"""`client.datasets` for asyncio: data sets on the server, uploaded from here or registered where they lie."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from learnfleet.client.aio_connection import AsyncConnection
from learnfleet.client.dataset_values import Dataset, DatasetVersion
from learnfleet.client.datasets import REGISTER_TIMEOUT_S, register_request, upload_bar
from learnfleet.client.errors import NotFoundError
from learnfleet.client.patience import pauses
from learnfleet.v1 import dataset_service_pb2 as pb

if TYPE_CHECKING:
    from learnfleet.client.uploading import Sending


class AsyncDatasets:
    """The data sets of a server. Files are read in threads: the event loop goes on meanwhile."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def upload(
        self, path: str | Path, dataset_id: str = "", *, wait: bool = True, progress: bool | None = None
    ) -> Dataset:
        """Make a version of a folder, an archive or a file that is here. As `Datasets.upload`.

        A task that is cancelled leaves what has been sent: the same call goes on with it.
        """
        from learnfleet.client.packing import pack
        from learnfleet.client.uploading import Sending

        place = Path(path).expanduser()  # noqa: ASYNC240  # reads no file
        packed = await asyncio.to_thread(pack, place)
        with upload_bar(packed.size_bytes, place.name, progress) as on_progress:
            message = await self._sent(Sending(packed, dataset_id, on_progress, self._connection.retry_s))
        return await self._answered(message, wait)

    async def register(self, uri: str | Path, dataset_id: str = "", *, wait: bool = True) -> Dataset:
        """Make a version of a folder that the server can read, beneath a data root. As `Datasets.register`."""
        rpc = self._connection.datasets.RegisterDataset

        def register(request: object, timeout: float) -> Awaitable[pb.Dataset]:
            answer: Awaitable[pb.Dataset] = rpc(request, timeout=REGISTER_TIMEOUT_S)
            return answer

        return await self._answered(await self._connection.call(register, register_request(uri, dataset_id)), wait)

    async def get(self, name: str) -> Dataset:
        """`datasets/{dataset}`, with all its versions. Raises NotFoundError."""
        request = pb.GetDatasetRequest(name=name)
        return Dataset.from_proto(await self._connection.call(self._connection.datasets.GetDataset, request))

    async def list(self) -> AsyncIterator[Dataset]:
        """All data sets, newest first, each with its newest version."""
        token = ""
        while True:
            request = pb.ListDatasetsRequest(page_token=token)
            page = await self._connection.call(self._connection.datasets.ListDatasets, request)
            for message in page.datasets:
                yield Dataset.from_proto(message)
            token = page.next_page_token
            if not token:
                return

    async def delete(self, name: str) -> None:
        """Forget `datasets/{dataset}`. As `Datasets.delete`."""
        await self._connection.call(self._connection.datasets.DeleteDataset, pb.DeleteDatasetRequest(name=name))

    async def wait(self, version: DatasetVersion) -> DatasetVersion:
        """The version when all its pictures have been looked at. Raises NotFoundError."""
        dataset = version.name.partition("/versions/")[0]
        for pause_s in pauses():
            found = (await self.get(dataset)).as_now(version)
            if found.state != "PENDING":
                return found
            await asyncio.sleep(pause_s)
        raise AssertionError("unreachable: the pauses do not end")

    async def _answered(self, message: pb.Dataset, wait: bool) -> Dataset:
        dataset = Dataset.from_proto(message)
        return dataset.only(await self.wait(dataset.version)) if wait else dataset

    # -- uploading

    async def _sent(self, sending: Sending) -> pb.Dataset:
        """Until the server has made a version of it. Waits for a lost server, as long as the connection says."""
        while True:
            try:
                return await self._send(sending)
            except grpc.RpcError as error:
                pause_s = sending.pause_after(error)
            await asyncio.sleep(pause_s)

    async def _send(self, sending: Sending) -> pb.Dataset:
        received = await self._received(sending)
        await asyncio.to_thread(sending.catch_up, received)
        answer: pb.Dataset = await self._connection.datasets.CreateDataset(_in_a_thread(sending, received))
        return answer

    async def _received(self, sending: Sending) -> int | None:
        from learnfleet.client.uploading import received_of

        try:
            upload = await self._connection.call(self._connection.datasets.GetUpload, sending.request())
        except NotFoundError:
            return 0
        return received_of(upload)


async def _in_a_thread(sending: Sending, received: int | None) -> AsyncIterator[pb.CreateDatasetRequest]:
    """The messages; each is read and hashed in a thread."""
    messages = sending.messages(received)
    while (message := await asyncio.to_thread(next, messages, None)) is not None:
        yield message
