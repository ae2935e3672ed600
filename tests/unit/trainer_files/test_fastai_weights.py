"""Weight files of fastai v1 and v2, made here by torch.save in their layouts."""

from __future__ import annotations

import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.memory_data import MemoryData
from torch import Tensor, nn
from torchvision.models import alexnet, densenet121, squeezenet1_1

from learnfleet.trainer import cnn_learner, unet_learner
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner


def a_cnn(path: Path, **options: Any) -> Learner:
    return cnn_learner(MemoryData(path=path), "squeezenet1_1", pretrained=False, silent=True, **options)


class ConcatPool(nn.Module):
    """fastai's, maxima first."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.amax((2, 3), keepdim=True), x.mean((2, 3), keepdim=True)], 1)


def fastai_model(body: nn.Module, channels: int, *, bias: bool, nc: int = 3) -> nn.Sequential:
    """What fastai's `create_cnn_model` (v1) and `create_vision_model` (v2: no biases) make, with numbers as trained."""
    head = nn.Sequential(
        ConcatPool(),
        nn.Flatten(),
        nn.BatchNorm1d(2 * channels),
        nn.Dropout(0.25),
        nn.Linear(2 * channels, 512, bias=bias),
        nn.ReLU(inplace=True),
        nn.BatchNorm1d(512),
        nn.Dropout(0.5),
        nn.Linear(512, nc, bias=bias),
    )
    model = nn.Sequential(body, head)
    with torch.no_grad():
        for value in head.state_dict().values():
            if value.is_floating_point():
                value.add_(0.1 * torch.rand_like(value))
    return model.eval()


def squeeze_body() -> nn.Module:
    return nn.Sequential(*list(squeezenet1_1(weights=None).children())[:-1])


