"""Registered components (metrics, losses, callbacks, transforms) as a user names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from learnfleet.v1 import learner_pb2

# A name, or (name, arguments).
Component: TypeAlias = "str | tuple[str, Mapping[str, Any]]"


def component_to_proto(component: Component) -> learner_pb2.Component:
    """A name, or (name, arguments)."""
    name, arguments = (component, {}) if isinstance(component, str) else component
    message = learner_pb2.Component(name=name)
    if arguments:
        message.arguments.update(arguments)
    return message
