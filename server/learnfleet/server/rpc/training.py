"""TrainingService."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime

from learnfleet.server import names
from learnfleet.server.checkpoints import load_state_of, save_checkpoint
from learnfleet.server.config import Config
from learnfleet.server.data.roots import DataRoots
from learnfleet.server.domain import ExportWork, Job, JobKind, JobState, Learner, Resources, TrainWork
from learnfleet.server.errors import FailedPrecondition
from learnfleet.server.rpc.page import read_page
from learnfleet.server.rpc.ports import Catalog, Runtime
from learnfleet.server.rpc.read_job import read_checkpoint_policy, read_request_id, read_resources, read_stages
from learnfleet.server.rpc.read_spec import Names, read_learner_spec
from learnfleet.server.rpc.reading import (
    active_job,
    fingerprint,
    job_message,
    last_resources,
    learner_message,
    require_trained,
)
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_job import checkpoint_to_proto
from learnfleet.server.store.base import Store
from learnfleet.trainer.spec import FitOneCycleStage, FitStage, LearnerSpec
from learnfleet.v1 import job_pb2, learner_pb2
from learnfleet.v1 import training_service_pb2 as pb

_QUEUED = "waits for the scheduler"
_MAX_ALIASES = 50


@dataclass(frozen=True)
class TrainingServicer:
    """Makes learners and works on them."""

    config: Config
    store: Store
    runtime: Runtime
    catalog: Catalog
    roots: DataRoots

    async def train(self, request: pb.TrainRequest) -> job_pb2.Job:
        found = Violations()
        learner, is_new = await self._read_target(request, found)
        default = Resources()
        if learner is not None and not is_new:
            default = await asyncio.to_thread(last_resources, self.store, learner.id)
        stages = read_stages(request.stages, found)
        has_fit = any(isinstance(stage, FitStage | FitOneCycleStage) for stage in stages)
        found.check(has_fit or bool(found), "stages", "train nothing; at least one must be fit or fit_one_cycle")
        resources = read_resources(request.resources, default, "resources", found, await self.catalog.capacity())
        policy = read_checkpoint_policy(request.checkpoint_policy, found)
        request_id = read_request_id(request.request_id, found)
        if learner is not None:
            self._check_batch(learner.spec, resources, is_new, found)
        if learner is not None and is_new and not found:
            await self._check_folder(learner.spec, found)
        found.raise_if_any()
        assert learner is not None, "a target that cannot be read is a violation"
        job = _new_job(learner.id, JobKind.TRAIN, TrainWork(stages, policy), resources, request_id)
        return await self._create(job, request, learner if is_new else None)

    async def _read_target(self, request: pb.TrainRequest, found: Violations) -> tuple[Learner | None, bool]:
        """(the learner, whether it is a new one). Raises NotFound for an existing one that does not exist."""
        target = request.WhichOneof("target")
        if target == "learner":
            found.check(not request.learner_id, "learner_id", "is only for a new learner; leave it empty")
            existing_id = found.attempt(lambda: names.parse_learner(request.learner, "learner"))
            if existing_id is None:
                return None, False
            return await asyncio.to_thread(self.store.get_learner, existing_id), False
        if target is None:
            found.add("learner_spec", "is missing; give learner_spec for a new learner, or learner for an existing one")
            return None, True
        learner_id = request.learner_id or names.new_id()
        found.check(names.is_id(learner_id), "learner_id", f"'{learner_id[:80]}' must be {names.ID_RULE}")
        known = Names(await self.catalog.architectures(), await self.catalog.metrics(), await self.catalog.losses())
        spec = await asyncio.to_thread(
            read_learner_spec, request.learner_spec, "learner_spec", found, known, self.roots
        )
        now = datetime.now(UTC)
        return (Learner(learner_id, spec, now, now) if spec is not None else None), True

    def _check_batch(self, spec: LearnerSpec, resources: Resources, is_new: bool, found: Violations) -> None:
        field = "learner_spec.data.batch_size" if is_new else "resources.num_workers"
        found.check(
            spec.data.bs >= resources.num_workers or spec.data.bs < 1,
            field,
            f"a batch of {spec.data.bs} pictures cannot be shared by {resources.num_workers} workers",
        )

    async def _check_folder(self, spec: LearnerSpec, found: Violations) -> None:
        # Imported late: it brings Pillow and numpy, which the server does not need in order to listen.
        from learnfleet.trainer.folder_check import check_folder

        for problem in await asyncio.to_thread(check_folder, spec.data):
            found.add(f"learner_spec.{problem.field}", problem.message)

    async def _create(
        self, job: Job, request: pb.TrainRequest | pb.ExportRequest, learner: Learner | None
    ) -> job_pb2.Job:
        stored = await asyncio.to_thread(self.store.create_job, job, learner=learner, fingerprint=fingerprint(request))
        self.runtime.job_queued(stored)
        return await job_message(self.store, stored)

    async def get_learner(self, request: pb.GetLearnerRequest) -> learner_pb2.Learner:
        learner = await asyncio.to_thread(self.store.get_learner, names.parse_learner(request.name))
        return await learner_message(self.store, self.runtime, learner)

    async def list_learners(self, request: pb.ListLearnersRequest) -> pb.ListLearnersResponse:
        page = read_page(request.page_size, request.page_token)
        learners, token = await asyncio.to_thread(self.store.list_learners, page)
        messages = [await learner_message(self.store, self.runtime, learner) for learner in learners]
        return pb.ListLearnersResponse(learners=messages, next_page_token=token)

    async def save(self, request: pb.SaveRequest) -> learner_pb2.Checkpoint:
        found = Violations()
        learner_id = found.attempt(lambda: names.parse_learner(request.learner, "learner"))
        right = f"'{request.checkpoint_id[:80]}' must be {names.ID_RULE}"
        found.check(names.is_id(request.checkpoint_id), "checkpoint_id", right)
        found.raise_if_any()
        assert learner_id is not None
        saved = await asyncio.to_thread(save_checkpoint, self.config, self.store, learner_id, request.checkpoint_id)
        return checkpoint_to_proto(saved)

    async def load(self, request: pb.LoadRequest) -> learner_pb2.Learner:
        learner_id, checkpoint_id = names.parse_checkpoint(request.checkpoint, "checkpoint")
        learner = await asyncio.to_thread(self._load, learner_id, checkpoint_id)
        return await learner_message(self.store, self.runtime, learner)

    def _load(self, learner_id: str, checkpoint_id: str) -> Learner:
        learner = self.store.get_learner(learner_id)
        checkpoint = self.store.get_checkpoint(learner_id, checkpoint_id)
        busy = active_job(self.store, learner_id)
        if busy is not None:
            name = f"learners/{learner_id}"
            raise FailedPrecondition(name, f"jobs/{busy.id} is working on {name}; wait for it or cancel it")
        state = load_state_of(checkpoint)
        return self.store.update_learner(dataclasses.replace(learner, checkpoint_id=checkpoint_id, **state))

    async def export(self, request: pb.ExportRequest) -> job_pb2.Job:
        found = Violations()
        learner_id = found.attempt(lambda: names.parse_learner(request.learner, "learner"))
        model_id = request.model_id or learner_id or ""
        right = f"'{model_id[:80]}' must be {names.MODEL_ID_RULE}"
        found.check(not learner_id or names.is_model_id(model_id), "model_id", right)
        if found.length("aliases", len(request.aliases), _MAX_ALIASES):
            for index, alias in enumerate(request.aliases):
                is_right = names.is_alias(alias)
                found.check(is_right, f"aliases[{index}]", f"'{alias[:80]}' must be {names.ALIAS_RULE}")
        request_id = read_request_id(request.request_id, found)
        found.raise_if_any()
        assert learner_id is not None
        learner = await asyncio.to_thread(self.store.get_learner, learner_id)
        await asyncio.to_thread(require_trained, self.store, learner, "export")
        resources = await asyncio.to_thread(last_resources, self.store, learner_id)
        work = ExportWork(model_id, tuple(request.aliases))
        return await self._create(_new_job(learner_id, JobKind.EXPORT, work, resources, request_id), request, None)


def _new_job(
    learner_id: str, kind: JobKind, work: TrainWork | ExportWork, resources: Resources, request_id: str | None
) -> Job:
    now = datetime.now(UTC)
    return Job(
        names.new_id(), learner_id, kind, work, resources, JobState.QUEUED, _QUEUED, now, now, request_id=request_id
    )
