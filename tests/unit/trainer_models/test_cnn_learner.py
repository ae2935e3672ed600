"""cnn_learner with each of its arguments, and what its spec says."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from support.memory_data import MemoryData
from support.pictures import a_data_folder
from torch import Tensor, nn

from learnfleet.trainer import models
from learnfleet.trainer.build import build_learner
from learnfleet.trainer.cnn import cnn_learner, create_cnn, create_cnn_model
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.layer_groups import describe_groups
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import CrossEntropyFlat
from learnfleet.trainer.segmentation import unet_learner
from learnfleet.trainer.spec import DataSpec, LearnerSpec, OptimizerSpec, WeightsSpec

SMALL = "shufflenet_v2_x0_5"


class SpecifiedData(MemoryData):
    """Data that come from a folder, as far as a spec is concerned."""

    spec = DataSpec("/data")


def tiny(pretrained: bool) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def weights_file(folder: Path, network: nn.Module) -> Path:
    path = folder / "weights.safetensors"
    save_file(network.state_dict(), path)
    return path


def test_f023_arguments_have_fastais_names_order_and_defaults() -> None:
    parameters = inspect.signature(cnn_learner).parameters
    assert " ".join(list(parameters)[:11]) == (
        "data base_arch cut pretrained lin_ftrs ps custom_head split_on bn_final init concat_pool"
    )
    defaults = {name: parameters[name].default for name in list(parameters)[2:11]}
    assert defaults == {
        "cut": None,
        "pretrained": True,
        "lin_ftrs": None,
        "ps": 0.5,
        "custom_head": None,
        "split_on": None,
        "bn_final": False,
        "init": nn.init.kaiming_normal_,
        "concat_pool": True,
    }
    of_learner = list(inspect.signature(Learner).parameters)[2:]
    assert [name for name in of_learner if name not in parameters] == ["layer_groups"]


def test_f023_all_arguments_take_part() -> None:
    learner = cnn_learner(
        MemoryData(),
        models.shufflenet_v2_x0_5,
        cut=-2,
        pretrained=False,
        lin_ftrs=[16],
        ps=[0.1, 0.2],
        split_on=lambda m: [m[0][3], m[0][4], m[1]],
        bn_final=True,
        init=nn.init.xavier_uniform_,
        concat_pool=False,
        metrics="accuracy",
        wd=0.1,
        train_bn=False,
        silent=True,
    )
    body, head = learner.model
    assert len(body) == 5  # without conv5
    assert [type(layer).__name__ for layer in head] == [
        *("AdaptiveAvgPool2d", "Flatten"),
        *("BatchNorm1d", "Dropout", "Linear", "ReLU"),
        *("BatchNorm1d", "Dropout", "Linear", "BatchNorm1d"),
    ]
    assert len(learner.layer_groups) == 4
    assert (learner.wd, learner.train_bn, learner.frozen_to) == (0.1, False, 0)


def test_f023_the_old_name_works_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="create_cnn is deprecated: use cnn_learner"):
        learner = create_cnn(MemoryData(), tiny, pretrained=False, silent=True)
    assert isinstance(learner.model, nn.Sequential)


def test_f023_a_pretrained_learner_is_frozen_with_a_fresh_head(tmp_path: Path) -> None:
    network = torchvision.models.shufflenet_v2_x0_5(num_classes=7)
    learner = cnn_learner(MemoryData(), SMALL, pretrained=weights_file(tmp_path, network), silent=True)
    assert learner.frozen_to == 2
    assert torch.equal(learner.model[0][0][0].weight, network.conv1[0].weight)
    linear = [layer for layer in learner.model[1] if isinstance(layer, nn.Linear)]
    assert all(layer.bias.abs().sum() == 0 for layer in linear)
    assert [group["trainable"] == group["parameters"] for group in describe_groups(learner.layer_groups)] == [
        *(False, False),
        True,
    ]


def test_f023_it_leaves_cudnn_as_it_is() -> None:
    before = torch.backends.cudnn.benchmark
    cnn_learner(MemoryData(), tiny, pretrained=False, silent=True)
    assert torch.backends.cudnn.benchmark is before


def test_f028_a_network_of_ones_own_keeps_its_weights_and_is_frozen_when_called_pretrained() -> None:
    network = tiny(True)
    learner = cnn_learner(MemoryData(), network, pretrained=True, silent=True)
    assert learner.model[0][0] is network[0]
    assert (learner.frozen_to, learner.spec) == (1, None)
    learner.fit(1, 0.01)


def test_f030_a_custom_head_is_put_on_the_maps_and_initialised_too() -> None:
    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, maps: Tensor) -> Tensor:
            return self.linear(maps.mean((2, 3)))

    head = Head()
    learner = cnn_learner(
        MemoryData(), tiny, pretrained=False, custom_head=head, init=lambda weight: nn.init.ones_(weight), silent=True
    )
    assert learner.model[1] is head
    assert head.linear.weight.unique().tolist() == [1.0]
    assert head.linear.bias.abs().sum() == 0
    learner.fit(1, 0.01)


def test_f033_init_none_leaves_torchs_own_weights() -> None:
    learner = cnn_learner(MemoryData(), tiny, pretrained=False, init=None, silent=True)
    assert learner.model[1][-1].bias.abs().sum() > 0


def test_f035_split_on_takes_a_list_of_lists() -> None:
    network = tiny(False)
    model = create_cnn_model(network, 3, pretrained=False)
    assert len(model) == 2
    learner = cnn_learner(
        MemoryData(), network, pretrained=False, split_on=lambda m: [[m[0][0]], [m[0][1], m[1]]], silent=True
    )
    assert [len(group.modules) for group in learner.layer_groups] == [1, 5]


def test_a_learner_made_of_names_has_a_spec_that_survives_json() -> None:
    learner = cnn_learner(
        SpecifiedData(),
        models.shufflenet_v2_x0_5,
        cut=-2,
        pretrained=False,
        lin_ftrs=[16],
        ps=0.2,
        split_on=lambda m: [m[0][4], m[1]],
        init=None,
        loss_func=CrossEntropyFlat(axis=1),
        opt_func="sgd",
        wd=0.1,
        silent=True,
    )
    spec = learner.spec
    assert spec is not None
    assert (spec.kind, spec.architecture, spec.cut, spec.split) == ("cnn", SMALL, -2, ("0.4", "1"))
    assert (spec.head.lin_ftrs, spec.head.ps, spec.head.init) == ((16,), (0.2,), None)
    assert (spec.loss.name, spec.loss.arguments) == ("cross_entropy", {"axis": 1})
    assert spec.optimizer == OptimizerSpec("sgd", 0.1)
    assert LearnerSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize("options", [{"cut": lambda m: m[:2]}, {"custom_head": nn.Flatten()}])
def test_a_learner_with_parts_of_its_own_has_no_spec(options: dict[str, object]) -> None:
    arch = models.shufflenet_v2_x0_5 if "cut" not in options else tiny
    learner = cnn_learner(SpecifiedData(), arch, pretrained=False, silent=True, **options)  # type: ignore[arg-type]
    assert learner.spec is None


def test_a_unets_spec_says_all_its_options() -> None:
    learner = unet_learner(
        SpecifiedData(), SMALL, pretrained=False, norm_type="batch", y_range=(0, 2), bottle=True, blur=True, silent=True
    )
    spec = learner.spec
    assert spec is not None
    assert (spec.kind, spec.unet.norm_type, spec.unet.y_range, spec.unet.bottle) == ("unet", "batch", (0.0, 2.0), True)
    assert LearnerSpec.from_json(spec.to_json()) == spec


def test_a_split_of_names_that_the_model_has_not_is_refused(tmp_path: Path) -> None:
    folder = a_data_folder(tmp_path)
    spec = LearnerSpec(DataSpec(str(folder), size=(32, 32), bs=4), SMALL, split=("0.9", "1"))
    with pytest.raises(LearnerError, match=r"split: the model has no module 0\.9"):
        build_learner(spec)


def test_weights_of_a_spec_are_none_unless_asked_for() -> None:
    assert LearnerSpec(DataSpec("/data"), SMALL).weights == WeightsSpec("none")
