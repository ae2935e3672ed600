"""What a request works on: a learner that exists, or a new one that the request describes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from learnfleet.server import names
from learnfleet.server.data.roots import DataRoots
from learnfleet.server.data.verify import changed_data
from learnfleet.server.domain import Learner, Resources
from learnfleet.server.errors import FailedPrecondition
from learnfleet.server.long_calls import LongCalls
from learnfleet.server.rpc.check_fit import check_new
from learnfleet.server.rpc.ports import Catalog
from learnfleet.server.rpc.read_component import Names
from learnfleet.server.rpc.read_spec import read_learner_spec
from learnfleet.server.rpc.source_places import SourcePlaces
from learnfleet.server.rpc.tenants import current_tenant
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.store.base import Store
from learnfleet.trainer.data_spec import DataSpec
from learnfleet.v1 import interpretation_service_pb2, training_service_pb2

_PATTERN_TIMEOUT_S = 20.0
_CONCURRENT_CHECKS = 4

LookRequest: TypeAlias = interpretation_service_pb2.ShowBatchRequest | training_service_pb2.DescribeRequest
TargetRequest: TypeAlias = training_service_pb2.TrainRequest | LookRequest


@dataclass(frozen=True)
class Target:
    """A learner, which is not in the store yet if it `is_new`."""

    learner: Learner
    is_new: bool


@dataclass(frozen=True)
class Targets:
    """Reads and checks targets."""

    data_dir: Path
    store: Store
    catalog: Catalog
    roots: DataRoots
    checking: LongCalls = field(default_factory=lambda: LongCalls("check-folder", _CONCURRENT_CHECKS))

    async def read(self, request: TargetRequest, found: Violations) -> Target | None:
        """None where `found` has violations instead. Raises NotFound for an existing learner that does not exist."""
        target = request.WhichOneof("target")
        if target == "learner":
            found.check(not request.learner_id, "learner_id", "is only for a new learner; leave it empty")
            existing_id = found.attempt(lambda: names.parse_learner(request.learner, "learner"))
            if existing_id is None:
                return None
            return Target(await asyncio.to_thread(self.store.get_learner, existing_id), False)
        if target is None:
            found.add("learner_spec", "is missing; give learner_spec for a new learner, or learner for an existing one")
            return None
        return await self._read_new(request, found)

    async def _read_new(self, request: TargetRequest, found: Violations) -> Target | None:
        learner_id = request.learner_id or names.new_id()
        found.check(names.is_id(learner_id), "learner_id", f"'{learner_id[:80]}' must be {names.ID_RULE}")
        known = await Names.of(self.catalog)
        spec = await asyncio.to_thread(
            read_learner_spec, request.learner_spec, "learner_spec", found, known, SourcePlaces(self.roots, self.store)
        )
        now = datetime.now(UTC)
        return Target(Learner(learner_id, spec, now, now, tenant=current_tenant()), True) if spec is not None else None

    async def check(self, target: Target, resources: Resources, found: Violations) -> None:
        """Whether its batches can be shared by the workers; of a new one, whether all fits and its data are there."""
        bs, most = target.learner.spec.data.bs, resources.most
        of_workers = "resources.num_workers" if resources.max_workers is None else "resources.max_workers"
        field = "learner_spec.data.batch_size" if target.is_new else of_workers
        found.check(bs >= most or bs < 1, field, f"a batch of {bs} pictures cannot be shared by {most} workers")
        if target.is_new:
            await check_new(target.learner.spec, found, self.catalog)
        if not found:
            await self._require_unchanged(target.learner.spec.data)
        if target.is_new and not found:
            await self._check_folder(target.learner.spec.data, "learner_spec.data", found)

    async def check_data(self, data: DataSpec, field: str, found: Violations) -> None:
        """Whether data of a request are there, and those that they were registered as."""
        await self._require_unchanged(data)
        await self._check_folder(data, field, found)

    async def _require_unchanged(self, data: DataSpec) -> None:
        """Raises FailedPrecondition where files of a data set's version are no longer those that it was made of."""
        changed = await self.checking.run(changed_data, self.data_dir, self.store, data)
        if changed is not None and data.dataset is not None:
            raise FailedPrecondition(data.dataset.name, changed)

    async def _check_folder(self, data: DataSpec, field: str, found: Violations) -> None:
        # Imported late: it brings Pillow and numpy, which the server does not need in order to listen.
        from learnfleet.trainer.folder_check import check_folder, check_folder_within

        if data.source == "names":
            problems = await self.checking.run(check_folder_within, data, _PATTERN_TIMEOUT_S)
        else:
            problems = await self.checking.run(check_folder, data)
        for problem in problems:
            found.add(f"{field}{problem.field.removeprefix('data')}", problem.message)
