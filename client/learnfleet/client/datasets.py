"""`client.datasets`: data sets on the server, uploaded from here or registered where they lie."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from learnfleet.client.connection import Connection
from learnfleet.client.dataset_values import Dataset, DatasetVersion
from learnfleet.client.errors import DeadlineExceededError
from learnfleet.client.patience import pauses
from learnfleet.v1 import dataset_service_pb2 as pb

if TYPE_CHECKING:
    from learnfleet.client.uploading import OnProgress

REGISTER_TIMEOUT_S = 86_400.0  # the server reads, and maybe copies, every file before it answers


class Datasets:
    """The data sets of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def upload(
        self, path: str | Path, dataset_id: str = "", *, wait: bool = True, progress: bool | None = None
    ) -> Dataset:
        """Make a version of a folder, an archive (.tar, .tar.gz, .tgz, .zip) or a file that is here.

        After a lost connection, Ctrl-C or the end of this process the same call goes on where it stopped, for a week.
        Hidden files are left out. Content that the data set has already makes no new version.

        Args:
            dataset_id: last part of the data set's name. Default: made up by the server.
            wait: until the server has looked at all pictures, so that there is a summary.
            progress: show a bar. Default: in terminals and notebooks.

        Raises ValueError and OSError for what is wrong here, else this package's errors.
        """
        # Imported late: most sessions upload nothing.
        from learnfleet.client.packing import pack
        from learnfleet.client.uploading import Sending, Uploader

        place = Path(path).expanduser()
        packed = pack(place)
        with upload_bar(packed.size_bytes, place.name, progress) as on_progress:
            sending = Sending(packed, dataset_id, on_progress, self._connection.retry_s)
            message = Uploader(self._connection, sending).run()
        return self._answered(message, wait)

    def register(self, uri: str | Path, dataset_id: str = "", *, wait: bool = True) -> Dataset:
        """Make a version of a folder that the server can read, or of one on an object store, beneath a data root.

        A folder of the server's own storage stays where it is, and must not change from then on: jobs on a version
        whose files have changed fail. Others are copied. Otherwise as `upload`.
        """
        rpc = self._connection.datasets.RegisterDataset

        def register(request: object, timeout: float) -> pb.Dataset:
            answer: pb.Dataset = rpc(request, timeout=REGISTER_TIMEOUT_S)
            return answer

        return self._answered(self._connection.call(register, register_request(uri, dataset_id)), wait)

    def get(self, name: str) -> Dataset:
        """`datasets/{dataset}`, with all its versions. Raises NotFoundError."""
        request = pb.GetDatasetRequest(name=name)
        return Dataset.from_proto(self._connection.call(self._connection.datasets.GetDataset, request))

    def list(self) -> Iterator[Dataset]:
        """All data sets, newest first, each with its newest version."""
        token = ""
        while True:
            request = pb.ListDatasetsRequest(page_token=token)
            page = self._connection.call(self._connection.datasets.ListDatasets, request)
            yield from map(Dataset.from_proto, page.datasets)
            token = page.next_page_token
            if not token:
                return

    def delete(self, name: str) -> None:
        """Forget `datasets/{dataset}` and what the server has stored of it; folders that were registered stay.

        Raises FailedPreconditionError while a job that has not ended uses it, NotFoundError.
        """
        self._connection.call(self._connection.datasets.DeleteDataset, pb.DeleteDatasetRequest(name=name))

    def wait(self, version: DatasetVersion, timeout: float | None = None) -> DatasetVersion:
        """The version when all its pictures have been looked at. Raises DeadlineExceededError, NotFoundError."""
        deadline = None if timeout is None else time.monotonic() + timeout
        dataset = version.name.partition("/versions/")[0]
        for pause_s in pauses():
            found = self.get(dataset).as_now(version)
            if found.state != "PENDING":
                return found
            if deadline is not None and time.monotonic() > deadline:
                raise DeadlineExceededError(f"{version.name} is still being looked at after {timeout} s")
            time.sleep(pause_s)
        raise AssertionError("unreachable: the pauses do not end")

    def _answered(self, message: pb.Dataset, wait: bool) -> Dataset:
        dataset = Dataset.from_proto(message)
        return dataset.only(self.wait(dataset.version)) if wait else dataset


def register_request(uri: str | Path, dataset_id: str) -> pb.RegisterDatasetRequest:
    """One that may be repeated."""
    return pb.RegisterDatasetRequest(dataset_id=dataset_id, uri=str(uri), request_id=str(uuid.uuid4()))


@contextmanager
def upload_bar(size_bytes: int, title: str, wanted: bool | None) -> Iterator[OnProgress]:
    """A bar with bytes, rate and time left, on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(file=sys.stderr)
    can_show = bool(find_spec("ipywidgets")) if console.is_jupyter else console.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    shown = can_show if wanted is None else wanted
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not shown) as progress:
        task = progress.add_task(title, total=size_bytes)

        def on_progress(done_bytes: int, *, reading: bool) -> None:
            progress.update(task, completed=done_bytes, description=f"{title} (reading again)" if reading else title)

        yield on_progress
