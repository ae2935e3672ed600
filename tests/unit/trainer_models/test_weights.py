"""Weights of a body from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from learnfleet.trainer.architecture_info import describe_body
from learnfleet.trainer.architectures import build_network
from learnfleet.trainer.bodies import build_body
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.spec import WeightsSpec
from learnfleet.trainer.tensor_header import read_shapes

TIMM_FILE = Path(__file__).parents[4] / "shared" / "weights" / "tf_efficientnet_lite0_in1k_timm.pth"


def test_weights_from_a_file_reach_the_body_and_the_classifier_is_dropped(tmp_path: Path) -> None:
    network = torchvision.models.resnet18(num_classes=7)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    body = build_body("resnet18", WeightsSpec("file", str(tmp_path / "weights.safetensors")))
    assert torch.equal(next(body.module.parameters()), network.conv1.weight)
    assert body.has_weights


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    state = torchvision.models.resnet18().state_dict()
    state["conv1.weight"] = torch.zeros(1)
    state["extra"] = state.pop("layer1.0.conv1.weight")
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(LearnerError) as caught:
        build_body("resnet18", WeightsSpec("file", str(tmp_path / "weights.pth")))
    assert "1 missing: layer1.0.conv1.weight" in str(caught.value)
    assert "1 unknown: extra" in str(caught.value)
    assert "conv1.weight is [1] instead of [64, 3, 7, 7]" in str(caught.value)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("/nowhere"),))


def test_a_file_that_is_more_than_tensors_is_refused_without_running_it(tmp_path: Path) -> None:
    torch.save({"x": Bomb()}, tmp_path / "weights.pth")
    with pytest.raises(LearnerError, match="not a file of plain tensors"):
        build_body("resnet18", WeightsSpec("file", str(tmp_path / "weights.pth")))
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(LearnerError, match="not a file of plain tensors"):
        build_body("resnet18", WeightsSpec("file", str(tmp_path / "junk.safetensors")))


@pytest.mark.skipif(not TIMM_FILE.exists(), reason="the shared weights are not beside the project")
def test_timm_weights_bring_the_statistics_they_were_made_with() -> None:
    body = build_body("timm/tf_efficientnet_lite0", WeightsSpec("file", str(TIMM_FILE)))
    assert (body.channels, body.stats.mean, body.stats.std) == (1280, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    first = torch.load(TIMM_FILE, weights_only=True)["conv_stem.weight"]
    assert torch.equal(body.module.conv_stem.weight, first)


@pytest.mark.parametrize("architecture", ["resnet18", "squeezenet1_1", "timm/test_vit", "googlenet"])
def test_what_a_file_must_hold_is_known_without_building_the_learner(tmp_path: Path, architecture: str) -> None:
    network = build_network(architecture, pretrained=False)
    save_file(network.module.state_dict(), tmp_path / "weights.safetensors")
    shapes = read_shapes(tmp_path / "weights.safetensors")
    describe_body(architecture).tensors.check("weights.safetensors", shapes)
    other = "resnet18" if architecture != "resnet18" else "resnet34"
    with pytest.raises(LearnerError, match=rf"weights\.path: .*does not fit {other}.*name the architecture"):
        describe_body(other).tensors.check("weights.safetensors", shapes)


def test_a_file_that_ends_before_its_tensors_is_told_from_its_header(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(())}, path)
    assert read_shapes(path) == {"a": (3, 4), "b": ()}
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(LearnerError, match="copy it again"):
        read_shapes(path)


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"\xff" * 64, (4).to_bytes(8, "little") + b"[{}]", b"\x02" + b"\0" * 7]
)
def test_a_file_without_a_header_of_tensors_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(LearnerError, match="not a file of plain tensors"):
        read_shapes(tmp_path / "weights.safetensors")
