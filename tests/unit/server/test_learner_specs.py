"""A learner's options: from the client's words over protobuf to the specification that workers build from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.pictures import a_data_folder

from learnfleet.client.data_specs import ImageDataBunch as RemoteData
from learnfleet.client.specs import LearnerSpec as RemoteSpec
from learnfleet.server.data.roots import DataRoots
from learnfleet.server.rpc.read_component import Names
from learnfleet.server.rpc.read_spec import read_learner_spec
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_spec import learner_spec_to_proto
from learnfleet.trainer.spec import LearnerSpec
from learnfleet.v1 import learner_pb2

OPTIONS: dict[str, dict[str, Any]] = {
    "precision": {"precision": "bf16"},
    "channels_last": {"channels_last": True},
    "compiled": {"compiled": True},
    "clip_grad": {"clip_grad": 0.5},
    "accumulate": {"accumulate": 4},
    "train_bn": {"train_bn": False},
    "cut": {"cut": -3},
    "split": {"split_on": ("1", "2")},
    "seed": {"seed": 7},
}


def specified(root: Path, options: dict[str, Any]) -> LearnerSpec:
    """What the server makes of a client's learner."""
    data = RemoteData.from_folder(str(a_data_folder(root)), size=16, bs=4)
    message = RemoteSpec(data=data, architecture="resnet18", **options).to_proto()
    spec = read(message, root)
    told = learner_spec_to_proto(spec)
    told.ClearField("loss")  # said by name, where the client leaves it to the labels
    assert replace(read(told, root), data=spec.data) == spec
    return spec


def read(message: learner_pb2.LearnerSpec, root: Path) -> LearnerSpec:
    found = Violations()
    names = Names(frozenset({"resnet18"}), {}, {}, {}, {"adam": ()}, {})
    spec = read_learner_spec(message, "learner", found, names, DataRoots([root]))
    found.raise_if_any()
    assert spec is not None
    return spec


@pytest.mark.parametrize("field", sorted(OPTIONS))
def test_f038_f047_an_option_of_the_remote_learner_is_that_of_its_specification(tmp_path: Path, field: str) -> None:
    spec, plain = specified(tmp_path, OPTIONS[field]), specified(tmp_path / "plain", {})
    (wanted,) = OPTIONS[field].values()
    assert getattr(spec, field) == wanted
    assert getattr(plain, field) != wanted
