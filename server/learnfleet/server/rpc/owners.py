"""Whose the things are that a call names: what is another tenant's does not exist for it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from learnfleet.server.errors import NotFound
from learnfleet.server.rpc.tenants import current_tenant
from learnfleet.server.store.base import Store

# An interpretation has the id of its job. Data sets are looked up by their tenant (rpc/datasets.py).
_NAME = re.compile(r"(jobs|learners|interpretations)/([a-z0-9][a-z0-9._-]{0,62})(?:/.*)?", re.DOTALL)


@dataclass(frozen=True)
class Owners:
    """Looks at every call before it is carried out, so that no RPC can forget to."""

    store: Store

    async def check(self, request: Message) -> None:
        """Raises NotFound for the first job or learner in the request's own fields that is another tenant's."""
        for field, value in request.ListFields():
            if field.type != FieldDescriptor.TYPE_STRING or not isinstance(value, str):
                continue
            await self.check_name(value)

    async def check_name(self, name: str) -> None:
        """Raises NotFound for a job or learner that is another tenant's."""
        if match := _NAME.fullmatch(name):
            await self._check(match[1], match[2], name)

    async def _check(self, collection: str, resource_id: str, name: str) -> None:
        find = self.store.tenant_of_learner if collection == "learners" else self.store.tenant_of_job
        owner = await asyncio.to_thread(find, resource_id)
        if owner not in (None, current_tenant()):  # what is not there at all is told of by the call itself
            raise NotFound(name)
