"""Exports that earlier versions have written: they are read for ever. Tiny, so that tests may use them as models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "golden" / "exports"
FORMATS = (1, 2)
NEWEST = FORMATS[-1]


def golden_export(format_version: int = NEWEST) -> Path:
    return FOLDER / f"format_{format_version}"


def golden_picture(format_version: int = NEWEST) -> bytes:
    """A picture, and..."""
    return golden_export(format_version).with_suffix(".png").read_bytes()


def golden_answer(format_version: int = NEWEST) -> dict[str, Any]:
    """... what the learner that was exported said of it: class and probabilities."""
    found: dict[str, Any] = json.loads(golden_export(format_version).with_suffix(".json").read_text())
    return found


def copy_of_golden(target: Path, format_version: int = NEWEST) -> Path:
    """One that a test may change."""
    shutil.copytree(golden_export(format_version), target)
    return target
