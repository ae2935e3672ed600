"""Where in a picture a prediction comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from learnfleet.client.arrays import Array
from learnfleet.v1 import interpretation_service_pb2 as pb


@dataclass(frozen=True)
class Explanation:
    """A map of what speaks for a class. Notebooks show it over the picture."""

    class_name: str  # whose score is explained
    probability: float  # that the model gives it
    predicted: str
    method: str  # grad_cam, integrated_gradients or occlusion
    model_used: str
    map: Array = field(repr=False)  # float32 [rows, columns]
    overlay: bytes = field(repr=False)  # the picture with the map over it, a PNG

    @classmethod
    def from_proto(cls, message: pb.ExplainPredictionResponse) -> Explanation:
        return cls(
            message.class_name,
            message.probability,
            message.predicted,
            pb.ExplanationMethod.Name(message.method).removeprefix("EXPLANATION_METHOD_").lower(),
            message.model_used,
            Array.little_endian(message.map, (message.rows, message.columns)),
            message.overlay,
        )

    def save(self, path: str | Path) -> Path:
        """Write the overlay, a PNG, and return the path."""
        Path(path).write_bytes(self.overlay)
        return Path(path)

    def _repr_png_(self) -> bytes:
        return self.overlay
