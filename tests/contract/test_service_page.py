"""What docs/learner.md says of the remote learner is there."""

from __future__ import annotations

import inspect
import re
from operator import attrgetter

import pytest
from support.checklist import PAGE
from support.remote_methods import OWNERS

from learnfleet.client import Client
from learnfleet.client.learner_options import LearnerOptions


def spelled_calls() -> list[str]:
    """The dotted names in the table's second column."""
    section = PAGE.read_text().partition("## Over the service")[2].partition("\n## ")[0]
    columns = [line.split("|")[2] for line in section.splitlines() if line.startswith("|")]
    return [name for column in columns for name in re.findall(r"`([\w.]+\.\w+)`", column)]


@pytest.mark.parametrize("call", spelled_calls())
def test_a_call_that_the_page_names_is_there(call: str) -> None:
    owner, _, name = call.rpartition(".")
    known = {*dir(OWNERS[owner]), *getattr(OWNERS[owner], "__annotations__", {})}
    assert name in known


@pytest.mark.parametrize("call", ["client.cnn_learner", "client.unet_learner"])
def test_settings_that_the_page_names_are_arguments(call: str) -> None:
    settings = {"precision", "channels_last", "compiled", "clip_grad", "accumulate", "num_workers", "gpus_per_worker"}
    training = inspect.signature(attrgetter(call.partition(".")[2])(Client)).parameters["training"]
    assert training.annotation == "Unpack[LearnerOptions]"
    assert settings <= set(LearnerOptions.__annotations__)
