"""Bodies, heads, layer groups and weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from support.memory_data import MemoryData
from torch import nn

from learnfleet.trainer.architectures import available_architectures
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.head import AdaptiveConcatPool2d, create_head
from learnfleet.trainer.layer_groups import split_model
from learnfleet.trainer.models import cnn_learner, create_body
from learnfleet.trainer.spec import WeightsSpec

TIMM_FILE = Path(__file__).parents[4] / "shared" / "weights" / "tf_efficientnet_lite0_in1k_timm.pth"


def test_the_default_head_is_fastais() -> None:
    names = [type(layer).__name__ for layer in create_head(1024, 10)]
    assert names == [
        "AdaptiveConcatPool2d",
        "Flatten",
        *("BatchNorm1d", "Dropout", "Linear", "ReLU"),
        *("BatchNorm1d", "Dropout", "Linear"),
    ]
    assert sum(p.numel() for p in create_head(1024, 10).parameters()) == 533002
    assert [layer.p for layer in create_head(1024, 10) if isinstance(layer, nn.Dropout)] == [0.25, 0.5]


def test_a_head_of_ones_own_widths_dropouts_and_final_batchnorm() -> None:
    head = create_head(1024, 10, lin_ftrs=[256, 128], ps=[0.1, 0.2, 0.3], concat_pool=False, bn_final=True)
    assert isinstance(head[0], nn.AdaptiveAvgPool2d)
    assert [(la.in_features, la.out_features) for la in head if isinstance(la, nn.Linear)] == [
        (1024, 256),
        (256, 128),
        (128, 10),
    ]
    assert isinstance(head[-1], nn.BatchNorm1d)
    assert (head[-1].num_features, head[-1].momentum) == (10, 0.01)
    dropouts = [la.p for la in create_head(8, 2, [4, 4], 0.4) if isinstance(la, nn.Dropout)]
    assert dropouts == [0.2, 0.2, 0.4]


def test_a_zero_dropout_leaves_no_layer_and_a_wrong_count_is_refused() -> None:
    assert not any(isinstance(layer, nn.Dropout) for layer in create_head(8, 2, ps=0.0))
    with pytest.raises(ValueError, match="3 dropouts for 2 linear layers"):
        create_head(8, 2, ps=[0.1, 0.2, 0.3])


def test_the_maxima_come_before_the_averages() -> None:
    x = torch.tensor([[[[0.0, 4.0]]]])
    assert AdaptiveConcatPool2d()(x).flatten().tolist() == [4.0, 2.0]


@pytest.mark.parametrize(
    ("name", "channels", "n_groups"),
    [
        ("resnet18", 512, 3),
        ("squeezenet1_1", 512, 4),
        ("mobilenet_v2", 1280, 3),
        ("shufflenet_v2_x0_5", 1024, 2),
        ("mobilenet_v3_small", 576, 2),
        ("googlenet", 1024, 2),
    ],
)
def test_families_are_cut_and_grouped_by_their_rule(name: str, channels: int, n_groups: int) -> None:
    learner = cnn_learner(MemoryData(), name, pretrained=False, silent=True)
    body = create_body(name)
    assert body.channels == channels
    assert len(learner.layer_groups) == n_groups
    learner.model.eval()
    assert learner.model(torch.zeros(2, 3, 64, 64)).shape == (2, 3)


def test_resnet18s_groups_hold_fastais_numbers_of_parameters() -> None:
    learner = cnn_learner(MemoryData(c=10), "resnet18", pretrained=False, silent=True)
    counts = [sum(item.parameter.numel() for item in group.parameters()) for group in learner.layer_groups]
    assert counts == [683_072, 10_493_440, 533_002]


def test_freezing_keeps_batchnorm_trainable_unless_told_not_to() -> None:
    for train_bn in (True, False):
        learner = cnn_learner(MemoryData(), "resnet18", pretrained=False, silent=True, train_bn=train_bn)
        learner.freeze()
        body = learner.model[0]
        assert body[1].weight.requires_grad is train_bn
        assert not body[0].weight.requires_grad
        assert all(parameter.requires_grad for parameter in learner.model[1].parameters())


@pytest.mark.parametrize(
    ("name", "message"), [("vit_b_16", "no child that pools"), ("mnasnet0_5", "no child that pools")]
)
def test_networks_without_a_pooling_child_need_a_cut(name: str, message: str) -> None:
    with pytest.raises(LearnerError, match=message):
        create_body(name)


def test_a_cut_of_ones_own_is_an_int_or_a_function() -> None:
    assert create_body("resnet18", cut=6).channels == 128
    assert create_body("resnet18", cut=lambda model: nn.Sequential(*list(model.children())[:5])).channels == 64
    with pytest.raises(TypeError, match="int or a function"):
        create_body("resnet18", cut="layer3")  # type: ignore[arg-type]


def test_an_unknown_architecture_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(LearnerError, match=r"no 'resnet81'.*did you mean .*resnet"):
        create_body("resnet81")


def test_a_function_is_an_architecture_too() -> None:
    assert create_body(torchvision.models.resnet18).channels == 512

    def own(pretrained: bool) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2))

    assert create_body(own).channels == 5


def test_available_names_are_torchvisions_and_timms_without_those_that_cannot_be_cut() -> None:
    names = available_architectures()
    assert {"resnet18", "convnext_tiny", "timm/tf_efficientnet_lite0"} <= set(names)
    assert not {"vit_b_16", "fasterrcnn_resnet50_fpn", "deeplabv3_resnet50"} & set(names)


def test_weights_from_a_file_reach_the_body_and_the_classifier_is_dropped(tmp_path: Path) -> None:
    network = torchvision.models.resnet18(num_classes=7)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    body = create_body("resnet18", WeightsSpec("file", str(tmp_path / "weights.safetensors")))
    assert torch.equal(next(body.module.parameters()), network.conv1.weight)
    assert body.has_weights


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    state = torchvision.models.resnet18().state_dict()
    state["conv1.weight"] = torch.zeros(1)
    state["extra"] = state.pop("layer1.0.conv1.weight")
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(LearnerError) as caught:
        create_body("resnet18", WeightsSpec("file", str(tmp_path / "weights.pth")))
    assert "1 missing: layer1.0.conv1.weight" in str(caught.value)
    assert "1 unknown: extra" in str(caught.value)
    assert "conv1.weight is [1] instead of [64, 3, 7, 7]" in str(caught.value)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("/nowhere"),))


def test_a_file_that_is_more_than_tensors_is_refused_without_running_it(tmp_path: Path) -> None:
    torch.save({"x": Bomb()}, tmp_path / "weights.pth")
    with pytest.raises(LearnerError, match="not a file of plain tensors"):
        create_body("resnet18", WeightsSpec("file", str(tmp_path / "weights.pth")))
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(LearnerError, match="not a file of plain tensors"):
        create_body("resnet18", WeightsSpec("file", str(tmp_path / "junk.safetensors")))


@pytest.mark.skipif(not TIMM_FILE.exists(), reason="the shared weights are not beside the project")
def test_timm_weights_bring_the_statistics_they_were_made_with() -> None:
    body = create_body("timm/tf_efficientnet_lite0", WeightsSpec("file", str(TIMM_FILE)))
    assert (body.channels, body.stats.mean, body.stats.std) == (1280, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    first = torch.load(TIMM_FILE, weights_only=True)["conv_stem.weight"]
    assert torch.equal(body.module.conv_stem.weight, first)


def test_a_pretrained_learner_is_frozen_with_a_fresh_head(tmp_path: Path) -> None:
    save_file(torchvision.models.resnet18().state_dict(), tmp_path / "w.safetensors")
    learner = cnn_learner(MemoryData(), "resnet18", pretrained=tmp_path / "w.safetensors", silent=True)
    assert learner.frozen_to == 2
    linear = [layer for layer in learner.model[1] if isinstance(layer, nn.Linear)]
    assert all(layer.bias.abs().sum() == 0 for layer in linear)


def test_split_refuses_a_module_of_another_model() -> None:
    with pytest.raises(ValueError, match="not in the model"):
        split_model(nn.Linear(1, 1), [nn.Linear(1, 1)])


def test_parameters_outside_of_leaf_modules_belong_to_a_group_too() -> None:
    body = create_body("convnext_tiny").module  # its layer scales are parameters of the blocks themselves
    grouped = sum(item.parameter.numel() for group in split_model(body) for item in group.parameters())
    assert grouped == sum(parameter.numel() for parameter in body.parameters())
