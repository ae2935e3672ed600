"""The number of layer groups that is told without torch is the one that the network has."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

from learnfleet.trainer.architecture_info import describe_architecture
from learnfleet.trainer.architectures import available_architectures
from learnfleet.trainer.group_counts import known_group_count
from learnfleet.trainer.spec import DataSpec, LearnerSpec

SMALL = (
    *("resnet18", "resnext50_32x4d", "wide_resnet50_2", "squeezenet1_0", "squeezenet1_1", "densenet121", "vgg11"),
    *("vgg11_bn", "alexnet", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "mnasnet0_5"),
    *("shufflenet_v2_x0_5", "efficientnet_b0", "efficientnet_v2_s", "convnext_tiny", "googlenet", "inception_v3"),
)


@pytest.mark.parametrize("name", SMALL)
def test_the_number_of_layer_groups_of_a_family_is_that_of_its_network(name: str) -> None:
    spec = LearnerSpec(DataSpec("/data"), name)
    assert known_group_count(spec) == describe_architecture(name).layer_groups


def test_of_a_cut_or_split_of_ones_own_and_of_other_libraries_nothing_is_claimed() -> None:
    data = DataSpec("/data")
    assert known_group_count(LearnerSpec(data, "resnet18", cut=5)) is None
    assert known_group_count(LearnerSpec(data, "resnet18", split=("4",))) is None
    others = [name for name in available_architectures() if fnmatch(name, "*/*")]
    assert others
    assert {known_group_count(LearnerSpec(data, name)) for name in others} == {None}
