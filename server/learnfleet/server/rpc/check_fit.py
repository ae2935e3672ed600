"""Whether rates, weight decays and weights fit the network of a learner, before a job is queued."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from learnfleet.server.domain import JobKind, Learner
from learnfleet.server.rpc.ports import Catalog
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.store.base import JobFilter, Page, Store
from learnfleet.trainer.body_info import BodyInfo
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.group_counts import known_group_count
from learnfleet.trainer.spec import LearnerSpec, Stage
from learnfleet.trainer.stage_groups import depend_on_groups, list_misfit, misfits
from learnfleet.trainer.tensor_header import read_shapes

_JOBS_LOOKED_AT = 20
_HEADED = ".safetensors"  # other files tell their tensors only to those who run torch


async def check_stages(
    stages: Sequence[Stage], learner: Learner, found: Violations, store: Store, catalog: Catalog
) -> None:
    """Note every list and every place to freeze to that is not of the learner's layer groups.

    The groups are those of its last job; before its first, those of its architecture, which modules of one's own to
    split on may change: then the job tells, before it trains.
    """
    if not depend_on_groups(stages):
        return
    groups = await asyncio.to_thread(_recorded_groups, store, learner.id)
    if groups is None:
        groups = await _groups_of(learner.spec, catalog)
    for misfit in misfits(stages, groups) if groups is not None else ():
        found.add(misfit.field, misfit.message)


async def check_new(spec: LearnerSpec, found: Violations, catalog: Catalog) -> None:
    """Note what of a new learner does not fit its architecture: a cut, weight decays of its groups, weights in a file.

    The workers are asked only where one of these depends on what they know.
    """
    decays = spec.optimizer.wd
    groups = await _groups_of(spec, catalog) if isinstance(decays, tuple) and len(decays) > 1 else None
    if isinstance(decays, tuple) and groups is not None:
        misfit = list_misfit("learner_spec.optimizer.wd_per_group", decays, groups)
        if misfit is not None:
            found.add(misfit.field, misfit.message)
    file = Path(spec.weights.path) if spec.weights.path else None
    if file is not None and file.suffix == _HEADED:
        await _check_weights(file, spec, found, catalog)
    elif spec.cut is not None:
        await _body_of(spec, found, catalog)


async def _groups_of(spec: LearnerSpec, catalog: Catalog) -> int | None:
    known = known_group_count(spec)
    if known is not None or spec.split is not None:
        return known
    body = await _body_of(spec, Violations(), catalog)  # a cut that leaves nothing is told by `check_new`
    return body.layer_groups if body else None


async def _body_of(spec: LearnerSpec, found: Violations, catalog: Catalog) -> BodyInfo | None:
    try:
        return await catalog.body(spec.architecture, spec.cut)
    except LearnerError as error:
        found.add(f"learner_spec.{error.field}", error.message)
        return None


async def _check_weights(file: Path, spec: LearnerSpec, found: Violations, catalog: Catalog) -> None:
    body = await _body_of(spec, found, catalog)
    try:
        shapes = await asyncio.to_thread(read_shapes, file)
        if body is not None:
            body.tensors.check(file.name, shapes)
    except LearnerError as error:
        found.add("learner_spec.weights.file", error.message)


def _recorded_groups(store: Store, learner_id: str) -> int | None:
    """What the newest job that trained the learner said of its layer groups."""
    jobs, _ = store.list_jobs(Page(limit=_JOBS_LOOKED_AT), JobFilter(learner_id))
    for job in jobs:
        events = store.read_events(job.id, 0) if job.kind is JobKind.TRAIN else []
        groups = next((stored.event.data["groups"] for stored in events if stored.event.kind == "stage"), None)
        if groups:
            return len(groups)
    return None
