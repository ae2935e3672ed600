"""Requests to predict, and their answers. Nothing is sent here: both clients send what this makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from learnfleet.client.errors import PictureError
from learnfleet.client.inputs import input_of, put_input
from learnfleet.client.values import Prediction
from learnfleet.v1 import prediction_service_pb2 as pb

Answer: TypeAlias = Prediction | PictureError
Messages: TypeAlias = pb.PredictRequest | pb.PredictBatchRequest | pb.PredictStreamSettings

OUTPUTS = {
    "logits": pb.OUTPUT_LOGITS,
    "embedding": pb.OUTPUT_EMBEDDING,
    "activated": pb.OUTPUT_ACTIVATED,
}
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".jp2")
_MOST_A_CALL = 256


@dataclass(frozen=True)
class Ask:
    """Which model is asked, and how."""

    model: str
    top_k: int = 0
    thresh: float | None = None
    tta: bool = False
    outputs: Sequence[str] = ()

    def predict_request(self, item: object, dropout_samples: int = 0) -> pb.PredictRequest:
        """About one picture. `dropout_samples`: also so many predictions with dropout on."""
        request = pb.PredictRequest(dropout_samples=dropout_samples)
        self._put(request)
        put_input(request, item)
        return request

    def settings(self) -> pb.PredictStreamRequest:
        """What a stream begins with."""
        request = pb.PredictStreamRequest()
        self._put(request.settings)
        return request

    def batches(self, items: Iterable[object], most_bytes: int) -> Iterator[Batch]:
        """Requests about all pictures, each of so many that the server takes it."""
        batch = self._batch()
        for item in items:
            message = self._input(item)
            size = message.ByteSize() if isinstance(message, pb.Input) else 0
            if batch.is_full(size, most_bytes):
                yield batch
                batch = self._batch()
            batch.add(message, size)
        if batch.places:
            yield batch

    def _batch(self) -> Batch:
        request = pb.PredictBatchRequest()
        self._put(request)
        return Batch(request, [])

    @staticmethod
    def _input(item: object) -> pb.Input | PictureError:
        try:
            return input_of(item)
        except OSError as error:
            return unreadable(error)

    def _put(self, message: Messages) -> None:
        message.model, message.top_k, message.tta = self.model, self.top_k, self.tta
        if self.thresh is not None:
            message.thresh = self.thresh
        unknown = [name for name in self.outputs if name not in OUTPUTS]
        if unknown:
            raise ValueError(f"outputs: {unknown[0]!r} is not known; there are {', '.join(OUTPUTS)}")
        message.outputs.extend(OUTPUTS[name] for name in self.outputs)


@dataclass
class Batch:
    """One call about several pictures, with the errors of those that cannot be sent."""

    request: pb.PredictBatchRequest
    places: list[PictureError | None]  # None: the next of the request's inputs
    size: int = 0

    def is_full(self, size: int, most_bytes: int) -> bool:
        """Whether a picture of so many bytes has to go with the next call."""
        inputs = len(self.request.inputs)
        return inputs == _MOST_A_CALL or (inputs > 0 and self.size + size > most_bytes)

    def add(self, message: pb.Input | PictureError, size: int) -> None:
        if isinstance(message, pb.Input):
            self.request.inputs.append(message)
            self.size += size
        self.places.append(message if isinstance(message, PictureError) else None)

    def answers(self, results: Iterable[pb.ItemResult]) -> Iterator[Answer]:
        """One a picture, in their order."""
        found = iter(results)
        return (answer_of(next(found)) if error is None else error for error in self.places)


def halves(request: pb.PredictBatchRequest) -> list[pb.PredictBatchRequest]:
    """Two requests about the pictures of one."""
    middle = len(request.inputs) // 2
    made = [pb.PredictBatchRequest(), pb.PredictBatchRequest()]
    for half, inputs in zip(made, (request.inputs[:middle], request.inputs[middle:]), strict=True):
        half.CopyFrom(request)
        half.ClearField("inputs")
        half.inputs.extend(inputs)
    return made


def answer_of(result: pb.ItemResult) -> Answer:
    if result.WhichOneof("result") == "prediction":
        return Prediction.from_proto(result)
    field = f"{result.error.field}: " if result.error.field else ""
    return PictureError(field + result.error.message)


def unreadable(error: OSError) -> PictureError:
    """Of a file that is here."""
    return PictureError(f"{error.filename}: {error.strerror}" if error.strerror else str(error))


def pictures_in(folder: Path) -> list[Path]:
    """All picture files of a folder and those below it, by their names; links to folders are not followed."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())


def items_of(items: Iterable[object] | str | Path) -> Iterable[object]:
    """The pictures of a folder where a path is given, else what is given. Raises NotADirectoryError."""
    if not isinstance(items, str | Path):
        return items
    if not Path(items).is_dir():
        raise NotADirectoryError(f"{items} is no folder; give one, or a list of pictures")
    return pictures_in(Path(items))
