"""TrainingService."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from dataclasses import dataclass

from google.protobuf import empty_pb2

from learnfleet.server import names
from learnfleet.server.checkpoints import load_state_of, save_checkpoint, weights_of
from learnfleet.server.config import Config
from learnfleet.server.deleting import delete_learner
from learnfleet.server.domain import ExportWork, JobKind, Learner, Resources, ShowWork, TrainWork, ValidateWork
from learnfleet.server.errors import FailedPrecondition, WorkersEnding
from learnfleet.server.rpc.check_fit import check_stages
from learnfleet.server.rpc.page import read_page
from learnfleet.server.rpc.ports import Runtime
from learnfleet.server.rpc.queueing import Queueing
from learnfleet.server.rpc.read_component import Names, read_metrics
from learnfleet.server.rpc.read_job import (
    check_monitor,
    read_checkpoint_policy,
    read_dataset,
    read_request_id,
    read_resources,
)
from learnfleet.server.rpc.read_stage import MOST_GROUPS, read_stages
from learnfleet.server.rpc.read_terms import read_terms
from learnfleet.server.rpc.reading import active_job, last_resources, learner_message, learner_messages, require_trained
from learnfleet.server.rpc.targets import Targets
from learnfleet.server.rpc.tenants import current_tenant
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_job import checkpoint_to_proto
from learnfleet.server.store.base import Store
from learnfleet.trainer.spec import FreezeStage
from learnfleet.v1 import job_pb2, learner_pb2
from learnfleet.v1 import training_service_pb2 as pb

_MAX_ALIASES = 50
_END_WORKERS_S = 20.0  # of a learner that is deleted
_LOOK_AGAIN_S = 0.1


@dataclass(frozen=True)
class TrainingServicer:
    """Makes learners and works on them."""

    config: Config
    store: Store
    runtime: Runtime
    queueing: Queueing
    targets: Targets

    async def train(self, request: pb.TrainRequest) -> job_pb2.Job:
        found = Violations()
        target = await self.targets.read(request, found)
        default = Resources()
        if target is not None and not target.is_new:
            default = await asyncio.to_thread(last_resources, self.store, target.learner.id)
        known = await Names.of(self.queueing.catalog)
        stages = read_stages(request.stages, found, known)
        has_fit = any(not isinstance(stage, FreezeStage) for stage in stages)
        found.check(has_fit or bool(found), "stages", "train nothing; at least one must be more than a freeze")
        resources = read_resources(
            request.resources, default, "resources", found, await self.queueing.catalog.capacity()
        )
        policy = read_checkpoint_policy(request.checkpoint_policy, found)
        request_id = read_request_id(request.request_id, found)
        terms = read_terms(request, found, self.config)
        if target is not None:
            check_monitor(policy, target.learner.spec.metrics, found)
            await self.targets.check(target, resources, found)
            if len(stages) == len(request.stages):  # with one missing the others' places would be wrong
                await check_stages(stages, target.learner, found, self.store, self.queueing.catalog)
        found.raise_if_any()
        assert target is not None, "a target that cannot be read is a violation"
        work, new = TrainWork(stages, policy), target.learner if target.is_new else None
        if request.validate_only:
            return await self.queueing.preview(target.learner.id, JobKind.TRAIN, work, resources, terms)
        return await self.queueing.put(
            request, target.learner.id, JobKind.TRAIN, work, resources, request_id, new, terms
        )

    async def validate(self, request: pb.ValidateRequest) -> job_pb2.Job:
        found = Violations()
        dataset = read_dataset(request.dataset, "valid", found)
        known = await self.queueing.catalog.components("metrics")
        metrics = read_metrics(request.metrics, "metrics", found, known) if request.metrics else None
        return await self.queueing.examine(request, found, JobKind.VALIDATE, ValidateWork(dataset, metrics))

    async def describe(self, request: pb.DescribeRequest) -> job_pb2.Job:
        found = Violations()
        frozen_to = request.freeze_to.n if request.HasField("freeze_to") else None
        found.number("freeze_to.n", frozen_to or 0, -MOST_GROUPS, MOST_GROUPS)
        return await self.queueing.look(request, self.targets, ShowWork("describe", freeze_to=frozen_to), found)

    async def get_learner(self, request: pb.GetLearnerRequest) -> learner_pb2.Learner:
        learner = await asyncio.to_thread(self.store.get_learner, names.parse_learner(request.name))
        return await learner_message(self.store, self.runtime, learner)

    async def list_learners(self, request: pb.ListLearnersRequest) -> pb.ListLearnersResponse:
        page = read_page(request.page_size, request.page_token)
        learners, token = await asyncio.to_thread(self.store.list_learners, page, current_tenant())
        messages = await learner_messages(self.store, self.runtime, learners)
        return pb.ListLearnersResponse(learners=messages, next_page_token=token)

    async def save(self, request: pb.SaveRequest) -> learner_pb2.Checkpoint:
        found = Violations()
        learner_id = found.attempt(lambda: names.parse_learner(request.learner, "learner"))
        right = f"'{request.checkpoint_id[:80]}' must be {names.ID_RULE}"
        found.check(names.is_id(request.checkpoint_id), "checkpoint_id", right)
        found.raise_if_any()
        assert learner_id is not None
        with_opt = request.with_opt if request.HasField("with_opt") else True
        saved = await asyncio.to_thread(
            save_checkpoint, self.config, self.store, learner_id, request.checkpoint_id, with_opt=with_opt
        )
        return checkpoint_to_proto(saved)

    async def list_checkpoints(self, request: pb.ListCheckpointsRequest) -> pb.ListCheckpointsResponse:
        learner_id = names.parse_learner(request.learner, "learner")
        found = await asyncio.to_thread(self.store.list_checkpoints, learner_id)
        return pb.ListCheckpointsResponse(checkpoints=[checkpoint_to_proto(checkpoint) for checkpoint in found])

    async def load(self, request: pb.LoadRequest) -> learner_pb2.Learner:
        learner_id, checkpoint_id = names.parse_checkpoint(request.checkpoint, "checkpoint")
        with_opt = request.with_opt if request.HasField("with_opt") else None
        learner = await asyncio.to_thread(self._load, learner_id, checkpoint_id, with_opt)
        return await learner_message(self.store, self.runtime, learner)

    def _load(self, learner_id: str, checkpoint_id: str, with_opt: bool | None) -> Learner:
        learner = self.store.get_learner(learner_id)
        checkpoint = self.store.get_checkpoint(learner_id, checkpoint_id)
        self._require_idle(learner_id)
        if with_opt and not checkpoint.optimizer_sha256:
            name = names.checkpoint_name(learner_id, checkpoint_id)
            raise FailedPrecondition(name, f"{name} was saved without its optimiser; leave with_opt out to load it")
        state = load_state_of(checkpoint)
        if with_opt is False:
            checkpoint = weights_of(self.config, self.store, checkpoint)
        return self.store.update_learner(dataclasses.replace(learner, checkpoint_id=checkpoint.id, **state))

    async def purge(self, request: pb.PurgeRequest) -> learner_pb2.Learner:
        learner_id = names.parse_learner(request.learner, "learner")
        learner = await asyncio.to_thread(self.store.get_learner, learner_id)
        await asyncio.to_thread(self._require_idle, learner_id)
        await self.runtime.release_workers(learner_id)
        return await learner_message(self.store, self.runtime, learner)

    def _require_idle(self, learner_id: str) -> None:
        busy = active_job(self.store, learner_id)
        if busy is not None:
            name = f"learners/{learner_id}"
            raise FailedPrecondition(name, f"jobs/{busy} is working on {name}; wait for it or cancel it")

    async def delete_learner(self, request: pb.DeleteLearnerRequest) -> empty_pb2.Empty:
        learner_id = names.parse_learner(request.name)
        await asyncio.to_thread(self.store.get_learner, learner_id)
        until_s = time.monotonic() + _END_WORKERS_S
        while True:
            await asyncio.to_thread(self._require_idle, learner_id)
            await self.runtime.release_workers(learner_id)
            try:
                await asyncio.to_thread(delete_learner, self.config, self.store, learner_id)
                return empty_pb2.Empty()
            except WorkersEnding:  # by another server, or they have not been given back by a job that has just ended
                if time.monotonic() > until_s:
                    raise
            await asyncio.sleep(_LOOK_AGAIN_S)

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
        work = ExportWork(model_id, tuple(request.aliases), request.onnx if request.HasField("onnx") else True)
        return await self.queueing.put(request, learner_id, JobKind.EXPORT, work, resources, request_id)
