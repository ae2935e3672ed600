from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from learnfleet.trainer import geometry
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.pixels import IMAGENET, NO_STATS, lit_table, look_up, plain_table
from learnfleet.trainer.spec import TransformSpec
from learnfleet.trainer.transforms import BatchAugment, get_transforms

N = 4000
NOTHING = get_transforms(False, False, 0.0, 1.0, 0.0, 0.0)


def only(**fields: object) -> TransformSpec:
    """Transforms that do nothing but what is named."""
    return dataclasses.replace(NOTHING, **fields)  # type: ignore[arg-type]


def numbers(n: int) -> Tensor:
    return torch.arange(n, dtype=torch.int64)


def matrices(spec: TransformSpec, n: int = N) -> Tensor:
    found = BatchAugment(spec, seed=1).parameters(0, numbers(n)).matrices
    assert found is not None
    return found


def pixels(n: int, rows: int = 12, columns: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, rows, columns), dtype=torch.uint8, generator=generator)


def moved(x: Tensor, matrix: Tensor) -> Tensor:
    return geometry.resample(x, geometry.grid(matrix.expand(len(x), 3, 3), *x.shape[-2:], x.device))


def places(matrix: Tensor, corners: list[tuple[float, float]]) -> Tensor:
    """Where in the input the output's places come from."""
    points = torch.tensor([(x, y, 1.0) for x, y in corners], dtype=torch.float64)
    mapped = points @ matrix.T
    return mapped[:, :2] / mapped[:, 2:]


CORNERS = [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)]


def test_defaults_are_fastais() -> None:
    assert get_transforms() == TransformSpec(True, False, 10.0, 1.1, 0.2, 0.2, 0.75, 0.75)


def test_a_pictures_augmentation_does_not_depend_on_its_company() -> None:
    augment = BatchAugment(get_transforms(flip_vert=True), seed=1)
    x, indices = pixels(9, 17, 13), torch.tensor([4, 100, 7, 3, 0, 22, 1, 90, 8])
    together = augment.apply(x, augment.parameters(3, indices), IMAGENET)
    for row in range(9):
        alone = augment.apply(x[row : row + 1], augment.parameters(3, indices[row : row + 1]), IMAGENET)
        assert torch.equal(alone[0], together[row])


def test_epochs_and_seeds_augment_differently() -> None:
    first = BatchAugment(get_transforms(), seed=1).parameters(0, numbers(50))
    for other in (
        BatchAugment(get_transforms(), seed=1).parameters(1, numbers(50)),
        BatchAugment(get_transforms(), seed=2).parameters(0, numbers(50)),
    ):
        assert not torch.equal(first.crops, other.crops)
        assert not torch.equal(first.brightness, other.brightness)


def test_with_all_maxima_zero_only_the_crop_is_left() -> None:
    augment = BatchAugment(NOTHING, seed=1)
    parameters = augment.parameters(0, numbers(6))
    assert parameters.matrices is None
    assert torch.equal(augment.apply(pixels(6), parameters, IMAGENET), look_up(pixels(6), plain_table(IMAGENET)))


def test_half_of_the_pictures_are_mirrored() -> None:
    flipped = matrices(only(do_flip=True))[:, 0, 0] == -1
    assert 0.46 < flipped.double().mean() < 0.54


def test_a_mirrored_picture_is_the_mirrored_picture() -> None:
    x = pixels(2).float()
    assert torch.allclose(moved(x, geometry.dihedral(torch.tensor([1]))), x.flip(3), atol=1e-2)


def test_flip_vert_draws_all_eight_symmetries_evenly_and_they_differ() -> None:
    x = pixels(1).float()
    shown = {k: moved(x, geometry.dihedral(torch.tensor([k]))).round().to(torch.int64).flatten() for k in range(8)}
    assert len({tuple(value.tolist()) for value in shown.values()}) == 8
    _, counts = torch.unique(matrices(only(do_flip=True, flip_vert=True)).flatten(1), dim=0, return_counts=True)
    assert len(counts) == 8
    assert (counts - N / 8).abs().max() < 100


def test_rotation_stays_in_its_range_and_happens_three_times_in_four() -> None:
    degrees = torch.rad2deg(torch.asin(matrices(only(max_rotate=10.0))[:, 1, 0]))
    assert degrees.abs().max() <= 10
    assert degrees.abs().max() > 9.9
    assert abs(degrees.mean()) < 0.4
    assert 0.72 < (degrees != 0).double().mean() < 0.78


