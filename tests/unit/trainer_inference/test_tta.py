"""Test-time augmentation: the variants, how they are combined, and the losses that follow."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support.labelled_data import COLOURS, SIZE, body_and_head, category_data, masks_data, pixel_model, quiet
from support.memory_data import a_learner

from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import CrossEntropyFlat
from learnfleet.trainer.spec import Component, TransformSpec
from learnfleet.trainer.transforms import get_transforms
from learnfleet.trainer.tta import NO_TRANSFORMS, VariantAugment, turned_back, variant_augments, variants

STILL = TransformSpec(do_flip=True, max_rotate=0, max_zoom=1.1, max_lighting=0, max_warp=0)


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    """A learner whose training transforms draw at random."""
    data = category_data(tmp_path_factory.mktemp("tta"), tfms=get_transforms(flip_vert=True))
    learner = quiet(data, body_and_head(len(COLOURS)))
    learner.fit(1, 1e-2)
    return learner


def test_f102_there_are_four_corners_each_plain_and_mirrored() -> None:
    found = variants(1.35)
    assert len(found) == len(set(found)) == 8
    assert {(v.row_pct, v.column_pct) for v in found} == {(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)}
    assert sum(v.flip for v in found) == 4
    assert {v.scale for v in found} == {1.35}


def test_f102_a_variant_zooms_in_to_its_corner_and_mirrors_after(learner: Learner) -> None:
    settings = learner.data.augment_settings  # type: ignore[attr-defined]
    still = type(settings)(NO_TRANSFORMS, 0, 1.0, "reflection")
    plain, mirrored = variant_augments(still, 2.0)[:2]
    picture = torch.arange(16, dtype=torch.uint8).repeat(3, 16, 1).unsqueeze(0) * 10  # brighter to the right
    stats = ((0.0,) * 3, (1.0,) * 3)
    seen = [a.apply(picture, a.parameters(0, torch.tensor([0])), stats)[0, 0, 0] * 255 for a in (plain, mirrored)]
    assert seen[0].tolist() == pytest.approx([i * 5 for i in range(16)], abs=1e-2)  # the left half, twice as broad
    assert torch.allclose(seen[1], seen[0].flip(0), atol=1e-3)


def test_f102_crop_flip_symmetries_and_zoom_of_training_are_left_out_and_the_others_are_kept() -> None:
    extra = (Component("dihedral"), Component("rand_resize_crop"), Component("cutout"))
    spec = TransformSpec(do_flip=True, flip_vert=True, max_zoom=2.0, max_rotate=30.0, p_affine=1.0, extra=extra)
    settings = type("S", (), {"spec": spec, "seed": 0, "aspect": 1.0, "padding": "reflection"})
    augment = VariantAugment(settings, variants(1.0)[0], 0)  # type: ignore[arg-type]
    found = augment.parameters(0, torch.arange(20))
    assert torch.equal(found.crops, torch.full((20, 2), 0.5, dtype=torch.float64))
    assert torch.linalg.det(found.matrices[:, :2, :2]).min() > 0  # nothing is mirrored
    assert len({float(matrix[0, 1]) for matrix in found.matrices}) == 20  # each is turned by an angle of its own
    assert augment.window is None
    assert [item.name for item in augment._extra] == ["cutout"]


def test_f102_what_a_variant_draws_depends_on_seed_item_and_variant_alone(learner: Learner) -> None:
    augments = variant_augments(learner.data.augment_settings, 1.35)  # type: ignore[attr-defined]
    all_at_once = augments[2].parameters(0, torch.arange(9))
    alone = augments[2].parameters(0, torch.tensor([5]))
    assert torch.equal(all_at_once.matrices[5], alone.matrices[0])
    assert not torch.equal(augments[3].parameters(0, torch.tensor([5])).contrast, alone.contrast)
    assert torch.equal(learner.TTA()[0], learner.TTA()[0])


def test_f102_tta_is_preds_times_beta_plus_the_mean_times_the_rest(learner: Learner) -> None:
    preds, mean, targets = learner.TTA(beta=None)
    assert torch.equal(preds, learner.get_preds()[0])
    assert targets.tolist() == learner.get_preds()[1].tolist()
    assert not torch.allclose(preds, mean, atol=1e-4)
    assert torch.allclose(learner.TTA()[0], preds * 0.4 + mean * 0.6, atol=1e-6)
    assert torch.allclose(learner.TTA(beta=1.0)[0], preds, atol=1e-6)
    assert torch.allclose(learner.TTA(beta=0.0)[0], mean, atol=1e-6)


def test_f102_losses_of_two_predictions_are_refused_with_what_to_do(learner: Learner) -> None:
    with pytest.raises(LearnerError, match=r"beta=None gives two predictions.*get_preds\(with_loss=True\)"):
        learner.TTA(beta=None, with_loss=True)


def test_f102_the_mean_is_that_of_eight_passes_over_the_variants(learner: Learner) -> None:
    data: Any = learner.data
    augments = variant_augments(dataclasses.replace(data.augment_settings, seed=learner.seed), 1.2)
    passes = [learner.get_preds(dl=data.valid_dl.augmented(augment))[0] for augment in augments]
    assert torch.allclose(learner.TTA(beta=0.0, scale=1.2)[0], torch.stack(passes).mean(dim=0), atol=1e-6)


def test_f102_losses_are_those_of_the_averaged_probabilities_not_of_probabilities_taken_for_raw_outputs(
    learner: Learner,
) -> None:
    probabilities, targets, losses = learner.TTA(with_loss=True)
    assert torch.allclose(losses, F.nll_loss(probabilities.log(), targets, reduction="none"), atol=1e-5)
    fault_of_v1 = F.cross_entropy(probabilities, targets, reduction="none")
    assert not torch.allclose(losses, fault_of_v1, atol=1e-2)


def test_f102_with_an_activation_of_ones_own_the_losses_stay_those_of_the_probabilities(learner: Learner) -> None:
    usual = learner.TTA(with_loss=True)
    found = learner.TTA(activ=lambda output: output * 0 + 7, with_loss=True)
    assert torch.equal(found[0], torch.full((9, 3), 7.0))
    assert torch.allclose(found[2], usual[2], atol=1e-6)


def test_f102_tta_takes_any_dataset_and_train_means_fix(learner: Learner) -> None:
    assert len(learner.TTA(ds_type=DatasetType.Test)[0]) == 4
    assert torch.equal(learner.TTA(ds_type=DatasetType.Train)[0], learner.TTA(ds_type=DatasetType.Fix)[0])


def test_f102_several_labels_and_numbers_are_averaged_too(of_labels: Learner, of_numbers: Learner) -> None:
    probabilities, targets, losses = of_labels.TTA(with_loss=True)
    expected = F.binary_cross_entropy(probabilities, targets, reduction="none").mean(dim=1)
    assert torch.allclose(losses, expected, atol=1e-5)
    values, targets, losses = of_numbers.TTA(with_loss=True)
    assert torch.allclose(losses, (values[:, 0] - targets) ** 2, atol=1e-6)


def test_f102_masks_are_turned_back_before_they_are_averaged(tmp_path: Path) -> None:
    learner = quiet(masks_data(tmp_path, tfms=STILL, size=32), pixel_model(), loss_func=CrossEntropyFlat(axis=1))
    learner.model = torch.nn.Conv2d(3, 3, 1)  # a pixel's class depends on the pixel alone, wherever it lies
    preds, mean, _ = learner.TTA(beta=None)
    assert preds.shape == mean.shape
    inside = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    difference = (preds - mean)[inside].abs()
    untouched = (preds - preds.flip(-1))[inside].abs()
    assert difference.mean() < untouched.mean() / 4
    assert torch.allclose(mean.sum(dim=1), torch.ones(len(mean), 32, 32), atol=1e-4)
    assert learner.TTA(with_loss=True)[2].shape == (4,)
    assert learner.interpret(tta=True).accuracy >= 0  # type: ignore[attr-defined]


def test_f102_turning_back_undoes_a_variant_where_it_shows_the_pixel(learner: Learner) -> None:
    settings = learner.data.augment_settings  # type: ignore[attr-defined]
    still = type(settings)(NO_TRANSFORMS, 0, 1.0, "reflection")
    corners = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    smooth = F.interpolate(corners, size=(SIZE, SIZE), mode="bilinear", align_corners=True)
    for augment in variant_augments(still, 1.35):
        matrices = augment.parameters(0, torch.arange(2)).matrices
        from learnfleet.trainer import geometry

        moved = geometry.resample(smooth, geometry.grid(matrices, SIZE, SIZE, smooth.device))
        back, cover = turned_back(moved, matrices, LabelKind.MASK)
        shown = (cover > 0.999).expand_as(back)
        assert 0.4 < float(shown.float().mean()) < 0.7  # 1 / 1.35 of each side
        assert torch.allclose(back[shown], smooth[shown], atol=0.1)


def test_f102_a_random_window_of_masks_is_refused_by_tta_of_whole_augmentations(tmp_path: Path) -> None:
    tfms = TransformSpec(max_warp=0, extra=(Component("rand_resize_crop"),))
    learner = quiet(masks_data(tmp_path, tfms=tfms), pixel_model(), loss_func=CrossEntropyFlat(axis=1))
    with pytest.raises(LearnerError, match="cannot be turned back"):
        learner.tta(n=1)


def test_fastai_2s_tta_averages_n_passes_of_the_whole_augmentation(learner: Learner) -> None:
    preds = learner.get_preds()[0]
    mean = learner.tta(n=3, beta=0.0)[0]
    assert not torch.allclose(preds, mean, atol=1e-4)
    found, targets = learner.tta(n=3)
    assert torch.allclose(found, preds * 0.25 + mean * 0.75, atol=1e-6)
    assert targets.tolist() == learner.get_preds()[1].tolist()
    greatest = learner.tta(n=3, use_max=True)[0]
    assert (greatest >= torch.maximum(preds, mean) - 1e-6).all()
    with pytest.raises(LearnerError, match="at least 1"):
        learner.tta(n=0)


def test_f102_a_scale_that_does_not_zoom_in_and_data_without_pictures_are_refused(learner: Learner) -> None:
    with pytest.raises(LearnerError, match="at least 1"):
        learner.TTA(scale=0.9)
    with pytest.raises(LearnerError, match="no pictures that could be augmented"):
        a_learner().TTA()
