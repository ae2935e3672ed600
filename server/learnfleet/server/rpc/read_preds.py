"""The predictions that a GET_PREDS job has written, as messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learnfleet.v1 import prediction_service_pb2 as pb

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FILE = "predictions.safetensors"
_MESSAGE_BYTES = 2**20


@dataclass(frozen=True)
class PredictionFile:
    """Rows of predictions, targets, losses, positions and means of variants."""

    path: Path

    def messages(self, first_row: int, rows: int) -> Iterator[pb.ReadPredictionsResponse]:
        """The rows [first_row, first_row + rows) (0: all that follow) in messages of about a megabyte. Blocks."""
        from safetensors import safe_open

        with safe_open(self.path, "numpy") as file:
            columns = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
            total = columns["indices"].get_shape()[0]
            end = min(total, first_row + rows) if rows else total
            step = self._rows_a_message(columns)
            for start in range(first_row, end, step):
                yield _message(columns, start, min(end, start + step))

    @staticmethod
    def _rows_a_message(columns: dict[str, Any]) -> int:
        size = 1
        for name in ("predictions", "targets", *(["variants"] if "variants" in columns else [])):
            cells = 4
            for side in columns[name].get_shape()[1:]:
                cells *= side
            size += cells
        return max(1, _MESSAGE_BYTES // size)


def _message(columns: dict[str, Any], start: int, end: int) -> pb.ReadPredictionsResponse:
    parts = {name: column[start:end] for name, column in columns.items()}
    return pb.ReadPredictionsResponse(
        first_row=start,
        rows=end - start,
        shape=parts["predictions"].shape[1:],
        predictions=_floats(parts["predictions"]),
        target_shape=parts["targets"].shape[1:],
        targets=_floats(parts["targets"]),
        losses=_floats(parts["losses"]) if "losses" in parts else b"",
        indices=parts["indices"].tolist(),
        variants=_floats(parts["variants"]) if "variants" in parts else b"",
    )


def _floats(values: npt.NDArray[np.generic]) -> bytes:
    return values.astype("<f4").tobytes()
