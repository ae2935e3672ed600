"""What the workers' environment can do: asked of a worker, once for each set of versions."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar, cast

from learnfleet.server.errors import WorkersStarting
from learnfleet.server.long_calls import LongCalls, SharedCalls
from learnfleet.server.names import new_id
from learnfleet.server.rpc.ports import Argument, Capacity
from learnfleet.server.workers.cluster import RayCluster
from learnfleet.trainer.body_info import BodyInfo
from learnfleet.trainer.errors import LearnerError

_KINDS = {
    **{kind: kind for kind in ("metrics", "losses", "callbacks", "transforms")},
    "optimizers": "optimizer_arguments",
}
_MOST_BODIES = 200  # each with thousands of names at most
_CONCURRENT_QUESTIONS = 8
# How long a call waits for Ray, and for a worker's import of torch, before its caller is told to ask again. With the
# longest that a worker may take to describe an architecture it is less than callers wait for an answer.
_PATIENCE_S = 10.0
_FORMAT = 2  # of what a worker answers
_DISTRIBUTIONS = ("learnfleet", "torch", "torchvision", "timm")

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


@dataclass(frozen=True)
class _Known:
    """What a worker has answered, in the form in which every call needs it."""

    architectures: frozenset[str]
    components: Mapping[str, Mapping[str, tuple[Argument, ...]]]

    @classmethod
    def of(cls, told: dict[str, Any]) -> _Known:
        components = {kind: _signatures(told.get(key, {})) for kind, key in _KINDS.items()}
        return cls(frozenset(told["architectures"]), components)


class WorkerCatalog:
    """The `Catalog` of the cluster's workers."""

    def __init__(self, cluster: RayCluster, data_dir: Path, patience_s: float = _PATIENCE_S) -> None:
        self._cluster, self._path, self._patience_s = cluster, data_dir / "catalog.json", patience_s
        self._known: _Known | None = None
        self._shared: SharedCalls[object] = SharedCalls()
        self._asking = LongCalls("ask-workers", _CONCURRENT_QUESTIONS)
        self._bodies: dict[tuple[str, int | None], BodyInfo] = {}

    async def architectures(self) -> frozenset[str]:
        return (await self._catalog()).architectures

    async def components(self, kind: str) -> Mapping[str, tuple[Argument, ...]]:
        return (await self._catalog()).components[kind]

    async def capacity(self) -> Capacity:
        return await self._soon("capacity", self._cluster.capacity)

    async def body(self, architecture: str, cut: int | None) -> BodyInfo | None:
        if architecture not in await self.architectures():
            return None
        key = architecture, cut
        if key not in self._bodies:
            await self._soon("wait", self._cluster.wait)
            body = await self._asking.run(self._ask_for_body, *key)
            if body is None:  # it may be known in time when it is asked for again
                return None
            if len(self._bodies) >= _MOST_BODIES:
                self._bodies.clear()
            self._bodies[key] = body
        return self._bodies[key]

    def _ask_for_body(self, architecture: str, cut: int | None) -> BodyInfo | None:
        told = self._cluster.wait().body(architecture, cut)
        if isinstance(told, LearnerError):
            raise told
        return told

    async def _catalog(self) -> _Known:
        if self._known is None:
            self._known = _Known.of(await self._soon("catalog", self._read))
        return self._known

    async def _soon(self, question: str, ask: Callable[[], _T]) -> _T:
        """The answer. Raises WorkersStarting where it takes long; whoever asks the same again waits for it, too."""
        try:
            async with asyncio.timeout(self._patience_s) as patience:
                return cast(_T, await self._shared.join(question, lambda: self._asking.run(ask)))
        except TimeoutError:
            if not patience.expired():
                raise
            raise WorkersStarting("the workers are starting, and have not said yet what they can do") from None

    def _read(self) -> dict[str, Any]:
        key = self._key()
        if key is not None and self._path.exists():
            kept: dict[str, Any] = json.loads(self._path.read_text())
            if kept["key"] == key:
                return kept["catalog"]  # type: ignore[no-any-return]
        catalog = self._ask()
        if key is not None:
            temporary = self._path.with_suffix(f".{new_id()}")  # servers may share the folder
            temporary.write_text(json.dumps({"key": key, "catalog": catalog}))
            temporary.replace(self._path)
        return catalog

    def _key(self) -> str | None:
        """Versions here, which with a local Ray are the workers' own; None where the workers may have others."""
        if not self._cluster.is_local:
            return None
        groups = ("learnfleet.architectures", "learnfleet.callbacks", "learnfleet.losses", "learnfleet.metrics")
        plugins = [f"{point.name}={point.value}" for group in groups for point in metadata.entry_points(group=group)]
        return " ".join(
            [f"format {_FORMAT}", *(f"{name}=={metadata.version(name)}" for name in _DISTRIBUTIONS), *sorted(plugins)]
        )

    def _ask(self) -> dict[str, Any]:
        return self._cluster.wait().catalog()


def _signatures(components: dict[str, list[dict[str, Any]]]) -> dict[str, tuple[Argument, ...]]:
    return {
        name: tuple(Argument(**{**item, "choices": tuple(item.get("choices", ()))}) for item in arguments)
        for name, arguments in components.items()
    }
