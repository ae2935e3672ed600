"""Naming data sets where a path is wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass

from learnfleet.v1 import learner_pb2

_SCHEME = "dataset://"
# One slash will do: pathlib makes one of two.
_URL = re.compile(r"dataset:/{1,2}([^/]+)(/versions/[0-9]+)?(?:/(.*))?", re.DOTALL)


@dataclass(frozen=True)
class DatasetPath:
    """A folder or file of a data set, wherever a path on the server is wanted: `dataset / "images"`.

    As text it is a URL, `dataset://pets/versions/1/images`, and a text of that form does as well; `dataset://pets` is
    the newest version that there is when a learner is made.
    """

    dataset: str  # datasets/{dataset} or datasets/{dataset}/versions/{version}
    path: str = ""  # in it; empty: all of it

    def __truediv__(self, name: str) -> DatasetPath:
        return DatasetPath(self.dataset, f"{self.path}/{name}" if self.path else name)

    def __str__(self) -> str:
        return _SCHEME + self.dataset.removeprefix("datasets/") + (f"/{self.path}" if self.path else "")

    def __fspath__(self) -> str:
        return str(self)


def put_dataset(message: learner_pb2.DataSpec) -> None:
    """Say by its name which data set the source's path is in, if it is in one. Raises ValueError for half a name."""
    source = message.WhichOneof("source")
    if source is None or not getattr(message, source).path.startswith("dataset:/"):
        return
    message.dataset, getattr(message, source).path = split_url(getattr(message, source).path)


def split_url(url: str) -> tuple[str, str]:
    """(`datasets/{dataset}` with or without a version, the path in it). Raises ValueError for half a name."""
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(f"{url!r} must be of the form dataset://NAME, dataset://NAME/versions/1 or either with /PATH")
    dataset, version, inner = match.groups()
    return f"datasets/{dataset}{version or ''}", inner or ""
