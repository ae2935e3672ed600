"""Transforms by name, alone and beside those of `get_transforms`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from learnfleet.trainer import geometry
from learnfleet.trainer import transform_components as tc
from learnfleet.trainer.data_options import Transforms, as_transforms
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.pixels import IMAGENET, NO_STATS, look_up, plain_table
from learnfleet.trainer.spec import Component, TransformSpec
from learnfleet.trainer.transforms import BatchAugment, get_transforms

SIDE = 24
EVERY = [
    *(tc.brightness(), tc.contrast(), tc.cutout((1, 4), (2, 9)), tc.dihedral(), tc.flip_lr(0.5), tc.jitter(0.05)),
    *(tc.perspective_warp(), tc.rand_pad(4)[0], tc.rgb_randomize(), tc.rotate(), tc.skew(), tc.squish((0.7, 1.4))),
    *(tc.symmetric_warp(), tc.tilt(), tc.rand_zoom(), tc.zoom(1.3, 0.2, 0.9)),
]


def pixels(n: int, rows: int = SIDE, columns: int = SIDE) -> Tensor:
    return torch.randint(0, 256, (n, 3, rows, columns), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def spec_of(*components: Component) -> TransformSpec:
    spec = as_transforms((list(components), []))
    assert spec is not None
    return spec


def augmented(x: Tensor, *components: Component, epoch: int = 0, padding: str = "reflection") -> Tensor:
    augment = BatchAugment(spec_of(*components), 1, x.shape[2] / x.shape[3], padding)  # type: ignore[arg-type]
    return augment.apply(x, augment.parameters(epoch, torch.arange(len(x))), NO_STATS)


def plain(x: Tensor) -> Tensor:
    return look_up(x, plain_table(NO_STATS))


def test_f011_seven_transforms_have_fastais_ranges_probabilities_and_places() -> None:
    augment, n = BatchAugment(get_transforms(flip_vert=False), 1), 20_000
    found = augment.parameters(0, torch.arange(n))
    assert 0 <= float(found.crops.min()) < 0.01 < 0.99 < float(found.crops.max()) < 1  # crop_pad, always
    changed = found.brightness != 0.5
    stretched = found.contrast != 1
    assert (float(found.brightness.min()), float(found.brightness.max())) == pytest.approx((0.4, 0.6), abs=1e-3)
    assert (float(found.contrast.min()), float(found.contrast.max())) == pytest.approx((0.8, 1.25), abs=1e-3)
    for share in (changed, stretched):
        assert float(share.double().mean()) == pytest.approx(0.75, abs=0.01)
    assert float((changed & stretched).double().mean()) == pytest.approx(0.75**2, abs=0.01)  # each by itself
    assert float(found.contrast[stretched].log().mean()) == pytest.approx(0, abs=0.005)  # log-uniform


@pytest.mark.parametrize(
    ("left_out", "spec"),
    [
        ("flip", get_transforms(do_flip=False)),
        ("rotate", get_transforms(max_rotate=0)),
        ("zoom", get_transforms(max_zoom=1)),
        ("warp", get_transforms(max_warp=0)),
        ("lighting", get_transforms(max_lighting=0)),
    ],
)
def test_f011_a_maximum_of_nothing_leaves_a_group_out_and_the_others_as_they_were(
    left_out: str, spec: TransformSpec
) -> None:
    whole, part = (BatchAugment(s, 1).parameters(0, torch.arange(200)) for s in (get_transforms(), spec))
    assert whole.matrices is not None
    assert part.matrices is not None
    assert torch.equal(whole.crops, part.crops)
    if left_out == "lighting":
        assert torch.equal(part.matrices, whole.matrices)
        assert bool((part.brightness == 0.5).all() and (part.contrast == 1).all())
    else:
        assert not torch.equal(part.matrices, whole.matrices)
        assert torch.equal(part.brightness, whole.brightness)


def test_f011_flip_comes_last_after_the_warp_after_zoom_and_rotation() -> None:
    """The output's places are flipped, then warped, then zoomed, then turned: fastai's order keys 10, 4, 5, 5."""
    spec = get_transforms(p_affine=1.0)
    whole = BatchAugment(spec, 1).parameters(0, torch.arange(50)).matrices

    def only(**fields: object) -> Tensor:
        nothing = get_transforms(False, max_rotate=0, max_zoom=1, max_lighting=0, max_warp=0, p_affine=1.0)
        found = BatchAugment(dataclasses.replace(nothing, **fields), 1).parameters(0, torch.arange(50)).matrices  # type: ignore[arg-type]
        assert found is not None
        return found

    parts = (only(max_rotate=10.0), only(max_zoom=1.1), only(max_warp=0.2), only(do_flip=True))
    assert whole is not None
    assert torch.allclose(whole, geometry.compose(*parts), atol=1e-12)


def test_f011_what_get_transforms_gives_reads_as_a_pair() -> None:
    train, valid = get_transforms()
    assert train == get_transforms()[0] == get_transforms()
    assert valid is None
    assert (get_transforms()[1], len(get_transforms())) == (None, 2)
    pairs: list[Transforms] = [
        get_transforms(),
        (train, []),
        (train, None),
        ([train], []),
        ([*get_transforms()], []),
        tuple(get_transforms()),  # type: ignore[list-item]
    ]
    assert all(as_transforms(pair) == get_transforms() for pair in pairs)
    assert as_transforms(None) is None
    assert as_transforms(([], [])) is None


def test_f011_further_transforms_come_beside_the_seven_or_alone() -> None:
    assert get_transforms(xtra_tfms=[tc.cutout()]).extra == (tc.cutout(),)
    both = as_transforms(([*get_transforms(), tc.cutout()], []))
    assert both == get_transforms(xtra_tfms=[tc.cutout()])
    alone = spec_of(tc.flip_lr(0.5), *tc.rand_pad(4, 32))
    assert (alone.do_flip, alone.max_rotate, alone.max_warp, alone.max_lighting, alone.max_zoom) == (False, 0, 0, 0, 1)
    assert TransformSpec.from_json(json.loads(json.dumps(alone.to_json()))) == alone


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([get_transforms()], "nor a pair of lists"),
        ((get_transforms(), [tc.cutout()]), "validation pictures have no transforms"),
        (([lambda x: x], []), "cannot be among"),
        (([get_transforms(), get_transforms()], []), "cannot be among"),
        (("cutout", []), "is not a list of transforms"),
        (([Component("blur")], []), r"ds_tfms\[0\]\[0\].name: there is no transform 'blur'; known: brightness"),
        (([Component("cutout", {"size": 3})], []), "no such argument; it has n_holes, length, p"),
        (([tc.cutout(length="long")], []), "is not a number"),  # type: ignore[arg-type]
        (([tc.rotate((20, -20))], []), "low before high"),
        (([tc.flip_lr(p=1.5)], []), r"1.5 is not in \[0, 1\]"),
        (([tc.zoom(scale=float("nan"))], []), "is not a number"),
    ],
)
def test_f011_what_is_no_transform_is_refused_with_what_there_is(given: Transforms, message: str) -> None:
    with pytest.raises(LearnerError, match=message):
        as_transforms(given)


@pytest.mark.parametrize("component", EVERY, ids=[item.name for item in EVERY])
def test_f011_each_transform_is_a_function_of_seed_epoch_and_picture_alone(component: Component) -> None:
    augment = BatchAugment(spec_of(component), 1)
    x, indices = pixels(9), torch.tensor([4, 100, 7, 3, 0, 22, 1, 90, 8])
    together = augment.apply(x, augment.parameters(3, indices), IMAGENET)
    for row in range(9):
        alone = augment.apply(x[row : row + 1], augment.parameters(3, indices[row : row + 1]), IMAGENET)
        assert torch.equal(alone[0], together[row])
    assert not torch.equal(together, look_up(x, plain_table(IMAGENET)))
    if component.name != "zoom":  # the only one without anything to draw
        assert not torch.equal(together, augment.apply(x, augment.parameters(4, indices), IMAGENET))


@pytest.mark.parametrize("component", EVERY, ids=[item.name for item in EVERY])
def test_f011_a_probability_of_0_leaves_every_picture_as_it_is(component: Component) -> None:
    x = pixels(5)
    never = Component(component.name, {**component.arguments, "p": 0.0})
    assert torch.allclose(augmented(x, never), plain(x), atol=1e-4)
    sometimes = Component(component.name, {**component.arguments, "p": 0.5})
    done = (augmented(pixels(400), sometimes) - plain(pixels(400))).abs().flatten(1).max(dim=1).values > 1e-3
    assert 0.4 * (0.5 if component.name == "flip_lr" else 0.85) < float(done.double().mean()) < 0.6


def test_f011_transforms_of_fixed_arguments_do_what_their_formulas_say() -> None:
    x = pixels(3)
    assert torch.allclose(augmented(x, tc.flip_lr()), plain(x).flip(3), atol=1e-4)
    assert torch.allclose(augmented(x, tc.rotate(90.0)), plain(x).rot90(1, (2, 3)), atol=2e-4)
    lit = torch.sigmoid(torch.logit(plain(x).clamp(1e-7, 1 - 1e-7)) + torch.logit(torch.tensor(0.7)))
    assert torch.allclose(augmented(x, tc.brightness(0.7)), lit, atol=1e-4)
    strong = torch.sigmoid(torch.logit(plain(x).clamp(1e-7, 1 - 1e-7)) * 1.5)
    assert torch.allclose(augmented(x, tc.contrast(1.5)), strong, atol=1e-4)
    both = torch.sigmoid(torch.logit(lit.clamp(1e-7, 1 - 1e-7)) * 1.5)
    assert torch.allclose(augmented(x, tc.brightness(0.7), tc.contrast(1.5)), both, atol=1e-3)
    middle = slice(SIDE // 4, SIDE - SIDE // 4)
    near = augmented(x, tc.zoom(2.0))
    assert torch.allclose(near.mean(dim=(2, 3)), plain(x)[:, :, middle, middle].mean(dim=(2, 3)), atol=0.05)


def places(component: Component) -> Tensor:
    """Where the four corners of the output come from, [4, 2]."""
    matrix = BatchAugment(spec_of(component), 1).parameters(0, torch.arange(1)).matrices
    assert matrix is not None
    points = torch.tensor([[-1.0, -1, 1], [1, -1, 1], [-1, 1, 1], [1, 1, 1]], dtype=torch.float64) @ matrix[0].T
    return points[:, :2] / points[:, 2:]


def test_f011_skew_moves_one_coordinate_of_one_corner_and_tilt_lengthens_one_edge() -> None:
    still = torch.tensor([[-1.0, -1], [1, -1], [-1, 1], [1, 1]], dtype=torch.float64)
    moved = {tuple(torch.nonzero((places(tc.skew(k, 0.3)) - still).abs() > 1e-9)[0].tolist()) for k in range(8)}
    assert len(moved) == 8
    for k in range(4):
        change = (places(tc.tilt(k, 0.3)) - still).abs()
        assert sorted(change.flatten().round(decimals=9).tolist()) == [0.0] * 6 + [0.3] * 2
    assert torch.allclose(places(tc.squish(0.5)), still * torch.tensor([0.5, 1.0], dtype=torch.float64))
    assert torch.allclose(places(tc.squish(2.0)), still * torch.tensor([1.0, 0.5], dtype=torch.float64))
    warped = (places(tc.perspective_warp((0.1, 0.2))) - still).flatten()
    assert bool(((warped >= 0.1) & (warped <= 0.2)).all())
    assert len(set(warped.tolist())) == 8


def test_f011_cutout_makes_holes_of_its_length_black() -> None:
    x = torch.full((200, 3, SIDE, SIDE), 255, dtype=torch.uint8)
    holes = augmented(x, tc.cutout(1, 6)) == 0
    assert bool((holes[:, 0] == holes[:, 1]).all())
    sizes = holes[:, 0].flatten(1).sum(dim=1)
    assert int(sizes.max()) == 36
    assert int(sizes.min()) >= 9  # in a corner
    augment = BatchAugment(spec_of(tc.cutout(1, 6)), 1)
    normalised = augment.apply(x[:2], augment.parameters(0, torch.arange(2)), IMAGENET)
    assert float(normalised[:, 0].min()) == pytest.approx(-0.485 / 0.229)


def test_f011_rand_pad_shifts_by_whole_pixels_up_to_the_padding() -> None:
    x = pixels(300)
    padded = torch.nn.functional.pad(plain(x), (3, 3, 3, 3), mode="reflect")
    moved, seen = augmented(x, *tc.rand_pad(3)), set()
    for row in range(300):
        shifts = [
            (down, right)
            for down in range(7)
            for right in range(7)
            if torch.allclose(moved[row], padded[row, :, down : down + SIDE, right : right + SIDE], atol=1e-4)
        ]
        assert len(shifts) == 1
        seen.add(shifts[0])
    assert len(seen) == 49


@pytest.mark.parametrize("component", [tc.rotate(45.0), tc.jitter(0.3), *tc.rand_pad(6)])
def test_f011_beyond_the_edges_is_what_the_padding_mode_says(component: Component) -> None:
    x = torch.full((4, 3, SIDE, SIDE), 200, dtype=torch.uint8)
    values = {mode: augmented(x, component, padding=mode) for mode in ("reflection", "border", "zeros")}
    assert values["reflection"].min() == values["border"].min() == pytest.approx(200 / 255)
    assert float(values["zeros"].min()) == 0.0
    augment = BatchAugment(spec_of(tc.rotate(45.0)), 1, padding="zeros")
    black = augment.apply(x, augment.parameters(0, torch.arange(4)), IMAGENET)
    assert float(black[:, 0].min()) == pytest.approx(-0.485 / 0.229, abs=1e-5)  # black, and not the mean


MASKED: list[Callable[[], Component]] = [tc.rotate, tc.rand_zoom, tc.dihedral, tc.perspective_warp, tc.jitter]


@pytest.mark.parametrize("make", [*MASKED, lambda: tc.rand_pad(5)[0], lambda: tc.flip_lr(0.5)])
def test_f012_a_mask_moves_as_its_picture_does(make: Callable[[], Component]) -> None:
    """Where a picture is its own mask, no pixel of the one may leave the other, but at the borders of areas."""
    areas = torch.zeros(6, 1, SIDE, SIDE, dtype=torch.uint8)
    areas[:, :, 4:15, 6:20] = 1
    areas[:, :, 9:22, 2:10] = 2
    component = make()
    augment = BatchAugment(spec_of(component, tc.brightness(), tc.cutout(p=0.0)), 1)
    parameters = augment.parameters(0, torch.arange(6))
    unlit = dataclasses.replace(parameters, brightness=torch.full((6,), 0.5, dtype=torch.float64))
    seen = augment.apply((areas * 100).expand(6, 3, SIDE, SIDE).contiguous(), unlit, NO_STATS)[:, :1] * 255 / 100
    masks = augment.apply_to_masks(areas, parameters)
    assert (masks.dtype, set(masks.unique().tolist())) == (torch.int64, {0, 1, 2})
    assert float((seen - masks).abs().max()) <= 2.0
    assert float(((seen - masks).abs() < 0.51).double().mean()) > 0.93
