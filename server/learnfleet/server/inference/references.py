"""From what callers name a model by to the export that answers: versions, aliases, splits, learners as they are."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from learnfleet.server import names
from learnfleet.server.errors import NotFound, ServiceError, Unavailable
from learnfleet.server.inference.exports import LearnerExports
from learnfleet.server.long_calls import LongCalls, SharedCalls
from learnfleet.server.names import ModelRef
from learnfleet.server.tracking.registry import ModelRegistry, Registered

PRECISION_TAG = "learnfleet.precision"  # fp32, bf16 or fp16
CHANNELS_LAST_TAG = "learnfleet.channels_last"  # true or false
SPLIT_TAG = "learnfleet.split."  # and an alias: `learnfleet.split.champion` = `canary=10`, 10 % of its calls

_SPLIT = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)=(\d+(?:\.\d+)?)")
_PRECISIONS = ("fp32", "bf16", "fp16")
_CONCURRENT_CALLS = 8
_PATIENCE_S = 1.0  # with a registry that does not answer, while an older answer is known
_FRESH = 0.75  # of the time that an answer holds; in the rest of it callers have it renewed, and wait for nothing

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """An export and how it is to be computed; two calls with equal targets share a queue."""

    name: str  # of the version or checkpoint
    folder: str
    precision: str | None = None  # None: as it was trained
    channels_last: bool | None = None

    @property
    def key(self) -> str:
        return f"{self.folder}|{self.precision}|{self.channels_last}"


@dataclass(frozen=True)
class Choice:
    """What a reference means at present."""

    main: Target
    canary: Target | None = None
    canary_share: float = 0.0  # of the calls, 0 to 1
    keeps_old: bool = False  # an alias: while a new version warms up the one before answers
    owner: str | None = None  # the tenant of a registered model; None: nobody knows


class NoSuchVersion(NotFound):
    """A registered model lacks this version or alias, which is only for its owner to know."""

    def __init__(self, resource: str, hint: str, owner: str | None) -> None:
        super().__init__(resource, hint)
        self.owner = owner


@dataclass
class _Known:
    choice: Choice
    until: float
    is_renewed: bool = False  # or was tried to be


class References:
    """Looks references up, and remembers those of the registry for `ttl_s`."""

    def __init__(
        self,
        registry: ModelRegistry,
        exports: LearnerExports,
        defaults: Callable[[str, str], Target] = Target,
        ttl_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._registry, self._exports, self._defaults = registry, exports, defaults
        self._ttl_s, self._clock, self._chance = ttl_s, clock, chance
        self._known: dict[str, _Known] = {}
        self._changes: dict[str, int] = {}  # of a model, by its id
        self._calls = LongCalls("resolve", _CONCURRENT_CALLS)
        self._shared: SharedCalls[Choice] = SharedCalls()
        self._renewing: set[asyncio.Task[None]] = set()

    def changed(self, model_id: str, made: Sequence[ModelRef] = ()) -> None:
        """What was known of a model holds no more. It is asked for anew here, and `made`, so that no caller waits.

        From any thread; blocks.
        """
        changes = self._changes[model_id] = self._changes.get(model_id, 0) + 1
        asked = [name for name in list(self._known) if names.parse_model(name).model == model_id]
        for reference in asked:
            self._known.pop(reference, None)
        for reference in dict.fromkeys([*asked, *map(str, made)]):
            try:
                self._keep(reference, model_id, self._read(names.parse_model(reference)), changes)
            except NotFound:  # removed: who asks is told so
                pass
            except Exception:
                _log.warning("%s cannot be looked up now; the next call does it", reference, exc_info=True)

    def peek(self, reference: str) -> Choice | None:
        """What a reference means as far as that is known without asking."""
        known = self._known.get(reference)
        return known.choice if known is not None and self._clock() < known.until else None

    def resolve(self, reference: str) -> tuple[Path, str]:
        """(export folder, name of the version or checkpoint), asked for anew; blocks.

        Raises InvalidArgument, NotFound, FailedPrecondition (an untrained learner).
        """
        if reference.startswith("learners/"):
            name, folder = self._exports.newest(names.parse_learner(reference, "model"))
            return folder, name
        return self._registry.resolve(names.parse_model(reference, "model"))

    async def choose(self, reference: str) -> Choice:
        """Raises InvalidArgument, NotFound, FailedPrecondition (an untrained learner), Unavailable."""
        if reference.startswith("learners/"):
            learner_id = names.parse_learner(reference, "model")
            name, folder = await self._calls.run(self._exports.newest, learner_id)
            return Choice(self._defaults(name, str(folder)))
        ref = names.parse_model(reference, "model")
        known, now = self._known.get(reference), self._clock()
        if known is not None and now < known.until:
            if now >= known.until - (1 - _FRESH) * self._ttl_s and not known.is_renewed:
                known.is_renewed = True
                self._renew(reference, ref)
            return known.choice
        asking = self._shared.join(reference, lambda: self._look_up(reference, ref))
        if known is None:
            return await asking
        return await self._refreshed(known, asking, reference)

    async def owner(self, reference: str) -> str | None:
        """The tenant of a registered model, as far as it is known, at no cost beyond that of `choose`.

        Raises InvalidArgument, NotFound for a model that is not registered, Unavailable.
        """
        try:
            return (await self.choose(reference)).owner
        except NoSuchVersion as error:
            return error.owner

    def _renew(self, reference: str, ref: ModelRef) -> None:
        async def renew() -> None:
            try:
                await self._shared.join(reference, lambda: self._look_up(reference, ref))
            except Exception as error:  # it holds for a little longer, and is then asked for by who needs it
                _log.info("%s was not renewed: %s", reference, error)

        task = asyncio.create_task(renew())
        self._renewing.add(task)
        task.add_done_callback(self._renewing.discard)

    async def _refreshed(self, known: _Known, asking: object, reference: str) -> Choice:
        """What the registry says now; what it said last where it cannot be asked."""
        try:
            return await asyncio.wait_for(asking, _PATIENCE_S)  # type: ignore[arg-type]
        except (TimeoutError, Unavailable) as error:
            _log.warning("%s is answered as last known: the registry cannot be asked (%s)", reference, error)
            known.until = self._clock() + self._ttl_s
            return known.choice
        except NotFound:
            self._known.pop(reference, None)
            raise

    async def _look_up(self, reference: str, ref: ModelRef) -> Choice:
        changes = self._changes.get(ref.model, 0)
        try:
            choice = await self._calls.run(self._read, ref)
        except ServiceError:
            raise
        except Exception as error:
            _log.warning("the model registry cannot be asked", exc_info=True)
            raise Unavailable(f"the model registry cannot be asked: {error}") from error
        self._keep(reference, ref.model, choice, changes)
        return choice

    def _keep(self, reference: str, model_id: str, choice: Choice, changes: int) -> None:
        """Know it, unless the model has changed since it was asked for."""
        if self._changes.get(model_id, 0) == changes:
            self._known[reference] = _Known(choice, self._clock() + self._ttl_s)

    def pick(self, choice: Choice) -> Target:
        """Which of the two versions of a split answers this call."""
        if choice.canary is not None and self._chance() < choice.canary_share:
            return choice.canary
        return choice.main

    # -- in a thread

    def _read(self, ref: ModelRef) -> Choice:
        found = self._registry.registered(ref.model)
        if ref.alias is None:
            return Choice(self._version(ref, found), owner=found.owner)
        version = found.aliases.get(ref.alias)
        if version is None:
            raise NoSuchVersion(str(ref), "Export with this alias, or set it in the registry", found.owner)
        main = self._version(ModelRef(ref.model, version), found)
        canary, share = self._split(ref, found.aliases, found.tags)
        return Choice(main, canary, share, keeps_old=True, owner=found.owner)

    def _version(self, ref: ModelRef, found: Registered) -> Target:
        try:
            return self._target(ref, found.tags)
        except NotFound as error:
            raise NoSuchVersion(error.resource, error.hint, found.owner) from None

    def _split(self, ref: ModelRef, aliases: Mapping[str, str], tags: Mapping[str, str]) -> tuple[Target | None, float]:
        """What is wrong with a split costs its model no answers: then all go to the alias that was asked for."""
        said = tags.get(f"{SPLIT_TAG}{ref.alias}")
        if said is None:
            return None, 0.0
        parsed = _SPLIT.fullmatch(said.strip())
        if parsed is None or float(parsed[2]) > 100:
            _log.warning("%s: the split %r is none: must be alias=percent, as canary=10", ref, said)
            return None, 0.0
        version = aliases.get(parsed[1])
        if version is None:
            _log.warning("%s: the split %r names an alias that does not exist", ref, said)
            return None, 0.0
        try:
            return self._target(ModelRef(ref.model, version), tags), float(parsed[2]) / 100
        except Exception:
            _log.warning("%s: the split %r leads to a version that cannot be had", ref, said, exc_info=True)
            return None, 0.0

    def _target(self, ref: ModelRef, tags: Mapping[str, str]) -> Target:
        folder, name = self._registry.resolve(ref)
        target = self._defaults(name, str(folder))
        precision, channels = tags.get(PRECISION_TAG), tags.get(CHANNELS_LAST_TAG)
        if precision is not None and precision not in _PRECISIONS:
            _log.warning("%s: the tag %s is %r; must be one of %s", ref, PRECISION_TAG, precision, _PRECISIONS)
            precision = None
        if channels is not None and channels not in ("true", "false"):
            _log.warning("%s: the tag %s is %r; must be true or false", ref, CHANNELS_LAST_TAG, channels)
            channels = None
        return replace(
            target,
            precision=precision or target.precision,
            channels_last=channels == "true" if channels is not None else target.channels_last,
        )
