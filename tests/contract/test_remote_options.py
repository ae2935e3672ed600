"""Whatever the trainer can be told by a name or a field can be told by a client, or `support.remote_options` says why
not: the values go from the client's words over protobuf and the server's reading to the trainer's specifications.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from support.remote_options import (
    NO_NAME_FOR_EXPORTS,
    NO_VALUE_FOR_MESSAGES,
    NO_WAY_FOR_FIELDS,
    REGISTERED_AS,
    unusual_data,
    unusual_learners,
    unusual_stages,
)

import learnfleet.trainer
from learnfleet.client.data_specs import get_transforms
from learnfleet.client.specs import LearnerSpec as RemoteSpec
from learnfleet.server.data.roots import DataRoots
from learnfleet.server.rpc.ports import Argument
from learnfleet.server.rpc.read_component import Names
from learnfleet.server.rpc.read_spec import read_learner_spec
from learnfleet.server.rpc.read_stage import read_stages
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_spec import stage_to_proto
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.callback_registry import available_callbacks
from learnfleet.trainer.losses import available_losses
from learnfleet.trainer.metrics import available_metrics
from learnfleet.trainer.opt_funcs import describe_opt_funcs
from learnfleet.trainer.spec import LearnerSpec, Stage
from learnfleet.trainer.spec_base import Component, Spec
from learnfleet.trainer.transform_components import available_transforms
from learnfleet.v1 import job_pb2, learner_pb2

REGISTRIES: dict[str, dict[str, list[dict[str, Any]]]] = {
    "metrics": available_metrics(),
    "losses": available_losses(),
    "callbacks": available_callbacks(),
    "optimizers": describe_opt_funcs(),
    "transforms": available_transforms(),
}
_EXAMPLES: dict[str, Any] = {
    "int": 3,
    "float": 0.5,
    "bool": True,
    "str": "word",
    "floats": [0.25, 0.75],
    "json": [{"n": 1.0}],
}
_MODULES_OF_COMPONENTS = ("metric", "loss_functions", "opt_funcs", "transform_components", "mixup")


def signatures(kind: str) -> dict[str, tuple[Argument, ...]]:
    return {name: tuple(Argument(**item) for item in items) for name, items in REGISTRIES[kind].items()}


NAMES = Names(frozenset({"resnet18"}), *(signatures(kind) for kind in REGISTRIES))


def example(argument: Argument) -> Any:
    """A value that the argument takes: its default, if that says anything."""
    if argument.default is not None:
        return argument.default
    return argument.choices[0] if argument.choices else _EXAMPLES[argument.type]


def read_learners(messages: Iterable[learner_pb2.LearnerSpec], root: Path) -> list[LearnerSpec | None]:
    found = Violations()
    roots = DataRoots([root])
    read = [read_learner_spec(message, "learner", found, NAMES, roots) for message in messages]
    found.raise_if_any()
    return read


def read_jobs(messages: Sequence[job_pb2.Stage]) -> tuple[Stage, ...]:
    found = Violations()
    read = read_stages(messages, found, NAMES)
    found.raise_if_any()
    return read


def learners_asked_for(root: Path) -> list[LearnerSpec | None]:
    return read_learners([remote.to_proto() for remote in unusual_learners(root)], root)


def stages_asked_for() -> tuple[Stage, ...]:
    return read_jobs([stage.to_proto() for stage in unusual_stages()])


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_registered_name_and_argument_goes_from_the_client_to_the_specification(
    kind: str, tmp_path: Path
) -> None:
    data = unusual_data(tmp_path)[0]
    changed = {}
    for name, arguments in signatures(kind).items():
        given = (name, {argument.name: example(argument) for argument in arguments})
        remote = {
            "metrics": RemoteSpec(data, "resnet18", metrics=(given,)),
            "losses": RemoteSpec(data, "resnet18", loss_func=given),
            "callbacks": RemoteSpec(data, "resnet18", callbacks=(given,)),
            "optimizers": RemoteSpec(data, "resnet18", opt_func=name, opt_arguments=given[1]),
            "transforms": RemoteSpec(dataclasses.replace(data, ds_tfms=get_transforms(xtra_tfms=[given])), "resnet18"),
        }[kind]
        (spec,) = read_learners([remote.to_proto()], tmp_path)
        assert spec is not None
        read = component_of(spec, kind)
        if read != Component(*given):
            changed[name] = read
    assert changed == {}


def component_of(spec: LearnerSpec, kind: str) -> Component | None:
    """The one component of a kind."""
    if kind == "losses":
        return spec.loss
    if kind == "optimizers":
        return Component(spec.optimizer.name, spec.optimizer.arguments)
    if kind == "transforms":
        return spec.data.transforms.extra[0] if spec.data.transforms else None
    return spec.metrics[0] if kind == "metrics" else spec.callbacks[0]


def exported_components() -> set[str]:
    """Callbacks, metrics, losses, optimisers and transforms among the trainer's public names."""
    public = {name: getattr(learnfleet.trainer, name) for name in learnfleet.trainer.__all__}
    return {name for name, value in public.items() if is_component(value)}


def is_component(value: object) -> bool:
    module = getattr(value, "__module__", "").rpartition(".")[2]
    is_callback = inspect.isclass(value) and issubclass(value, Callback)
    return is_callback or module.startswith(_MODULES_OF_COMPONENTS)


