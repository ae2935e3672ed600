"""`Learner.save` and `Learner.load`: the path rule, what is in a save, and what is told when it does not fit."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from support.memory_data import MemoryData, a_learner
from support.saved_learners import at, moments, same, trained
from torch import nn

from learnfleet.trainer import checkpoint, learner_state
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.manifest import CorruptCheckpoint

# --- F115


def test_f115_a_save_goes_to_path_and_model_dir_and_its_path_is_given_only_when_asked_for(tmp_path: Path) -> None:
    learner = at(tmp_path, model_dir="kept")
    assert learner.save("stage-1") is None
    assert learner.save("stage-1", return_path=True) == tmp_path / "kept" / "stage-1"
    assert learner.save(Path("runs/7"), return_path=True) == tmp_path / "kept" / "runs" / "7"
    assert learner.save(tmp_path / "else" / "where", return_path=True) == tmp_path / "else" / "where"
    for name in ("stage-1", "runs/7", tmp_path / "else" / "where"):
        assert learner.load(name) is learner


def test_f115_buffers_are_saved_with_the_weights(tmp_path: Path) -> None:
    learner, other = trained(tmp_path), at(tmp_path)
    learner.save("stage-1")
    other.load("stage-1")
    assert same(dict(learner.model.named_buffers()), dict(other.model.named_buffers()))
    assert float(other.model[0][1].num_batches_tracked) == 4


@pytest.mark.parametrize("name", [None, "", ".", "../elsewhere", "a/../../b", 7])
def test_f115_no_name_or_one_that_leads_out_is_a_clear_error(tmp_path: Path, name: Any) -> None:
    learner = at(tmp_path)
    for act in (learner.save, learner.load):
        with pytest.raises(LearnerError, match=r"file: (a name is needed|.* is no place in models)"):
            act(name)


def test_f115_a_save_never_replaces_what_is_no_save(tmp_path: Path) -> None:
    learner = at(tmp_path)
    (tmp_path / "models" / "photos").mkdir(parents=True)
    (tmp_path / "models" / "photos" / "dear.jpg").write_bytes(b"picture")
    (tmp_path / "models" / "notes").write_text("dear")
    for name in ("photos", "notes", tmp_path / "models"):
        with pytest.raises(LearnerError, match="is no save of ours, so it is not replaced"):
            learner.save(name)
    assert (tmp_path / "models" / "photos" / "dear.jpg").read_bytes() == b"picture"


def test_f115_a_place_that_cannot_be_written_is_told_with_the_setting_to_change(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder belongs")
    with pytest.raises(LearnerError, match=r"model_dir: Can't write to .*models.*set `learn.model_dir`"):
        at(tmp_path).save("stage-1")


class WithExtraState(nn.Linear):
    def get_extra_state(self) -> object:
        return {"a": 1}

    def set_extra_state(self, state: object) -> None:
        pass


def test_f115_a_state_that_is_no_tensor_is_refused_instead_of_lost(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Flatten(), WithExtraState(3 * 8 * 8, 3))
    with pytest.raises(LearnerError, match=r"1._extra_state in its state_dict is no tensor"):
        a_learner(MemoryData(path=tmp_path), model).save("stage-1")


# --- F116


def test_f116_a_save_holds_the_optimiser_unless_it_is_not_wanted(tmp_path: Path) -> None:
    learner = trained(tmp_path)
    files = lambda name: {path.name for path in (tmp_path / "models" / name).iterdir()}  # noqa: E731
    learner.save("with")
    learner.save("without", with_opt=False)
    assert files("with") == {"manifest.json", "model.safetensors", "optimizer.safetensors", "state.json"}
    assert files("without") == {"manifest.json", "model.safetensors", "state.json"}
    other = at(tmp_path)
    other.load("with")
    assert same(moments(other), moments(learner))
    assert (other.global_step, other.lifetime_epoch) == (4, 1)


def test_f116_a_fit_after_a_load_goes_on_as_the_fit_that_was_saved_would_have(tmp_path: Path) -> None:
    learner, other = trained(tmp_path), at(tmp_path)
    learner.save("half")
    learner.fit(1, 1e-2)
    other.load("half").fit(1, 1e-2)
    assert same(learner.model.state_dict(), other.model.state_dict())


# --- F117


def renamed(learner: Learner, name: str, change: Any) -> None:
    """Save the learner with other tensors."""
    model = learner.model
    holder = nn.Module()
    holder.state_dict = lambda: change(dict(model.state_dict()))  # type: ignore[method-assign]
    learner.model = holder
    learner.save(name, with_opt=False)
    learner.model = model


def test_f117_strict_tells_the_first_names_that_do_not_fit_and_how_many_there_are(tmp_path: Path) -> None:
    learner = trained(tmp_path)
    renamed(learner, "odd", lambda state: {f"old.{n}" if n.startswith("0.") else n: v for n, v in state.items()})
    with pytest.raises(LearnerError) as caught:
        learner.load("odd")
    assert "7 missing: 0.0.weight, 0.0.bias, 0.1.weight, 0.1.bias, 0.1.running_mean and 2 more." in str(caught.value)
    assert "7 unknown: old.0.0.bias, " in str(caught.value)
    assert "strict=False takes the names that fit" in str(caught.value)


def test_f117_without_strict_the_names_that_fit_are_taken_and_the_others_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    learner, other = trained(tmp_path), at(tmp_path)
    renamed(learner, "odd", lambda state: {n: v for n, v in state.items() if n != "2.3.bias"} | {"x": torch.ones(1)})
    bias = other.model.state_dict()["2.3.bias"].clone()
    other.load("odd", strict=False, with_opt=False)
    assert torch.equal(other.model.state_dict()["2.3.bias"], bias)
    assert torch.equal(other.model.state_dict()["0.0.weight"], learner.model.state_dict()["0.0.weight"])
    assert "1 missing: 2.3.bias. 1 unknown: x." in caplog.text


def test_f117_the_device_is_where_the_file_is_read_to_and_the_model_stays(tmp_path: Path) -> None:
    learner = trained(tmp_path)
    learner.save("stage-1")
    for device in ("cpu", torch.device("cpu")):
        assert next(learner.load("stage-1", device=device).model.parameters()).device.type == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("device", [0, "cuda:1", "nonsense"])
def test_f117_a_device_that_is_not_there_is_a_clear_error(tmp_path: Path, device: int | str) -> None:
    learner = at(tmp_path)
    learner.save("stage-1")
    with pytest.raises(LearnerError, match=r"device: .* is not there"):
        learner.load("stage-1", device=device)


def test_f117_remove_module_takes_the_prefix_off_only_where_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    learner, other = trained(tmp_path), at(tmp_path)
    renamed(learner, "wrapped", lambda state: {f"module.{name}": value for name, value in state.items()})
    learner.save("plain")
    with pytest.raises(LearnerError, match="15 unknown: module"):
        other.load("wrapped")
    assert "remove_module=True takes it off" in caplog.text
    for name in ("wrapped", "plain"):
        other = at(tmp_path)
        other.load(name, remove_module=True)
        assert same(other.model.state_dict(), learner.model.state_dict())


def test_f117_remove_module_takes_the_prefix_off_the_moments_too(tmp_path: Path) -> None:
    learner, other = trained(tmp_path), at(tmp_path)
    found = learner_state.take_snapshot(learner, with_opt=True)
    assert found.optimizer is not None
    moments_of_a_wrapper = {key.replace("/", "/module.", 1): value for key, value in found.optimizer.items()}
    weights = {f"module.{name}": value for name, value in found.model.items()}
    wrapped = checkpoint.Snapshot(weights, moments_of_a_wrapper, found.state, found.callbacks, found.step, found.epoch)
    checkpoint.write(wrapped, tmp_path / "models" / "wrapped", job_id="save", attempt=0)
    other.load("wrapped", remove_module=True, with_opt=True)
    assert same(moments(other), moments(learner))


def test_f117_without_the_optimiser_that_of_the_learner_stays_as_it_is(tmp_path: Path) -> None:
    learner = trained(tmp_path)
    learner.save("early")
    early = moments(learner)
    learner.fit(1, 1e-2)
    late = moments(learner)
    learner.load("early", with_opt=False)
    assert same(moments(learner), late)
    assert not same(late, early)
    learner.load("early")
    assert same(moments(learner), early)


@pytest.mark.parametrize(("with_opt", "is_there"), [(None, False), (True, False), (False, True)])
def test_f117_purge_lets_go_of_the_optimiser_before_reading_where_the_files_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_opt: bool | None, is_there: bool
) -> None:
    learner, inner = trained(tmp_path), checkpoint.load
    learner.save("stage-1")
    seen = []

    def load(folder: Path, device: str) -> checkpoint.Snapshot:
        seen.append(learner.opt is not None)
        return inner(folder, device)

    monkeypatch.setattr(checkpoint, "load", load)
    learner.load("stage-1", with_opt=with_opt, purge=True)
    assert seen == [is_there]
    assert learner.opt is not None


def test_f117_what_was_never_saved_is_told_with_what_there_is(tmp_path: Path) -> None:
    learner = at(tmp_path)
    learner.save("stage-1")
    with pytest.raises(FileNotFoundError, match=r"nothing was saved as 'stage-2': .*; there are stage-1"):
        learner.load("stage-2")


def test_f117_a_wrong_hash_is_told_and_nothing_is_loaded(tmp_path: Path) -> None:
    learner, other = trained(tmp_path), at(tmp_path)
    learner.save("stage-1")
    before = copy.deepcopy(other.model.state_dict())
    file = tmp_path / "models" / "stage-1" / "optimizer.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 4
    file.write_bytes(content)
    with pytest.raises(CorruptCheckpoint, match=r"optimizer.safetensors has SHA-256"):
        other.load("stage-1")
    assert same(before, other.model.state_dict())


def test_f117_a_save_that_was_being_replaced_when_the_process_died_is_still_there(tmp_path: Path) -> None:
    learner, other = trained(tmp_path), at(tmp_path)
    learner.save("stage-1")
    (tmp_path / "models" / "stage-1").rename(tmp_path / "models" / "stage-1.replaced.tmp")
    other.load("stage-1")
    assert same(other.model.state_dict(), learner.model.state_dict())
