"""Requests that are right, to be made wrong in a few places: those made at random hardly come past the first checks."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from support.pictures import encoded, picture
from support.uploads import CONTENT, a_header

from learnfleet.oip import inference_pb2
from learnfleet.v1 import (
    interpretation_service_pb2,
    job_pb2,
    learner_pb2,
    prediction_service_pb2,
    training_service_pb2,
)


def seeds(learner: str) -> Mapping[str, Message]:
    """By the full name of their type. `learner`: one that has been trained."""
    training, prediction = training_service_pb2, prediction_service_pb2
    data = learner_pb2.DataSpec(folder=learner_pb2.FolderSource(path="pets"), batch_size=4)
    spec = learner_pb2.LearnerSpec(data=data, architecture="resnet18")
    spec.metrics.add(name="accuracy")
    stages = [
        job_pb2.Stage(fit=job_pb2.Fit(epochs=1)),
        job_pb2.Stage(fit_one_cycle=job_pb2.FitOneCycle(epochs=2)),
        job_pb2.Stage(unfreeze=job_pb2.Unfreeze()),
    ]
    image = prediction.Input(image=encoded(picture(0)))
    tensor = inference_pb2.ModelInferRequest.InferInputTensor(name="image", datatype="BYTES", shape=[1])
    tensor.contents.bytes_contents.append(encoded(picture(0)))
    made: list[Message] = [
        training.TrainRequest(learner_spec=spec, stages=stages),
        training.ValidateRequest(learner=learner),
        training.DescribeRequest(learner=learner, freeze_to=job_pb2.FreezeTo(n=-1)),
        training.SaveRequest(learner=learner, checkpoint_id="named"),
        training.ExportRequest(learner=learner, model_id="pets", aliases=["newest"]),
        prediction.PredictRequest(model=learner, image=encoded(picture(0))),
        prediction.PredictBatchRequest(model=learner, inputs=[image, image]),
        prediction.PredictStreamRequest(settings=prediction.PredictStreamSettings(model=learner)),
        prediction.GetPredsRequest(learner=learner),
        interpretation_service_pb2.InterpretRequest(learner=learner),
        interpretation_service_pb2.ExplainPredictionRequest(model=learner, image=encoded(picture(0))),
        inference_pb2.ModelInferRequest(model_name=learner, inputs=[tensor]),
        a_header(CONTENT),
    ]
    return {message.DESCRIPTOR.full_name: message for message in made}