@pytest.mark.parametrize(("down", "right"), [(0, 3), (3, 0)])
def test_a_quarter_turn_of_an_oblong_picture_keeps_pixels_square(down: int, right: int) -> None:
    rows, columns = 9, 17
    middle_row, middle_column = rows // 2, columns // 2
    x = torch.zeros(1, 1, rows, columns)
    x[0, 0, middle_row + down, middle_column + right] = 1.0
    turned = moved(x, geometry.rotation(torch.tensor([90.0], dtype=torch.float64), (rows - 1) / (columns - 1)))[0, 0]
    either_way = [
        turned[middle_row + right, middle_column - down],
        turned[middle_row - right, middle_column + down],
    ]
    assert sorted(float(value) for value in either_way) == pytest.approx([0, 1], abs=1e-4)


def test_zoom_only_enlarges_and_stays_inside_the_picture() -> None:
    found = matrices(only(max_zoom=1.1))
    scale = 1 / found[:, 0, 0]
    assert scale.min() >= 1
    assert 1.099 < scale.max() <= 1.1
    shown = torch.stack([places(matrix, CORNERS) for matrix in found[:200]])
    assert shown.abs().max() <= 1 + 1e-9


def test_warp_lengthens_each_edge_evenly_by_at_most_its_share() -> None:
    magnitude = torch.tensor([[0.1, -0.05, 0.2, -0.15]], dtype=torch.float64)  # right, left, bottom, top
    got = places(geometry.symmetric_warp(magnitude)[0], CORNERS)
    wanted = [(-0.85, -0.95), (0.85, -1.1), (-1.2, 0.95), (1.2, 1.1)]
    assert torch.allclose(got, torch.tensor(wanted, dtype=torch.float64))
    drawn = torch.stack([places(matrix, CORNERS) for matrix in matrices(only(max_warp=0.2), 300)])
    assert 1.15 < drawn.abs().max() <= 1.2 + 1e-9


def test_lighting_is_done_on_the_logit() -> None:
    value, brightness, contrast = 51, 0.6, 1.25
    table = lit_table(NO_STATS, torch.tensor([brightness]).double(), torch.tensor([contrast]).double())
    logit = math.log(0.2 / 0.8) + math.log(0.6 / 0.4)
    assert table[0, 0, value].item() == pytest.approx(1 / (1 + math.exp(-logit * contrast)), abs=1e-6)


def test_lighting_ranges_and_probabilities_are_fastais() -> None:
    parameters = BatchAugment(only(max_lighting=0.2), seed=1).parameters(0, numbers(N))
    brightness, contrast = parameters.brightness, parameters.contrast
    assert 0.4 <= brightness.min() < 0.401
    assert 0.599 < brightness.max() <= 0.6
    assert 0.8 <= contrast.min() < 0.801
    assert 1.249 < contrast.max() <= 1.25
    assert abs(contrast.log().mean()) < 0.01
    assert 0.72 < (brightness != 0.5).double().mean() < 0.78
    assert 0.72 < (contrast != 1).double().mean() < 0.78


def test_the_identity_resamples_to_the_same_picture() -> None:
    x = pixels(2).float()
    assert torch.allclose(moved(x, geometry.identity(1)), x, atol=1e-3)


def test_normalisation_by_table_is_the_formula() -> None:
    x = pixels(2)
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in IMAGENET)
    assert torch.allclose(look_up(x, plain_table(IMAGENET)), (x.float() / 255 - mean) / std, atol=1e-6)


@pytest.mark.parametrize("field", ["max_lighting", "max_warp", "p_affine", "p_lighting"])
def test_shares_out_of_range_are_named(field: str) -> None:
    with pytest.raises(LearnerError, match=f"data.transforms.{field}: 1.5 is not"):
        BatchAugment(only(**{field: 1.5}), seed=0)


@pytest.mark.parametrize("maximum", [{"max_rotate": 10.0}, {"max_zoom": 1.1}, {"max_warp": 0.2}])
@pytest.mark.parametrize("p_affine", [0.75, 0.3])
def test_f011_rotation_zoom_and_warp_happen_as_often_as_asked(maximum: dict[str, float], p_affine: float) -> None:
    found = matrices(only(p_affine=p_affine, **maximum), 20_000)
    moves = (found - torch.eye(3, dtype=torch.float64)).abs().amax((1, 2)) > 1e-12
    assert float(moves.double().mean()) == pytest.approx(p_affine, abs=0.012)


def test_f011_zooms_of_every_scale_in_their_range_are_equally_likely() -> None:
    scale = 1 / matrices(only(max_zoom=1.5, p_affine=1.0), 20_000)[:, 0, 0]
    assert (torch.histc(scale, 5, 1.0, 1.5) / 20_000).tolist() == pytest.approx([0.2] * 5, abs=0.01)
