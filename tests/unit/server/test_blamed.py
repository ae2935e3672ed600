"""Which field of an item is to blame, by what a replica has said of it."""

from __future__ import annotations

import pytest
from google.rpc import code_pb2

from learnfleet.server.errors import Unavailable
from learnfleet.server.inference.ports import Answered, Input, PictureFile, TensorInput
from learnfleet.server.rpc.write_prediction import blamed, error_of, error_to_proto

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


def test_of_one_that_was_lost_with_its_replicas_nobody_knows_whose_fault_it_is() -> None:
    error = error_of(Answered(error="two replicas were lost over it", is_lost=True), FILE)
    assert isinstance(error, Unavailable)
    told = error_to_proto(error)
    assert (told.error.code, told.error.field) == (code_pb2.UNAVAILABLE, "")
