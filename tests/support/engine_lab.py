"""The inference engine on real replicas (models, sockets and pictures) that live in this process, not in Ray's."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from learnfleet.server.errors import NotFound
from learnfleet.server.inference.engine import Engine, EngineSettings
from learnfleet.server.inference.plan import ReplicaSettings
from learnfleet.server.inference.ports import (
    InferOptions,
    PictureFile,
)
from learnfleet.server.inference.references import Choice, References, Target
from learnfleet.server.inference.replica import Replica
from learnfleet.server.inference.scaler import ScaleSettings
from learnfleet.server.names import ModelRef

PLAIN = InferOptions()
MODEL = "models/m/versions/1"
TIMEOUT_S = 60


@dataclass
class Exports:
    """References that mean what the test says."""

    choices: dict[str, Choice]
    chance: float = 1.0

    async def choose(self, reference: str) -> Choice:
        if reference not in self.choices:
            raise NotFound(reference)
        return self.choices[reference]

    def changed(self, model_id: str, made: Sequence[ModelRef] = ()) -> None:
        """They are always what the test says."""

    def peek(self, reference: str) -> Choice | None:
        return self.choices.get(reference)

    pick = References.pick

    def _chance(self) -> float:
        return self.chance


@dataclass
class Here:
    """Starts replicas in this process."""

    folder: Path
    replicas: dict[str, Replica] = field(default_factory=dict)
    started: int = 0
    has_room: bool = True

    def start(self, replica_id: str, token: str) -> str:
        if not self.has_room:
            raise TimeoutError("no replica came up")
        self.started += 1
        replica = self.replicas[replica_id] = Replica(ReplicaSettings(token))
        return replica.listen(f"unix:{self.folder}/{replica_id}")

    def end(self, replica_id: str) -> None:
        replica = self.replicas.pop(replica_id, None)
        if replica is not None:
            assert replica._server is not None
            replica._server.stop(None).wait()

    # test controls

    def kill(self) -> None:
        """All of them, without a word."""
        for replica_id in list(self.replicas):
            self.end(replica_id)


def picture(seed: int = 0, size: tuple[int, int] = (40, 36)) -> PictureFile:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return PictureFile(content.getvalue())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def with_engine(here: Here, exports: Exports, check: Callable[[Engine], Awaitable[None]], **settings: object) -> None:
    async def run() -> None:
        scale = settings.pop("scale", ScaleSettings(0, 1))
        engine = Engine(exports, here, EngineSettings(scale, **settings))  # type: ignore[arg-type]
        try:
            await asyncio.wait_for(check(engine), TIMEOUT_S)
        finally:
            await engine.close()
            here.kill()

    asyncio.run(run())


def only(folder: Path) -> Exports:
    return Exports({MODEL: Choice(Target("models/m/versions/1", str(folder)))})
