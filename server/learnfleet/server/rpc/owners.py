"""Whose the things are that a call names: what is another tenant's does not exist for it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from learnfleet.server import names
from learnfleet.server.errors import InvalidArgument, NotFound
from learnfleet.server.inference.ports import Inference
from learnfleet.server.rpc.tenants import current_tenant
from learnfleet.server.store.base import Store
from learnfleet.server.tracking.models import EXPORT_HINT

# An interpretation has the id of its job. Data sets are looked up by their tenant (rpc/datasets.py).
_NAME = re.compile(r"(jobs|learners|interpretations)/([a-z0-9][a-z0-9._-]{0,62})(?:/.*)?", re.DOTALL)
_MODEL = "models/"


@dataclass(frozen=True)
class Owners:
    """Looks at every call before it is carried out, so that no RPC can forget to."""

    store: Store
    inference: Inference

    async def check(self, request: Message) -> None:
        """Raises NotFound for the first thing in the request's own fields that is another tenant's, Unavailable."""
        for field, value in request.ListFields():
            if field.type != FieldDescriptor.TYPE_STRING or not isinstance(value, str):
                continue
            await self.check_name(value)

    async def check_name(self, name: str) -> None:
        """Raises NotFound for a job, learner or model that is another tenant's, Unavailable."""
        if name.startswith(_MODEL):
            await self._check_model(name)
        elif match := _NAME.fullmatch(name):
            await self._check(match[1], match[2])

    async def _check(self, collection: str, resource_id: str) -> None:
        find = self.store.tenant_of_learner if collection == "learners" else self.store.tenant_of_job
        owner = await asyncio.to_thread(find, resource_id)
        if owner not in (None, current_tenant()):  # what is not there at all is told of by the call itself
            raise NotFound(f"{collection}/{resource_id}")  # in the words for one that is not there

    async def _check_model(self, reference: str) -> None:
        """Also one that is nobody's is refused, and in the words for one that does not exist."""
        try:
            model_id = names.parse_model(reference).model
        except InvalidArgument:  # the call itself names the field
            return
        if await self.inference.owner(reference) != current_tenant():
            raise NotFound(names.model_name(model_id), EXPORT_HINT)
