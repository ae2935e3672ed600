"""What is added to an export where torch is: an example with its answer, and the model as ONNX."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from learnfleet.trainer import manifest
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.export import ANSWER_FILE, EXAMPLE_FILE, ONNX_FILE, link
from learnfleet.trainer.mlflow_loader import PyfuncModel
from learnfleet.trainer.model_card import CARD_FILE, README_FILE, OnnxFacts, card_files, read_card
from learnfleet.trainer.onnx_export import write_onnx
from learnfleet.trainer.predictor import load_predictor

_MADE_HERE = {EXAMPLE_FILE, ANSWER_FILE, ONNX_FILE, CARD_FILE, README_FILE, manifest.MANIFEST_FILE}
_ROWS, _COLUMNS = 120, 160

_log = logging.getLogger(__name__)


def complete(folder: Path, *, onnx: bool = True, why_not: str = "") -> OnnxFacts | None:
    """Add them to an export, all or none; its card then says what became of ONNX. Safe to repeat.

    The model is loaded and asked as anybody would, so that an export which does not answer is never published. One
    that cannot be had as ONNX is an export all the same.

    Args:
        why_not: for the card, where ONNX is left out although it was wanted.

    Raises CorruptCheckpoint or LearnerError for what is no export.
    """
    before, temporary = manifest.read_manifest(folder), manifest.temporary_for(folder)
    try:
        for path in folder.iterdir():
            if path.name not in _MADE_HERE:
                link(path, temporary / path.name)
        made = _example(folder)
        facts = write_onnx(folder, temporary) if onnx else OnnxFacts(reason=why_not) if why_not else None
        made |= card_files(dataclasses.replace(read_card(folder), onnx=facts))
        for name, content in made.items():
            manifest.write_synced(temporary / name, content)
        manifest.write_manifest(
            temporary, job_id=before.job_id, attempt=before.attempt, step=before.step, epoch=before.epoch
        )
        manifest.publish(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return facts


def _example(folder: Path) -> dict[str, bytes]:
    """A picture, and what the model says of it: whoever has the folder can see that theirs says the same."""
    picture = example_picture()
    predictor = load_predictor(folder)
    try:
        answer = PyfuncModel(predictor).predict([picture])[0]
    except LearnerError as error:
        _log.warning("the export has no example: %s", error)
        return {}
    return {EXAMPLE_FILE: picture, ANSWER_FILE: json.dumps(answer, indent=1).encode()}


def example_picture() -> bytes:
    """A PNG of a disc on a colour gradient. It is drawn: one of the data would be somebody's."""
    rows, columns = np.mgrid[0:_ROWS, 0:_COLUMNS]
    pixels = np.empty((_ROWS, _COLUMNS, 3), np.uint8)
    pixels[..., 0] = 255 * columns // _COLUMNS
    pixels[..., 1] = 255 * rows // _ROWS
    pixels[..., 2] = 128
    pixels[(rows - _ROWS // 2) ** 2 + (columns - _COLUMNS // 2) ** 2 < (_ROWS // 4) ** 2] = (230, 190, 40)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
