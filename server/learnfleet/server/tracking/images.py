"""Pictures of a run: as files by their names, and where MLflow's image grid looks for them."""

from __future__ import annotations

import logging
import re
import tempfile
import uuid
from functools import partial
from pathlib import Path

from learnfleet.server.tracking.sending import RunWriter

PICTURES = "pictures"
_GRID, _GRID_SIZE = "images", (256, 256)
_GRID_TAG = "mlflow.loggedImages"
_UNKNOWN_HERE = re.compile(r"[^a-zA-Z0-9_.\- ]")

_log = logging.getLogger(__name__)


def send_picture(writer: RunWriter, path: Path, step: int, time_ms: int) -> None:
    """Safe to repeat: a picture of the same name, step and time has the same file names."""
    what = f"picture {path.name}"
    writer.attempt(what, partial(writer.client.log_artifact, writer.run_id, str(path), PICTURES))
    if path.suffix == ".png":
        with tempfile.TemporaryDirectory() as folder:
            if _draw_for_grid(path, Path(folder), step, time_ms):
                writer.attempt(what, partial(writer.client.log_artifacts, writer.run_id, folder, _GRID))
                writer.attempt(what, partial(writer.client.set_tag, writer.run_id, _GRID_TAG, "True"))


def _draw_for_grid(path: Path, folder: Path, step: int, time_ms: int) -> bool:
    """The picture and a small one, named as MLflow's `log_image` names them. False for what is no picture."""
    from PIL import Image

    key = _UNKNOWN_HERE.sub("_", path.stem)
    number = uuid.uuid5(uuid.NAMESPACE_URL, f"{path}/{step}/{time_ms}")
    name = f"{key}+step+{step}+timestamp+{time_ms}+{number}"
    try:
        (folder / f"{name}.png").write_bytes(path.read_bytes())
        with Image.open(path, formats=["PNG"]) as picture:
            picture.thumbnail(_GRID_SIZE)
            picture.save(folder / f"{name}+compressed.webp")
    except (OSError, ValueError, Image.DecompressionBombError):
        _log.warning("%s cannot be shown in MLflow's image grid", path, exc_info=True)
        return False
    return True