def test_everything_that_the_trainer_exports_for_training_has_a_name_or_a_reason() -> None:
    known = {name for registry in REGISTRIES.values() for name in registry}
    named = {name for name in exported_components() if REGISTERED_AS.get(name, name) in known}
    assert_settled(exported_components(), named, NO_NAME_FOR_EXPORTS)


def test_the_table_of_registered_names_has_only_exports_of_another_name() -> None:
    assert set(REGISTERED_AS) <= exported_components()
    assert [name for name, registered in REGISTERED_AS.items() if name == registered] == []


def test_every_field_and_choice_of_a_specification_can_be_asked_for_by_a_client(tmp_path: Path) -> None:
    kinds = {*spec_classes(LearnerSpec), *(kind for stage in typing.get_args(Stage) for kind in spec_classes(stage))}
    wanted = {option for kind in kinds for option in options_of(kind)}
    read = (*learners_asked_for(tmp_path), *stages_asked_for())
    assert_settled(wanted, {option for value in read for option in options_reached(value)}, NO_WAY_FOR_FIELDS)


def test_the_stages_that_the_server_tells_of_are_those_that_were_asked_for() -> None:
    stages = stages_asked_for()
    assert read_jobs([stage_to_proto(stage) for stage in stages]) == stages


def test_every_field_of_the_messages_is_set_by_some_value_of_the_client(tmp_path: Path) -> None:
    messages = [value.to_proto() for value in (*unusual_learners(tmp_path), *unusual_stages())]
    roots = (learner_pb2.LearnerSpec.DESCRIPTOR, job_pb2.Stage.DESCRIPTOR)
    wanted = {name for root in roots for name in fields_of_messages(root)}
    assert_settled(wanted, {name for message in messages for name in fields_set(message)}, NO_VALUE_FOR_MESSAGES)


def assert_settled(wanted: set[str], reached: set[str], reasons: Mapping[str, str]) -> None:
    """Each is reached, or there is a reason; and there is none for what is reached or is not there at all."""
    assert sorted(wanted - reached - set(reasons)) == [], "neither a way nor a reason"
    assert sorted(reached & set(reasons)) == [], "a reason, though there is a way"
    assert sorted(set(reasons) - wanted) == [], "a reason for what there is no longer"


def spec_classes(kind: type[Spec]) -> set[type[Spec]]:
    """A specification and those in its fields."""
    hints = typing.get_type_hints(kind).values()
    inner = {found for hint in hints for found in flat(hint) if isinstance(found, type) and issubclass(found, Spec)}
    return {kind}.union(*(spec_classes(each) for each in inner))


def flat(hint: Any) -> Iterator[Any]:
    """A type and all that it is made of."""
    yield hint
    if typing.get_origin(hint) is not typing.Literal:
        for part in typing.get_args(hint):
            yield from flat(part)


def choices(hint: Any) -> Iterable[object]:
    """The words of a Literal or an enumeration."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    return hint if isinstance(hint, type) and issubclass(hint, StrEnum) else ()


def types_held(hint: Any) -> list[str]:
    """The types that a field may hold, where these are several beside None."""
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else ()
    names = [(typing.get_origin(kind) or kind).__name__ for kind in kinds if kind is not type(None)]
    return names if len(names) > 1 else []


def options_of(kind: type[Spec]) -> Iterator[str]:
    """`Class.field` of every field, `Class.field=value` of every word that it may hold, and `Class.field as type` of
    every type.
    """
    for name, hint in typing.get_type_hints(kind).items():
        yield f"{kind.__name__}.{name}"
        yield from (f"{kind.__name__}.{name} as {held}" for held in types_held(hint))
        yield from (f"{kind.__name__}.{name}={word}" for word in choices(hint))


def options_reached(value: object) -> Iterator[str]:
    """The same of the fields that hold something other than their default, and of the words and types there are."""
    if isinstance(value, tuple):
        for item in value:
            yield from options_reached(item)
    if not isinstance(value, Spec):
        return
    for item in dataclasses.fields(value):  # type: ignore[arg-type]  # all specifications are dataclasses
        held, option = getattr(value, item.name), f"{type(value).__name__}.{item.name}"
        if held != default_of(item):
            yield option
        yield f"{option} as {type(held).__name__}"
        if isinstance(held, str):
            yield f"{option}={held}"
        yield from options_reached(held)


def default_of(item: dataclasses.Field[Any]) -> object:
    if item.default_factory is not dataclasses.MISSING:
        return item.default_factory()
    return item.default  # MISSING, which nothing equals, where it is required


def fields_of_messages(message: Descriptor) -> Iterator[str]:
    """`Message.field` of a message of ours and of those in its fields."""
    for item in message.fields:
        yield f"{message.name}.{item.name}"
        if item.message_type is not None and item.message_type.full_name.startswith("learnfleet."):
            yield from fields_of_messages(item.message_type)


def fields_set(message: Message) -> Iterator[str]:
    for item, value in message.ListFields():
        yield f"{message.DESCRIPTOR.name}.{item.name}"
        if item.message_type is not None and item.message_type.full_name.startswith("learnfleet."):
            for inner in value if item.is_repeated else (value,):
                yield from fields_set(inner)
