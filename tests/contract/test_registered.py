"""What the client knows of the trainer's registries is what they hold, and reads like the trainer's own signatures."""

from __future__ import annotations

import importlib.util
import inspect
import re
import types
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from support.remote_names import NO_REMOTE_NAME

import learnfleet.client
import learnfleet.trainer
from learnfleet.client.data_options import cifar_stats, imagenet_stats, mnist_stats
from learnfleet.client.dataset_types import DatasetType
from learnfleet.client.named import Entry, entries
from learnfleet.client.refused import REFUSED
from learnfleet.client.transform_specs import get_transforms

GENERATOR = Path(__file__).resolve().parents[2] / "client" / "generate.py"
_MADE_VALUES = "optimizers"  # are values in the trainer, too
_WRITES_ITS_FOLDER = "LearnerTensorboardWriter"  # the workers know where, so the registry leaves the folder out


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_registered", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_clients_table_is_what_the_trainers_registries_hold() -> None:
    assert generator().TABLE.read_text(encoding="utf-8") == generator().text(), "run python client/generate.py"


CALLED = [entry for entry in entries().values() if entry.kind != _MADE_VALUES and entry.name != _WRITES_ITS_FOLDER]


@pytest.mark.parametrize("entry", CALLED, ids=[entry.name for entry in CALLED])
def test_arguments_come_in_the_trainers_order_and_with_its_defaults(entry: Entry) -> None:
    local = getattr(learnfleet.trainer, entry.name)
    parameters = inspect.signature(local).parameters
    ours = [item["name"] for item in entry.arguments]
    assert [name for name in parameters if name in ours] == ours or entry.kind == "metrics"
    for item in entry.arguments:
        theirs = parameters[item["name"]].default if item["name"] in parameters else inspect.Parameter.empty
        if theirs is not inspect.Parameter.empty:
            assert item["default"] == (list(theirs) if isinstance(theirs, tuple) else theirs), item["name"]


def test_every_public_name_of_the_trainer_is_there_for_a_client_or_there_is_a_reason() -> None:
    missing = set(learnfleet.trainer.__all__) - (set(learnfleet.client.__all__) - set(REFUSED))
    assert sorted(missing - set(NO_REMOTE_NAME)) == [], "neither a name nor a reason"
    assert sorted(set(NO_REMOTE_NAME) - missing) == [], "a reason for what is there, or is no name of the trainer"


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_the_service_cannot_have_says_so_in_whatever_way_it_is_used(name: str) -> None:
    assert name in learnfleet.trainer.__all__
    stands_for = getattr(learnfleet.client, name)
    uses = [
        lambda: stands_for(1, metrics=None),
        lambda: stands_for.from_folder("pictures"),
        lambda: type.__call__(type, "Own", types.resolve_bases((stands_for,)), {}),
    ]
    for use in uses:
        with pytest.raises(TypeError, match=f"^{name}: .*{re.escape('`from learnfleet.trainer import *` has it')}"):
            use()


def test_every_public_name_of_the_client_is_there() -> None:
    assert [name for name in learnfleet.client.__all__ if getattr(learnfleet.client, name, None) is None] == []


def test_named_numbers_and_defaults_are_the_trainers() -> None:
    trainer = learnfleet.trainer
    assert (imagenet_stats, cifar_stats, mnist_stats) == (
        trainer.imagenet_stats,
        trainer.cifar_stats,
        trainer.mnist_stats,
    )
    theirs = inspect.signature(trainer.get_transforms).parameters
    ours = inspect.signature(get_transforms).parameters
    assert [(name, item.default) for name, item in ours.items()] == [(n, item.default) for n, item in theirs.items()]
    assert {item.name: item.value for item in DatasetType} == {
        item.name: item.value for item in trainer.DatasetType if item.name in DatasetType.__members__
    }
