"""What is to be examined: a learner, a model version, either on other data than its own."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime

from learnfleet.server import names
from learnfleet.server.domain import Examined, Learner
from learnfleet.server.errors import NotFound
from learnfleet.server.names import ModelRef
from learnfleet.server.rpc.ports import FoundModel, Runtime
from learnfleet.server.rpc.read_component import Names
from learnfleet.server.rpc.read_data import read_data
from learnfleet.server.rpc.read_source import LABEL_KINDS
from learnfleet.server.rpc.source_places import SourcePlaces
from learnfleet.server.rpc.targets import Targets
from learnfleet.server.rpc.tenants import current_tenant
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.store.base import Store
from learnfleet.trainer.data_spec import DataSpec, LabelKind, Normalization
from learnfleet.trainer.export import read_export
from learnfleet.trainer.spec import LearnerSpec
from learnfleet.v1 import learner_pb2

_DATA = "data"
# Where the pictures and labels come from; all else is the model's.
_OF_SOURCE = ("path", "train", "valid", "valid_pct", "split_seed", "source", "test", "table", "masks", "pattern")
_OF_DATA = (*_OF_SOURCE, "items", "dataset", "bad_image", "log")


_COMPARED = (LabelKind.CATEGORY, LabelKind.MULTI_CATEGORY)  # of which an item is right or wrong


@dataclass(frozen=True)
class Subject:
    """A model on data, and the learner whose job it is."""

    learner: Learner
    is_new: bool  # the learner is made for it: a model may outlive the one that it came from
    examined: Examined | None  # None: the learner as it is, on its own data


@dataclass(frozen=True)
class Subjects:
    """Reads and checks subjects."""

    store: Store
    runtime: Runtime
    targets: Targets

    async def of_learner(self, learner_id: str, data: learner_pb2.DataSpec | None, found: Violations) -> Subject | None:
        """The present state of a learner. None where `found` has violations instead. Raises NotFound."""
        learner = await asyncio.to_thread(self.store.get_learner, learner_id)
        if data is None:
            return Subject(learner, False, None)
        given = await self._read(data, learner.spec.data, found)
        if given is None:
            return None
        spec = dataclasses.replace(learner.spec, data=_merged(learner.spec.data, given, learner.classes))
        examined = Examined(names.learner_name(learner_id), "", spec.to_json())
        return Subject(learner, False, examined)

    async def of_model(
        self, model: str, data: learner_pb2.DataSpec | None, found: Violations, field: str = "model"
    ) -> Subject | None:
        """An export: of a version, or made of a learner's present state. As `of_learner`."""
        exported = await self.runtime.find_model(model)
        content = await asyncio.to_thread(read_export, exported.folder)
        source = await asyncio.to_thread(self._source, exported)
        own = _as_exported(content.learner, content.classes, content.eval_transform)
        if data is not None:
            given = await self._read(data, own.data, found)
        else:
            given = source.spec.data if source else None
            told = f"is missing: the learner that {exported.name} came from is gone, and its data with it; say which"
            found.check(given is not None, _DATA, f"{told} (asked for by {field})")
        if given is None:
            return None
        spec = dataclasses.replace(own, data=_merged(own.data, given, content.classes))
        examined = Examined(exported.name, str(exported.folder), spec.to_json())
        if source is not None:
            return Subject(source, False, examined)
        now = datetime.now(UTC)
        host = Learner(names.new_id(), spec, now, now, content.classes, tenant=current_tenant())
        return Subject(host, True, examined)

    async def against(self, model: str, other: Examined, found: Violations) -> Examined | None:
        """A baseline on the data of `other`. None where `found` has violations: both must know the same classes."""
        exported = await self.runtime.find_model(model)
        content = await asyncio.to_thread(read_export, exported.folder)
        data = LearnerSpec.from_json(other.spec).data
        told = f"{other.name} predicts {data.labels.name}, of which none is simply right: interpret each by itself"
        if not found.check(data.labels in _COMPARED, "candidate", told):
            return None
        own = _as_exported(content.learner, content.classes, content.eval_transform)
        alike = own.data.labels is data.labels and content.classes == data.classes
        told = f"{exported.name} has other classes or labels than {other.name}; only models of the same can be compared"
        if not found.check(alike, "baseline", told):
            return None
        spec = dataclasses.replace(own, data=_merged(own.data, data, content.classes))
        return Examined(exported.name, str(exported.folder), spec.to_json())

    def _source(self, exported: FoundModel) -> Learner | None:
        """The learner that a model came from, if it is still there and the caller's."""
        try:
            learner = self.store.get_learner(exported.learner_id) if exported.learner_id else None
        except NotFound:
            return None
        return learner if learner is not None and learner.tenant == current_tenant() else None

    async def _read(self, message: learner_pb2.DataSpec, own: DataSpec, found: Violations) -> DataSpec | None:
        known = await Names.of(self.targets.catalog)
        places = SourcePlaces(self.targets.roots, self.store)
        given_as, message = message, learner_pb2.DataSpec()
        message.CopyFrom(given_as)  # a request stays as it was sent: repeats are told by its content
        if message.labels == learner_pb2.LABEL_KIND_UNSPECIFIED and message.WhichOneof("source") != "masks":
            message.labels = LABEL_KINDS.get(own.labels, learner_pb2.LABEL_KIND_UNSPECIFIED)
        if not message.classes and own.classes:
            message.classes.extend(own.classes)
        before = bool(found)
        given = await asyncio.to_thread(read_data, message, _DATA, found, places, known)
        if given is None or (found and not before):
            return None
        told = f"is {given.labels.name}, but the model was made for {own.labels.name}"
        if not found.check(given.labels is own.labels, f"{_DATA}.labels", told):
            return None
        # Nothing is trained, so that the training part may be smaller than a batch.
        await self.targets.check_data(dataclasses.replace(given, bs=1), _DATA, found)
        return given


def parse_any(name: str, field: str) -> ModelRef | str:
    """A model's reference, or a learner's id. Raises InvalidArgument naming the field."""
    return names.parse_learner(name, field) if name.startswith("learners/") else names.parse_model(name, field)


def _as_exported(spec: LearnerSpec, classes: tuple[str, ...], transform: dict[str, object] | None) -> LearnerSpec:
    """A portable spec that makes the very same input of a picture: what was `auto` depended on weights it has not."""
    data = dataclasses.replace(spec.data, classes=classes)
    if transform is not None:
        mean, std = (tuple(float(value) for value in transform[name]) for name in ("mean", "std"))  # type: ignore[attr-defined]
        is_plain = mean == (0.0, 0.0, 0.0) and std == (1.0, 1.0, 1.0)
        normalization = Normalization("none") if is_plain else Normalization("explicit", mean, std)
        data = dataclasses.replace(data, normalization=normalization)
    return dataclasses.replace(spec, data=data)


def _merged(own: DataSpec, given: DataSpec, classes: tuple[str, ...]) -> DataSpec:
    """Source and parts as given; sizes, normalisation, classes and batches are the model's."""
    changes = {name: getattr(given, name) for name in _OF_DATA}
    return dataclasses.replace(own, **changes, classes=classes or own.classes)
