"""A U-Net from a spec, and from its export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from learnfleet.trainer.bodies import create_body
from learnfleet.trainer.build import build_learner
from learnfleet.trainer.data_spec import LabelKind, MaskSpec
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.model_build import build_model
from learnfleet.trainer.predictor import load_predictor
from learnfleet.trainer.spec import Component, DataSpec, HeadSpec, LearnerSpec, ResizeMethod, UnetSpec
from learnfleet.trainer.unet import DynamicUnet


def scenes(folder: Path) -> Path:
    """Pictures of noise, whose masks say where red is strong."""
    random = np.random.default_rng(0)
    for part in ("images", "labels"):
        (folder / part).mkdir()
    for number in range(8):
        pixels = random.integers(0, 255, (24, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        Image.fromarray((pixels[..., 0] > 127).astype(np.uint8)).save(folder / "labels" / f"{number}.png")
    return folder


def test_f036_a_spec_builds_the_same_unet_as_its_arguments(tmp_path: Path) -> None:
    options = UnetSpec(norm_type="weight", blur=True, self_attention=True, y_range=(0.0, 1.0), bottle=True)
    spec = LearnerSpec(DataSpec("/data"), "shufflenet_v2_x0_5", kind="unet", unet=options)
    built = build_model(LearnerSpec.from_json(spec.to_json()), 3)
    body = create_body("shufflenet_v2_x0_5", pretrained=False)
    direct = DynamicUnet(body, 3, True, True, True, (0, 1), True, True, "weight")
    assert {name: value.shape for name, value in built.state_dict().items()} == {
        name: value.shape for name, value in direct.state_dict().items()
    }
    built.load_state_dict(direct.state_dict())


def test_f036_a_unet_is_trained_from_a_spec_and_rebuilt_from_its_export(tmp_path: Path) -> None:
    data = DataSpec(
        str(scenes(tmp_path)),
        source="masks",
        labels=LabelKind.MASK,
        masks=MaskSpec(),
        classes=("weak", "strong"),
        valid_pct=0.25,
        size=(32, 32),
        resize_method=ResizeMethod.SQUISH,
        bs=3,
    )
    loss = Component("cross_entropy", {"axis": 1})
    learner = build_learner(LearnerSpec(data, "shufflenet_v2_x0_5", kind="unet", loss=loss, unet=UnetSpec(bottle=True)))
    assert len(learner.layer_groups) == 3
    learner.fit(1, 1e-3)
    predictor = load_predictor(learner.export(tmp_path / "export"))
    picture = tmp_path / "images" / "0.png"
    found = predictor.logits([picture])
    with torch.no_grad():
        expected = learner.model.eval()(predictor.transform([picture]))
    assert found.shape == (1, 2, 32, 32)
    assert torch.allclose(found, expected, atol=1e-5)


def test_options_of_the_other_kind_are_refused_and_not_ignored() -> None:
    with pytest.raises(LearnerError, match="head: a U-Net has no head"):
        build_model(LearnerSpec(DataSpec("/data"), "resnet18", kind="unet", head=HeadSpec(bn_final=True)), 3)
    with pytest.raises(LearnerError, match="unet: these are options of kind `unet`"):
        build_model(LearnerSpec(DataSpec("/data"), "resnet18", unet=UnetSpec(blur=True)), 3)
