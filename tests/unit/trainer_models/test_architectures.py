"""Networks by name: torchvision's, timm's, pytorchcv's, those of installed packages, and functions of one's own."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
import torch
import torchvision
from torch import nn

from learnfleet.trainer import architectures, models
from learnfleet.trainer.architecture_info import describe_architecture
from learnfleet.trainer.architectures import available_architectures
from learnfleet.trainer.bodies import build_body
from learnfleet.trainer.catalog import available_catalog
from learnfleet.trainer.errors import LearnerError


def own(pretrained: bool) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2))


def test_available_names_are_every_zoos_without_those_that_give_no_map() -> None:
    names = set(available_architectures())
    assert set(torchvision.models.list_models(module=torchvision.models)) <= names
    assert {"timm/tf_efficientnet_lite0", "timm/vit_tiny_patch16_224", "pytorchcv/resnet10"} <= names
    assert not {"fasterrcnn_resnet50_fpn", "deeplabv3_resnet50", "timm/mixer_b16_224"} & names
    assert not {"pytorchcv/jasper5x3", "pytorchcv/unet_cityscapes"} & names


def test_f023_architectures_are_attributes_of_models_as_in_fastai() -> None:
    assert models.resnet34.name == "resnet34"
    assert isinstance(models.squeezenet1_1(pretrained=False), torchvision.models.SqueezeNet)
    assert "resnet50" in dir(models)
    with pytest.raises(AttributeError, match="resnet35"):
        _ = models.resnet35


def test_an_unknown_architecture_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(LearnerError, match=r"no 'resnet81'.*did you mean .*resnet"):
        build_body("resnet81")


def test_a_timm_network_without_a_map_is_refused_before_it_is_built() -> None:
    with pytest.raises(LearnerError, match="gives no feature map"):
        build_body("timm/mixer_b16_224")


def test_a_timm_network_may_be_named_with_its_set_of_weights() -> None:
    assert build_body("timm/resnet10t.c3_in1k").channels == build_body("timm/resnet10t").channels == 512
    with pytest.raises(LearnerError, match=r"there is no 'timm/resnet10t.nobodys'; did you mean .*timm/resnet10t"):
        build_body("timm/resnet10t.nobodys")


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architectures.zoo_pytorchcv, "names", frozenset)
    with pytest.raises(LearnerError, match=r"pip install 'learnfleet\[pytorchcv\]'"):
        build_body("pytorchcv/resnet10")


def test_f028_a_function_is_an_architecture_and_follows_the_default_rule() -> None:
    body = build_body(own)
    assert (body.channels, len(body.module), body.boundaries(body.module)) == (5, 1, [])
    assert build_body(own(False), cut=1).channels == 5  # and so is a network itself
    assert build_body(torchvision.models.resnet18).name == "resnet18"


def test_f028_sets_of_weights_of_timm_are_names_that_a_server_takes() -> None:
    known = available_catalog()["architectures"]
    assert {"timm/resnet18", "timm/resnet18.a1_in1k"} <= set(known)
    assert "timm/vit_base_patch16_224.none" not in known


def test_f028_packages_add_architectures_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("mine", f"{__name__}:own", architectures.ENTRY_POINT_GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: own)
    monkeypatch.setattr(architectures, "_plugins", lambda: {"mine": entry})
    assert "mine" in available_architectures()
    assert build_body("mine").channels == 5


@pytest.mark.parametrize(
    ("name", "channels", "side"),
    [
        ("timm/resnet10t", 512, 32),
        ("timm/tf_efficientnet_lite0", 1280, 32),
        ("timm/test_vit", 64, 160),
        ("timm/swin_tiny_patch4_window7_224", 768, 224),
        ("pytorchcv/resnet10", 512, 32),
        ("pytorchcv/dpn68", 832, 32),
        ("pytorchcv/resnet20_cifar10", 64, 32),
    ],
)
def test_f024_networks_of_other_libraries_give_maps_in_three_groups(name: str, channels: int, side: int) -> None:
    body = build_body(name)
    assert body.channels == channels
    assert len(body.boundaries(body.module)) == 1
    body.module.eval()
    with torch.no_grad():
        maps = body.module(torch.zeros(1, 3, side, side))
    assert maps.shape[1] == channels
    assert maps.shape[2] == maps.shape[3] < side


def test_describing_an_architecture_says_what_it_is_for() -> None:
    info = describe_architecture("resnet18")
    assert info.to_json() == {
        "name": "resnet18",
        "parameters": 11_176_512,
        "channels": 512,
        "layer_groups": 3,
        "unet": True,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    assert not describe_architecture("vit_b_32").unet
    assert describe_architecture("timm/tf_efficientnet_lite0").mean == (0.5, 0.5, 0.5)


def test_weights_that_cannot_be_fetched_are_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    monkeypatch.setenv("TORCH_HOME", "/where/torch/looks")
    with pytest.raises(LearnerError, match=r"weights of resnet18 cannot be had \(no route to host\)") as caught:
        models.create_body("resnet18")
    address = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert f"Put {address} into /where/torch/looks/hub/checkpoints" in caught.value.message
    assert "(pretrained='weights.pth')" in caught.value.message
    assert "(pretrained=False)" in caught.value.message
