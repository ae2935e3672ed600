"""Cutting a network into a body."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from learnfleet.trainer.bodies import build_body, cnn_config, create_body, has_pool_type, num_features_model
from learnfleet.trainer.errors import LearnerError


def network(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def test_f025_the_last_child_that_pools_and_all_after_it_are_left_out() -> None:
    def arch(pretrained: bool) -> nn.Module:
        return network(
            nn.Conv2d(3, 4, 3),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3),
            nn.Sequential(nn.Conv2d(6, 7, 1), nn.AdaptiveAvgPool2d(1)),  # holds one
            nn.Flatten(),
            nn.Linear(7, 2),
        )

    assert len(create_body(arch, pretrained=False)) == 3
    assert num_features_model(create_body(arch, pretrained=False)) == 6


def test_f025_what_pools_is_told_by_the_class_name() -> None:
    class StrangePool2d(nn.Module): ...

    assert has_pool_type(nn.Sequential(nn.ReLU(), nn.Sequential(StrangePool2d())))
    assert has_pool_type(nn.AdaptiveMaxPool1d(1))
    assert not has_pool_type(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Linear(1, 1)))


def test_f026_a_cut_of_ones_own_is_an_int_or_a_function() -> None:
    assert build_body("resnet18", cut=6).channels == 128
    assert build_body("resnet18", cut=-3).channels == 256
    assert build_body("resnet18", cut=lambda model: nn.Sequential(*list(model.children())[:5])).channels == 64


@pytest.mark.parametrize("cut", ["layer3", 1.5, True])
def test_f026_a_cut_of_another_type_is_refused(cut: object) -> None:
    with pytest.raises(TypeError, match="int or a function"):
        create_body("squeezenet1_1", pretrained=False, cut=cut)  # type: ignore[arg-type]


def test_f026_a_cut_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(LearnerError, match="is empty"):
        create_body("squeezenet1_1", pretrained=False, cut=0)


def test_f026_the_familys_groups_are_kept_where_an_int_cut_reaches_them() -> None:
    body = build_body("resnet18", cut=7)
    assert body.boundaries(body.module) == [body.module[6]]
    body = build_body("resnet18", cut=5)
    assert body.boundaries(body.module) == []


def test_f027_a_network_without_a_pooling_child_needs_a_cut() -> None:
    with pytest.raises(LearnerError, match=r"no child that pools.*give `cut`"):
        create_body(lambda pretrained: network(nn.Conv2d(3, 4, 3), nn.Flatten()), pretrained=False)


def test_f027_a_network_that_pools_last_in_its_first_child_needs_a_cut() -> None:
    with pytest.raises(LearnerError, match="nothing would be left"):
        create_body(lambda pretrained: network(nn.Sequential(nn.MaxPool2d(2)), nn.Flatten()), pretrained=False)


def test_f027_a_body_that_gives_no_map_is_refused() -> None:
    with pytest.raises(LearnerError, match=r"gives \[1, 12288\], not maps"):
        create_body(lambda pretrained: network(nn.Flatten(), nn.AvgPool2d(1)), pretrained=False)


class Picky(nn.Module):
    """Takes pictures of at least `least` pixels."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self.conv, self.bn, self.least = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), least
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.shape[-1])
        if x.shape[-1] < self.least:
            raise RuntimeError("too small")
        return self.bn(self.conv(x))


def test_f034_channels_are_found_with_growing_pictures_in_eval_mode() -> None:
    body = Picky(200)
    body.train()
    assert num_features_model(body) == 5
    assert body.seen == [64, 128, 224]
    assert body.training
    assert body.bn.num_batches_tracked == 0


def test_f034_a_body_that_no_picture_suits_is_refused_with_its_own_error() -> None:
    with pytest.raises(LearnerError, match="too small"):
        num_features_model(Picky(10_000))


def test_a_config_says_how_a_family_is_cut_and_leaves_cudnn_alone() -> None:
    before = torch.backends.cudnn.benchmark
    config = cnn_config("resnet18")
    assert config["cut"] == -2
    assert torch.backends.cudnn.benchmark is before
