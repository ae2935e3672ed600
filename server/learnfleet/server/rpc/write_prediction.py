"""What a model says, as protobuf."""

from __future__ import annotations

from google.rpc import code_pb2

from learnfleet.server.errors import Code, FieldViolation, InvalidArgument, ServiceError, Unavailable
from learnfleet.server.inference.ports import Answered, Array, ModelInfo, Output, PictureFile
from learnfleet.server.inference.ports import Input as AnyInput
from learnfleet.server.rpc.write_data import label_kind_to_proto
from learnfleet.server.rpc.write_job import duration
from learnfleet.server.text import shortened, utf8
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.v1 import prediction_service_pb2 as pb

_MAX_ERROR_BYTES = 800
_TENSOR_FIELDS = {"dtype": "type", "shape": "shape", "content": "content"}  # in the message, by what replicas call them


def result_to_proto(answered: Answered, asked: AnyInput, model: ModelInfo, top_k: int) -> pb.ItemResult:
    """The prediction, or the error that the item alone has."""
    if answered.error:
        return error_to_proto(error_of(answered, asked))
    return pb.ItemResult(
        prediction=prediction_to_proto(answered, model, top_k),
        timings=timings_to_proto(answered),
        model_used=model.name,
    )


def error_of(answered: Answered, asked: AnyInput) -> ServiceError:
    """Of an item that has one, as a call about it alone ends."""
    if answered.is_lost:
        return Unavailable(answered.error)
    return InvalidArgument([FieldViolation(*blamed(answered, asked))])


def error_to_proto(error: ServiceError) -> pb.ItemResult:
    """What is wrong with an item."""
    if isinstance(error, InvalidArgument):
        return _failed(error.code, error.violations[0].field, error.violations[0].description)
    return _failed(error.code, "", str(error))


def _failed(code: Code, field: str, message: str) -> pb.ItemResult:
    number = code_pb2.Code.Value(code.value)
    return pb.ItemResult(error=pb.ItemError(code=number, field=field, message=shortened(message, _MAX_ERROR_BYTES)))


def blamed(answered: Answered, asked: AnyInput) -> tuple[str, str]:
    """The field of an item with an error, and what is told of it."""
    name, _, why = answered.error.partition(": ")
    if name == "model" and why:  # it was read, and this model has no answer to it
        return ("image" if isinstance(asked, PictureFile) else "tensor"), why
    if isinstance(asked, PictureFile):
        return "image", f"is no picture that can be read: {answered.error}"
    if why and name in _TENSOR_FIELDS:
        return f"tensor.{_TENSOR_FIELDS[name]}", why
    return "tensor", f"cannot be predicted: {answered.error}"


def prediction_to_proto(answered: Answered, model: ModelInfo, top_k: int) -> pb.Prediction:
    probabilities = answered.probabilities
    order = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])[:top_k]
    message = pb.Prediction(
        class_name=_class_name(answered, model),
        class_index=answered.index,
        probabilities=probabilities,
        top=[_of_class(model, index, probabilities[index]) for index in order],
        kind=label_kind_to_proto(answered.kind),
        labels=[utf8(label) for label in answered.labels],
        values=answered.values,
        mask=answered.mask_png,
        picture=answered.picture_png,
        samples=[prediction_to_proto(sample, model, top_k) for sample in answered.samples],
    )
    for output, field in (
        (Output.LOGITS, message.logits),
        (Output.EMBEDDING, message.embedding),
        (Output.ACTIVATED, message.activated),
    ):
        if output in answered.arrays:
            field.CopyFrom(_array(answered.arrays[output]))
    return message


def _class_name(answered: Answered, model: ModelInfo) -> str:
    if answered.kind is LabelKind.CATEGORY:
        return utf8(model.classes[answered.index])
    return utf8(";".join(answered.labels))


def _of_class(model: ModelInfo, index: int, probability: float) -> pb.ClassProbability:
    return pb.ClassProbability(class_name=utf8(model.classes[index]), class_index=index, probability=probability)


def _array(array: Array) -> pb.FloatArray:
    return pb.FloatArray(shape=array.shape, content=array.content)


def timings_to_proto(answered: Answered) -> pb.Timings:
    return pb.Timings(
        queue=duration(answered.queue_s),
        decode=duration(answered.decode_s),
        infer=duration(answered.infer_s),
        batch_size=answered.batch_size,
    )
