"""The process that explains predictions: what is wrong with a question is an answer, and never an exception."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engine_lab import picture

from learnfleet.server.workers.explain_worker import ExplainWorker

GOOD = picture().content


@pytest.fixture
def worker() -> ExplainWorker:
    return ExplainWorker()


def test_a_map_comes_with_its_shape_and_an_overlay(worker: ExplainWorker, exports: dict[str, Path]) -> None:
    found = worker.explain(str(exports["category"]), GOOD, "grad_cam", "bee")
    assert (found.bad_field, found.class_name, len(found.map)) == ("", "bee", 4 * found.shape[0] * found.shape[1])
    assert found.overlay_png.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("image", "method", "class_name", "field", "told"),
    [
        (b"no picture", "grad_cam", None, "image", "is no picture that can be read"),
        (GOOD, "grad_cam", "cow", "class_name", "'cow' is no class of the model; there are ant, bee"),
        (GOOD, "lime", None, "method", "must be one of"),
    ],
)
def test_the_wrong_field_is_named(
    worker: ExplainWorker,
    exports: dict[str, Path],
    image: bytes,
    method: str,
    class_name: str | None,
    field: str,
    told: str,
) -> None:
    found = worker.explain(str(exports["category"]), image, method, class_name)
    assert found.bad_field == field
    assert told in found.why


@pytest.mark.parametrize("method", ["grad_cam", "integrated_gradients", "occlusion"])
def test_a_picture_that_the_model_cannot_compute_is_to_blame(
    worker: ExplainWorker, any_size: Path, method: str
) -> None:
    found = worker.explain(str(any_size), picture(0, (1, 1)).content, method, None)
    assert found.bad_field == "image"
    assert "cannot be computed by this model: " in found.why
    assert not worker.explain(str(any_size), GOOD, "grad_cam", None).bad_field


def test_so_is_a_model_that_cannot_be_loaded(worker: ExplainWorker, tmp_path: Path) -> None:
    found = worker.explain(str(tmp_path / "nothing"), GOOD, "grad_cam", None)
    assert found.bad_field == "model"
    assert "cannot be loaded" in found.why
