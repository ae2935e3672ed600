"""Which field of an item is to blame, by what a replica has said of it."""

from __future__ import annotations

import pytest

from learnfleet.server.inference.ports import Answered, Input, PictureFile, TensorInput
from learnfleet.server.rpc.write_prediction import blamed

FILE, NUMBERS = PictureFile(b"x"), TensorInput("uint8", (3, 1, 1), b"xyz")


@pytest.mark.parametrize(
    ("error", "asked", "field", "told"),
    [
        ("a broken file", FILE, "image", "is no picture that can be read: a broken file"),
        ("model: cannot compute it", FILE, "image", "cannot compute it"),
        ("model: cannot compute it", NUMBERS, "tensor", "cannot compute it"),
        ("shape: is [3, 1, 1]", NUMBERS, "tensor.shape", "is [3, 1, 1]"),
        ("tta: needs pictures", NUMBERS, "tensor", "cannot be predicted: tta: needs pictures"),
    ],
)
def test_it_is_the_picture_or_the_part_of_the_tensor(error: str, asked: Input, field: str, told: str) -> None:
    assert blamed(Answered(error=error), asked) == (field, told)
