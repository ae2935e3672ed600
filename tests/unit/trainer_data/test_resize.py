from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from support.pictures import encoded, picture

from learnfleet.trainer.resize import Resize
from learnfleet.trainer.spec import ResizeMethod


def prepared(width: int, height: int, method: ResizeMethod, rows: int = 32, columns: int = 32) -> torch.Tensor:
    return Resize(rows, columns, method).prepare(encoded(picture(0, width, height)))


def test_crop_scales_the_short_side_and_keeps_the_rest_for_the_crop() -> None:
    assert tuple(prepared(120, 60, ResizeMethod.CROP).shape) == (3, 32, 64)
    assert tuple(prepared(60, 120, ResizeMethod.CROP, 32, 16).shape) == (3, 32, 16)


def test_squish_and_pad_give_the_size_itself() -> None:
    for method in (ResizeMethod.SQUISH, ResizeMethod.PAD):
        assert tuple(prepared(120, 60, method, 20, 40).shape) == (3, 20, 40)


def test_pad_reflects_and_keeps_the_aspect() -> None:
    padded = prepared(64, 32, ResizeMethod.PAD)
    assert torch.equal(padded[:, 7], padded[:, 9])
    assert torch.equal(padded[:, 24], padded[:, 22])
    whole = np.asarray(picture(0, 64, 32).resize((32, 16), Image.Resampling.BILINEAR))
    assert np.array_equal(padded[:, 8:24].permute(1, 2, 0).numpy(), whole)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 4000), (6000, 40)])
@pytest.mark.parametrize("method", [ResizeMethod.CROP, ResizeMethod.PAD, ResizeMethod.SQUISH])
def test_extreme_shapes_neither_fail_nor_grow_without_bound(width: int, height: int, method: ResizeMethod) -> None:
    resize = Resize(224, 224, method)
    found = resize.prepare(encoded(Image.new("RGB", (width, height))))
    assert found.nbytes <= 8 * 224 * 224 * 3
    assert tuple(resize.crop(found, 0.99, 0.99).shape) == (3, 224, 224)


def test_f009_crop_positions_are_fastais_by_rows_and_by_columns() -> None:
    resize, wide = Resize(4, 4), torch.arange(9, dtype=torch.uint8).expand(3, 4, 9)
    shares = (0.0, 0.3, 0.5, 0.999)
    expected = [int((9 - 4 + 1) * share) for share in shares]
    assert expected == [0, 1, 3, 5]
    assert [int(resize.crop(wide, 0.5, share)[0, 0, 0]) for share in shares] == expected
    assert [int(resize.crop(wide.mT, share, 0.5)[0, 0, 0]) for share in shares] == expected


def test_a_jpeg_decoded_at_a_reduced_scale_looks_like_one_that_was_not() -> None:
    image = picture(0, 640, 480)
    reduced = Resize(64, 64).prepare(encoded(image, "JPEG", quality=95)).float()
    full = Resize(64, 64).prepare(encoded(image)).float()
    assert (reduced - full).abs().mean() < 1.5