def outputs(model: nn.Module) -> Tensor:
    model.eval()
    with torch.no_grad():
        return model(torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def v1() -> nn.Sequential:
    torch.manual_seed(0)
    return fastai_model(squeeze_body(), 512, bias=True)


def v1_optimizer(model: nn.Module) -> dict[str, Any]:
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    state = optimizer.state_dict()
    model.zero_grad()
    return state


@pytest.mark.parametrize("name", ["stage-1", "stage-1.pth"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "torch before 1.6"])
def test_f117_a_v1_file_with_an_optimiser_gives_v1s_outputs_and_leaves_the_optimiser_out(
    tmp_path: Path, v1: nn.Sequential, name: str, zipped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "models").mkdir()
    content = {"model": v1.state_dict(), "opt": v1_optimizer(v1)}
    torch.save(content, tmp_path / "models" / "stage-1.pth", _use_new_zipfile_serialization=zipped)
    learner = a_cnn(tmp_path)
    assert learner.load(name) is learner
    assert torch.allclose(outputs(learner.model), outputs(v1), atol=1e-6)
    assert "the optimiser in stage-1.pth was left out" in caplog.text
    assert learner.opt is None
    with pytest.raises(LearnerError, match="cannot be taken over"):
        learner.load(name, with_opt=True)


def test_f117_a_plain_state_dict_from_anywhere_is_taken_without_a_word(
    tmp_path: Path, v1: nn.Sequential, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save(v1.state_dict(), tmp_path / "w.pth")
    save_file(v1.state_dict(), tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        learner = a_cnn(tmp_path / "elsewhere").load_fastai_weights(tmp_path / name)
        assert torch.allclose(outputs(learner.model), outputs(v1), atol=1e-6)
    assert caplog.text == ""


class L:
    """As fastcore's list: pickled by name, with its items as state."""

    def __init__(self, items: list[object]) -> None:
        self.items = items


def test_f117_a_v2_file_has_no_biases_in_its_head_and_lists_in_its_optimiser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    v2 = fastai_model(squeeze_body(), 512, bias=False)
    module = types.ModuleType("fastcore.foundation")
    module.L = L  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fastcore", types.ModuleType("fastcore"))
        patch.setitem(sys.modules, "fastcore.foundation", module)
        patch.setattr(L, "__module__", "fastcore.foundation")
        hypers = L([{"lr": torch.tensor(1e-3).numpy()[()], "mom": 0.9}])  # a NumPy scalar, as of a schedule
        content = {"model": v2.state_dict(), "opt": {"state": [{"step": 1}], "hypers": hypers}}
        torch.save(content, tmp_path / "v2.pth")
    learner = a_cnn(tmp_path)
    with caplog.at_level("INFO"):
        learner.load(tmp_path / "v2")
    assert torch.allclose(outputs(learner.model), outputs(v2), atol=1e-6)
    assert float(learner.model[1][4].bias.detach().abs().sum()) == 0
    assert "has a head of fastai v2: 2 biases are zero: 1.4.bias, 1.8.bias" in caplog.text
    assert "the optimiser in v2.pth was left out" in caplog.text


def test_f119_a_file_for_other_classes_names_the_shapes(tmp_path: Path) -> None:
    torch.save(fastai_model(squeeze_body(), 512, bias=True, nc=7).state_dict(), tmp_path / "seven.pth")
    for strict in (True, False):
        with pytest.raises(LearnerError, match=r"2 of another shape: 1.8.weight is \[7, 512\] instead of \[3, 512\]"):
            a_cnn(tmp_path).load(tmp_path / "seven", strict=strict)


def test_f117_other_heads_and_bodies_name_what_is_missing(tmp_path: Path, v1: nn.Sequential) -> None:
    torch.save(v1.state_dict(), tmp_path / "w.pth")
    with pytest.raises(LearnerError, match=r"5 missing: 1.9.weight, 1.9.bias, "):
        a_cnn(tmp_path, bn_final=True).load(tmp_path / "w")
    other = cnn_learner(MemoryData(path=tmp_path), "resnet18", pretrained=False, silent=True)
    with pytest.raises(LearnerError, match=r"\d+ missing: 0.0.weight, .* and \d+ more. \d+ unknown: 0.0.0.bias"):
        other.load(tmp_path / "w")


def test_f117_the_prefix_of_a_parallel_wrapper_is_taken_off_where_it_is(tmp_path: Path, v1: nn.Sequential) -> None:
    torch.save({f"module.{name}": value for name, value in v1.state_dict().items()}, tmp_path / "w.pth")
    with pytest.raises(LearnerError, match="unknown: module"):
        a_cnn(tmp_path).load(tmp_path / "w")
    learner = a_cnn(tmp_path).load(tmp_path / "w", remove_module=True)
    assert torch.allclose(outputs(learner.model), outputs(v1), atol=1e-6)


# --- what fastai computes otherwise


def test_f117_a_densenet_of_fastai_has_lost_a_relu_and_is_taken_by_a_body_cut_as_fastais(tmp_path: Path) -> None:
    theirs = fastai_model(nn.Sequential(densenet121(weights=None).features), 1024, bias=True)
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    data = MemoryData(path=tmp_path)
    with pytest.raises(LearnerError, match=r"without its last ReLU, which fastai loses.* with cut=-1"):
        cnn_learner(data, "densenet121", pretrained=False, silent=True).load(tmp_path / "w")
    cut = cnn_learner(data, "densenet121", cut=-1, pretrained=False, silent=True).load(tmp_path / "w")
    assert torch.allclose(outputs(cut.model), outputs(theirs), atol=1e-5)


def test_f117_an_alexnet_of_v2_is_cut_before_its_pooling_and_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = fastai_model(nn.Sequential(alexnet(weights=None).features), 256, bias=False)
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    data = MemoryData(path=tmp_path)
    cnn_learner(data, "alexnet", pretrained=False, silent=True).load(tmp_path / "w")
    assert "make the learner with cut=-2" in caplog.text
    cut = cnn_learner(data, "alexnet", cut=-2, pretrained=False, silent=True).load(tmp_path / "w")
    assert torch.allclose(outputs(cut.model), outputs(theirs), atol=1e-5)


def test_f117_a_timm_body_of_v2_is_taken_by_its_names(tmp_path: Path) -> None:
    learner = cnn_learner(MemoryData(path=tmp_path), "timm/resnet18", pretrained=False, silent=True)
    ours = learner.model.state_dict()
    state = {f"0.model.{name[2:]}" if name.startswith("0.") else name: value for name, value in ours.items()}
    torch.save({name: v for name, v in state.items() if name not in ("1.4.bias", "1.8.bias")}, tmp_path / "w.pth")
    expected = outputs(learner.model)
    other = cnn_learner(MemoryData(path=tmp_path), "timm/resnet18", pretrained=False, silent=True, seed=1)
    assert not torch.allclose(outputs(other.model), expected)
    assert torch.allclose(outputs(other.load(tmp_path / "w").model), expected)


def test_f117_a_unet_of_v1_is_taken_and_one_of_v2_refused(tmp_path: Path) -> None:
    learner = unet_learner(MemoryData(path=tmp_path), "squeezenet1_1", pretrained=False, silent=True)
    torch.save(learner.model.state_dict(), tmp_path / "v1.pth")  # the names are v1's
    torch.save({"layers.11.convpath.0.0.weight": torch.zeros(1)}, tmp_path / "v2.pth")
    other = unet_learner(MemoryData(path=tmp_path), "squeezenet1_1", pretrained=False, silent=True)
    assert torch.equal(outputs(other.load(tmp_path / "v1").model), outputs(learner.model))
    with pytest.raises(LearnerError, match="a fastai v2 U-Net"):
        other.load(tmp_path / "v2")


# --- F121


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "torch before 1.6"])
@pytest.mark.parametrize("where", ["model", "opt", "whole"])
def test_f121_a_malicious_pickle_is_refused_and_nothing_of_it_runs(tmp_path: Path, where: str, zipped: bool) -> None:
    bomb, target = Bomb(tmp_path / "exploded"), tmp_path / "exploded"
    contents: dict[str, object] = {
        "model": {"model": OrderedDict(a=torch.ones(1), b=bomb)},
        "opt": {"model": OrderedDict(a=torch.ones(1)), "opt": bomb},
        "whole": bomb,
    }
    torch.save(contents[where], tmp_path / "evil.pth", _use_new_zipfile_serialization=zipped)
    learner = a_cnn(tmp_path)
    for act in (learner.load, learner.load_fastai_weights):
        with pytest.raises(LearnerError, match=r"file: evil.pth is refused: it holds Python objects \(\S+\)"):
            act(tmp_path / "evil.pth")
    assert not target.exists()
    torch.load(tmp_path / "evil.pth", weights_only=False)  # it would have worked
    assert target.exists()


def test_f121_a_whole_pickled_model_is_refused_with_what_to_save_instead(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(LearnerError, match=r"torch.nn.modules.linear.Linear.*Save the weights alone: torch.save\("):
        a_cnn(tmp_path).load(tmp_path / "model.pth")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x80\x02}q\x00.", b"text\n" * 9])
def test_f121_what_is_no_file_of_tensors_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.pth").write_bytes(content)
    with pytest.raises(LearnerError, match=r"file: odd.pth (is not a file|holds something|is refused)"):
        a_cnn(tmp_path).load(tmp_path / "odd.pth")


def test_f121_stand_ins_for_a_v2_optimiser_are_known_to_this_reader_alone(tmp_path: Path, v1: nn.Sequential) -> None:
    torch.save(v1.state_dict(), tmp_path / "w.pth")
    before = set(torch.serialization.get_safe_globals())
    a_cnn(tmp_path).load(tmp_path / "w.pth")
    assert set(torch.serialization.get_safe_globals()) == before
