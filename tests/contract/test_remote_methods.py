"""Whatever can be called on a learner, its recorder, its data and its interpretations can be called over the service
under the same name, or `support.remote_methods` says under which, or why not.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator

import pytest
from support.remote_methods import COUNTERPARTS, OWNERS, Counterpart

from learnfleet.client.data_options import CommonOptions as RemoteCommonOptions
from learnfleet.client.data_options import LoadingOptions as RemoteLoadingOptions
from learnfleet.client.learner_options import LearnerOptions
from learnfleet.trainer.data_options import CommonOptions, LoadingOptions

# Stand for the keywords that are written `**options` in the trainer, and `**loading` and `**training` in the client.
_OPTIONS = {
    "options": {*LoadingOptions.__annotations__, *CommonOptions.__annotations__},
    "loading": {*RemoteLoadingOptions.__annotations__, *RemoteCommonOptions.__annotations__},
    "training": set(LearnerOptions.__annotations__),
}


def public_names(kind: type) -> set[str]:
    """Also those that a class of the client declares."""
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    is_ours = kind.__module__.startswith("learnfleet.client")
    declared = [name for base in kind.__mro__ for name in vars(base).get("__annotations__", {})] if is_ours else []
    names = (*dir(kind), *declared, *(field.name for field in fields))
    return {name for name in names if not name.startswith("_")}


def arguments(function: object) -> set[str]:
    """Names of what can be given, `**options` as the single ones. None for what is no method."""
    if not callable(function):
        return set()
    names = set(inspect.signature(function).parameters) - {"self"}
    return set().union(*(_OPTIONS.get(name, {name}) for name in names))


def method(kind: type, name: str) -> Callable[..., object] | None:
    found = getattr(kind, name, None)
    return found if callable(found) else None


def local_names(part: Counterpart) -> set[str]:
    return set().union(*(public_names(kind) for kind in part.local))


def compared_arguments(part: Counterpart) -> Iterator[tuple[str, str]]:
    """(method, argument) of the local methods that have a remote one of their name."""
    for kind in part.local:
        for name in public_names(kind) & public_names(part.remote):
            if method(part.remote, name):
                yield from ((name, argument) for argument in arguments(method(kind, name)))


def remote_arguments(part: Counterpart, name: str) -> set[str]:
    taken_elsewhere = part.options_by if name.startswith("from_") else ()
    return set().union(*(arguments(method(part.remote, each)) for each in (name, *taken_elsewhere)))


def wanted(part: Counterpart) -> set[str]:
    """Names, and arguments as `method(argument)`."""
    return local_names(part) | {f"{name}({argument})" for name, argument in compared_arguments(part)}


def offered(part: Counterpart) -> set[str]:
    """Those that the remote class has under the same names."""
    both = {
        f"{name}({argument})" for name, argument in compared_arguments(part) if argument in remote_arguments(part, name)
    }
    return (local_names(part) & public_names(part.remote)) | both


def is_there(spelling: str) -> bool:
    """Whether there is a `learn.fit`, or an argument of it where it is `learn.fit(callbacks)`."""
    call, _, argument = spelling.rstrip(")").partition("(")
    owner, _, name = call.rpartition(".")
    kind = OWNERS[owner]
    return name in public_names(kind) and (not argument or argument in arguments(method(kind, name)))


parts = pytest.mark.parametrize("part", COUNTERPARTS.values(), ids=COUNTERPARTS)


@parts
def test_every_local_name_and_argument_has_a_remote_one_or_a_spelling_or_a_reason(part: Counterpart) -> None:
    assert sorted(wanted(part) - offered(part) - set(part.spellings()) - set(part.reasons())) == []


@parts
def test_nothing_that_is_offered_under_its_own_name_has_a_reason_or_another_spelling(part: Counterpart) -> None:
    assert sorted(offered(part) & {*part.spellings(), *part.reasons()}) == []
    assert sorted(set(part.spellings()) & set(part.reasons())) == []


@parts
def test_the_table_has_only_names_that_are_there_locally(part: Counterpart) -> None:
    assert sorted({*part.spellings(), *part.reasons()} - wanted(part)) == []


@parts
def test_every_spelling_of_the_table_is_there_remotely(part: Counterpart) -> None:
    assert [said for said in part.spellings().values() if not is_there(said)] == []
