"""Registered components (metrics, losses, callbacks, transforms) as a user names them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from learnfleet.client.named import Named, settled
from learnfleet.v1 import learner_pb2

# A name, (name, arguments), a value such as `FBeta(beta=1)`, or what gives one: its class, or a `partial`.
Component: TypeAlias = "str | tuple[str, Mapping[str, Any]] | Named | type[Named] | Callable[..., Named]"
Components: TypeAlias = "Component | Iterable[Component] | None"


class ShowGraph:
    """Asks for a graph of the losses while a fit goes on. A followed job always has one, so this adds nothing."""

    def __init__(self, learn: object = None) -> None:
        """As the trainer's callback."""


def component_to_proto(component: Component) -> learner_pb2.Component:
    """Raises TypeError for what names nothing that is registered."""
    name, arguments = named(component)
    message = learner_pb2.Component(name=name)
    if arguments:
        message.arguments.update(
            {key: list(value) if isinstance(value, tuple) else value for key, value in arguments.items()}
        )
    return message


def named(component: Component) -> tuple[str, Mapping[str, Any]]:
    """Registered name and arguments. Raises TypeError for functions and objects of one's own."""
    if isinstance(component, str):
        return component, {}
    if _is_pair(component):
        name, arguments = component  # type: ignore[misc]
        return name, arguments
    found = settled(component)
    if found is None:
        raise TypeError(
            f"{component!r} cannot be sent: no code travels. Give a name that the server knows, (name, arguments), or"
            " a value such as learnfleet.client.FBeta(beta=1)"
        )
    return found


def as_components(given: Components) -> tuple[Component, ...]:
    """None, one or several, as a tuple."""
    if given is None:
        return ()
    single = isinstance(given, str | Named | ShowGraph) or callable(given) or _is_pair(given)
    several = (given,) if single else tuple(given)  # type: ignore[arg-type]
    return tuple(item for item in several if not _is_graph(item))  # type: ignore[misc]


def _is_graph(given: object) -> bool:
    return isinstance(given, ShowGraph) or (isinstance(given, type) and issubclass(given, ShowGraph))


def _is_pair(given: object) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping)
