"""What may be asked of a model's errors, as requests. Both clients, the plain and the asynchronous one, send them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from learnfleet.client.activations import activation
from learnfleet.client.data_bunch import DataBunch
from learnfleet.client.dataset_paths import DatasetPath, put_dataset
from learnfleet.client.dataset_types import DatasetType
from learnfleet.client.inputs import content_of
from learnfleet.client.run_settings import RunSettings
from learnfleet.client.subject import new_id
from learnfleet.v1 import interpretation_service_pb2 as pb
from learnfleet.v1 import job_pb2, learner_pb2, prediction_service_pb2

Data: TypeAlias = "DataBunch | DatasetPath | str | None"

PARTS = tuple(
    name.removeprefix("INTERPRETATION_PART_").lower()
    for name, number in pb.InterpretationPart.items()
    if number != pb.INTERPRETATION_PART_UNSPECIFIED
)
METHODS = tuple(
    name.removeprefix("EXPLANATION_METHOD_").lower()
    for name, number in pb.ExplanationMethod.items()
    if number != pb.EXPLANATION_METHOD_UNSPECIFIED
)


@dataclass(frozen=True)
class Questions:
    """What an interpretation is to find out."""

    ds_type: DatasetType = DatasetType.Valid
    tta: bool = False
    top_losses: int = 9
    min_confused: int = 1
    data: Data = None  # None: the learner's own
    parts: tuple[str, ...] = ()  # of PARTS; none: all that suit the labels
    slice_columns: tuple[str, ...] = ()
    metadata: str = ""
    void_class: str = ""
    least_losses: int = 0

    def more(self, count: int, *, largest: bool) -> Questions:
        """The same with so many of the greatest, or of the least, losses."""
        return replace(self, top_losses=count) if largest else replace(self, least_losses=count)

    def request(
        self, *, learner: str = "", model: str = "", resources: job_pb2.Resources | None = None
    ) -> pb.InterpretRequest:
        """Raises ValueError for a part that there is not."""
        return pb.InterpretRequest(
            learner=learner,
            model=model,
            top_losses=self.top_losses,
            min_confused=self.min_confused,
            dataset=self.ds_type.to_proto(),
            tta=self.tta,
            resources=resources,
            request_id=new_id(),
            data=data_to_proto(self.data),
            parts=_numbers(self.parts),
            slice_columns=self.slice_columns,
            metadata=self.metadata,
            void_class=self.void_class,
            least_losses=self.least_losses,
        )

    def of(self, model: str) -> pb.InterpretRequest:
        """About `models/...` or `learners/...`."""
        return self.request(learner=model) if model.startswith("learners/") else self.request(model=model)


def compare_request(
    baseline: str, candidate: str, data: Data, ds_type: DatasetType, examples: int, settings: RunSettings
) -> pb.CompareVersionsRequest:
    return pb.CompareVersionsRequest(
        baseline=baseline,
        candidate=candidate,
        data=data_to_proto(data),
        dataset=ds_type.to_proto(),
        examples=examples,
        resources=settings.resources(),
        request_id=new_id(),
    )


def explain_request(model: str, item: object, method: str, class_name: str) -> pb.ExplainPredictionRequest:
    """Raises ValueError for a method that there is not."""
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; must be one of {', '.join(METHODS)}")
    number = pb.ExplanationMethod.Value(f"EXPLANATION_METHOD_{method.upper()}")
    return pb.ExplainPredictionRequest(model=model, image=content_of(item), method=number, class_name=class_name)


def preds_request(
    model: str, data: Data, ds_type: DatasetType, with_loss: bool, n_batch: int | None, tta: bool, activ: str | None
) -> prediction_service_pb2.GetPredsRequest:
    request = prediction_service_pb2.GetPredsRequest(
        dataset=ds_type.to_proto(),
        with_loss=with_loss,
        n_batch=n_batch or 0,
        request_id=new_id(),
        data=data_to_proto(data),
        activation=activation(activ),
    )
    setattr(request, "learner" if model.startswith("learners/") else "model", model)
    if tta:
        request.tta.SetInParent()
    return request


def data_to_proto(data: Data) -> learner_pb2.DataSpec | None:
    """Described data; or `datasets/{dataset}`, a folder with `train` and `valid` in it."""
    if data is None:
        return None
    if isinstance(data, DataBunch):
        return data.to_proto()
    path = str(data)
    if path.startswith("datasets/"):
        return learner_pb2.DataSpec(dataset=path, folder=learner_pb2.FolderSource())
    message = learner_pb2.DataSpec(folder=learner_pb2.FolderSource(path=path))
    put_dataset(message)
    return message


def _numbers(parts: Iterable[str]) -> list[pb.InterpretationPart]:
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise ValueError(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    return [pb.InterpretationPart.Value(f"INTERPRETATION_PART_{part.upper()}") for part in parts]
